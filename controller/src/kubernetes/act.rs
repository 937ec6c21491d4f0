//! What is done to a Rollout: a verb in, patches sent.

use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::jiff;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use serin_core::time::Timestamp;
use serin_core::verb::Verb;

use super::error::is_missing;
use super::patches::{self, Patches, Refusal};
use super::picture::{is_owned, run};
use super::template::{self, SetImage};
use super::workload::Workload;
use super::{Cluster, ClusterError, SETS_AND_PODS};
use crate::api::{AnalysisRun, Rollout};

impl Cluster {
    /// Does what a verb says; what was done comes back, as the user reads it.
    ///
    /// # Errors
    /// If the cluster does not answer, knows no such Rollout, or the release does not allow it.
    pub async fn verb(
        &self,
        namespace: &str,
        name: &str,
        verb: Verb,
    ) -> Result<String, ClusterError> {
        let rollout = self.object(namespace, name).await?;
        let (patches, done) = match verb {
            Verb::Promote { full: true } => (patches::promote(&rollout, true)?, "promoted in full"),
            Verb::Promote { full: false } => (patches::promote(&rollout, false)?, "promoted"),
            Verb::Abort => (patches::abort(&rollout)?, "aborted"),
            Verb::Retry => (
                patches::retry(&rollout)?,
                "started again from the first step",
            ),
            Verb::Pause => (patches::pause(), "paused (promote goes on)"),
            Verb::Undo { to_revision } => return self.undo(&rollout, to_revision).await,
        };
        self.write(namespace, name, &patches).await?;
        Ok(done.to_string())
    }

    /// Has all pods replaced, `wait` from `now` on.
    ///
    /// # Errors
    /// If the cluster does not answer, or knows no such Rollout.
    pub async fn restart(
        &self,
        namespace: &str,
        name: &str,
        now: Timestamp,
        wait: Duration,
    ) -> Result<String, ClusterError> {
        // The API has seconds.
        let at = jiff::Timestamp::from_second(now.plus(wait).0 / 1_000).unwrap_or_default();
        let patches = Patches {
            status: None,
            spec: Some(json!({ "spec": { "restartAt": at.to_string() } })),
        };
        self.object(namespace, name).await?;
        self.write(namespace, name, &patches).await?;
        Ok(match wait.is_zero() {
            true => "its pods restart now".to_string(),
            false => format!("its pods restart in {wait:?}"),
        })
    }

    /// Sets images of containers, in the object that has the Rollout's template.
    ///
    /// # Errors
    /// If the cluster does not answer, knows no such Rollout, or the Rollout no such container.
    pub async fn set_image(
        &self,
        namespace: &str,
        name: &str,
        images: &[SetImage],
    ) -> Result<String, ClusterError> {
        let rollout = self.object(namespace, name).await?;
        let workload = Workload::of(&rollout)?;
        let object = self.workload(namespace, &workload).await?;
        let template = workload.template(&object);
        let patch = template::images(template, workload.pointer, images)?;
        self.patch_workload(namespace, &workload, patch).await?;
        let set = images
            .iter()
            .map(|set| format!("{}={}", set.container, set.image));
        Ok(format!(
            "{} is asked for",
            set.collect::<Vec<_>>().join(" ")
        ))
    }

    /// Ends an analysis run as it stands.
    ///
    /// # Errors
    /// If the cluster does not answer, knows no such run, or the run has ended.
    pub async fn terminate(&self, namespace: &str, name: &str) -> Result<String, ClusterError> {
        let api: Api<AnalysisRun> = Api::namespaced(self.client.clone(), namespace);
        let run = match api.get(name).await {
            Ok(run) => run,
            Err(error) if is_missing(&error) => {
                return Err(self.none_of("analysis run", &api, namespace, name).await);
            }
            Err(error) => return Err(self.met(error)),
        };
        let phase = run::phase(&run);
        if phase.completed() {
            let run = name.to_string();
            return Err(ClusterError::Ended { run, phase });
        }
        let patch = Patch::Merge(json!({ "spec": { "terminate": true } }));
        let patched = api.patch(name, &PatchParams::default(), &patch).await;
        patched.map_err(|error| self.met(error))?;
        Ok("terminated".to_string())
    }
}

impl Cluster {
    async fn undo(&self, rollout: &Rollout, asked: Option<u64>) -> Result<String, ClusterError> {
        let namespace = rollout.namespace().unwrap_or_default();
        let resource = ApiResource::erase::<ReplicaSet>(&());
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &namespace, &resource);
        let labelled = ListParams::default().labels(SETS_AND_PODS);
        let mut sets = self.list(api, &labelled).await?;
        let owner = rollout.metadata.uid.as_deref();
        sets.retain(|set| is_owned(&set.metadata, owner));
        let older = template::older(rollout, &sets, asked);
        let (number, template) = older.map_err(Refusal::from)?;
        let workload = Workload::of(rollout)?;
        let patch = json!([{ "op": "replace", "path": workload.pointer, "value": template }]);
        self.patch_workload(&namespace, &workload, patch).await?;
        Ok(format!("went back to revision {number}"))
    }

    /// Writes patches: the status first, so that the controller never acts on half of them.
    async fn write(
        &self,
        namespace: &str,
        name: &str,
        patches: &Patches,
    ) -> Result<(), ClusterError> {
        let api = self.rollouts_api(Some(namespace));
        let merge = PatchParams::default();
        if let Some(status) = &patches.status {
            match api.patch_status(name, &merge, &Patch::Merge(status)).await {
                Ok(_) => {}
                // The status is no subresource here, but a field like any other.
                Err(error) if is_missing(&error) => {
                    let united = Patch::Merge(patches.united());
                    let patched = api.patch(name, &merge, &united).await;
                    return patched.map(drop).map_err(|error| self.met(error));
                }
                Err(error) => return Err(self.met(error)),
            }
        }
        if let Some(spec) = &patches.spec {
            let patched = api.patch(name, &merge, &Patch::Merge(spec)).await;
            patched.map_err(|error| self.met(error))?;
        }
        Ok(())
    }

    async fn workload(
        &self,
        namespace: &str,
        workload: &Workload,
    ) -> Result<DynamicObject, ClusterError> {
        let got = self
            .workload_api(namespace, workload)
            .get(&workload.name)
            .await;
        got.map_err(|error| self.met_at(workload, namespace, error))
    }

    async fn patch_workload(
        &self,
        namespace: &str,
        workload: &Workload,
        patch: Value,
    ) -> Result<(), ClusterError> {
        let patch = serde_json::from_value(patch);
        let patch =
            Patch::<()>::Json(patch.map_err(|error| self.met(kube::Error::SerdeError(error)))?);
        let api = self.workload_api(namespace, workload);
        let patched = api
            .patch(&workload.name, &PatchParams::default(), &patch)
            .await;
        let met = |error| self.met_at(workload, namespace, error);
        patched.map(drop).map_err(met)
    }

    fn workload_api(&self, namespace: &str, workload: &Workload) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &workload.resource)
    }

    fn met_at(&self, workload: &Workload, namespace: &str, error: kube::Error) -> ClusterError {
        match is_missing(&error) {
            true => ClusterError::Unknown {
                kind: workload.kind,
                asked: format!("{namespace}/{}", workload.name),
                expected: "spec.workloadRef names it".to_string(),
            },
            false => self.met(error),
        }
    }
}

#[cfg(test)]
mod tests;

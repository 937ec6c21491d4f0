//! What pods carry for as long as they are the canary or stable: written to the ReplicaSet's template
//! for pods to come, and to the pods that are there.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Map, Value, json};
use serin_core::plan::Metadata;
use serin_core::revision::HASH_LABEL;

use super::Acting;
use crate::cluster::reconcile::PassError;
use crate::cluster::sets;

impl Acting<'_> {
    /// Gives the pods of each version with pods what its role asks for.
    pub(super) async fn dress_pods(&self) -> Result<(), PassError> {
        for set in self.pass.context.watched.sets_of(self.pass.rollout) {
            let hash = sets::hash_of(&set).unwrap_or_default();
            if sets::desired(&set) > 0 {
                self.dress(&set, self.role(hash)).await?;
            }
        }
        Ok(())
    }

    async fn dress(&self, set: &ReplicaSet, role: &Metadata) -> Result<(), PassError> {
        let before = set.annotations().get(sets::ROLE);
        let wanted = (!role.is_empty()).then(|| sets::role_text(role));
        if before == wanted.as_ref() {
            return Ok(());
        }
        let before: Value = before
            .and_then(|before| serde_json::from_str(before).ok())
            .unwrap_or_default();
        let change = change(&before, role);
        // Pods to come, then those that are there; the annotation last says that all have it.
        self.patch_set(set, &json!({"spec": {"template": {"metadata": change}}}))
            .await?;
        self.dress_those_there(set, &change).await?;
        self.patch_set(
            set,
            &json!({"metadata": {"annotations": {sets::ROLE: wanted}}}),
        )
        .await
    }

    async fn patch_set(&self, set: &ReplicaSet, patch: &Value) -> Result<(), PassError> {
        let name = set.name_any();
        let params = PatchParams::default();
        let patched = self
            .sets_api()
            .patch(&name, &params, &Patch::Merge(patch))
            .await;
        patched.map_err(PassError::api(format!("patch ReplicaSet {name}")))?;
        Ok(())
    }

    async fn dress_those_there(&self, set: &ReplicaSet, change: &Value) -> Result<(), PassError> {
        let pods: Api<Pod> = Api::namespaced(self.client(), &self.plan.namespace);
        let hash = sets::hash_of(set).unwrap_or_default();
        let of_set = ListParams::default().labels(&format!("{HASH_LABEL}={hash}"));
        let listed = pods.list(&of_set).await;
        let listed = listed.map_err(PassError::api("list pods"))?;
        let uid = set.uid().unwrap_or_default();
        let own = |pod: &&Pod| pod.owner_references().iter().any(|owner| owner.uid == uid);
        let patch = json!({"metadata": change});
        for pod in listed.iter().filter(own) {
            let name = pod.name_any();
            match pods
                .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
            {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(PassError::api(format!("patch Pod {name}"))(error)),
            }
        }
        Ok(())
    }
}

/// The merge patch of metadata: what the role before had goes, what this one has comes.
fn change(before: &Value, role: &Metadata) -> Value {
    let of = |field: &str, entries: &std::collections::BTreeMap<String, String>| {
        let old = before[field].as_object().cloned().unwrap_or_default();
        let gone = old.keys().map(|key| (key.clone(), Value::Null));
        let mut map: Map<String, Value> = gone.collect();
        map.extend(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), json!(value))),
        );
        map
    };
    json!({
        "labels": of("labels", &role.labels),
        "annotations": of("annotations", &role.annotations),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_role_ends_with_what_it_had() {
        let before = json!({"labels": {"role": "canary", "new": "yes"}, "annotations": {}});
        let role = Metadata {
            labels: BTreeMap::from([("role".to_string(), "stable".to_string())]),
            annotations: BTreeMap::new(),
        };
        let change = change(&before, &role);
        assert_eq!(change["labels"], json!({"role": "stable", "new": null}));
    }
}

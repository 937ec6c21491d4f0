//! Analysis runs that a decision wants are made; those that it wants no more end.

use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;
use serin_core::step::WantedRun;

use super::Acting;
use crate::api::AnalysisRun;
use crate::clock;
use crate::cluster::analysis::{self, Making};
use crate::cluster::reconcile::PassError;
use crate::cluster::{sets, tell};

impl Acting<'_> {
    pub(super) async fn keep_runs(&self) -> Result<(), PassError> {
        let runs = self.pass.context.watched.runs_of(self.pass.rollout);
        for wanted in &self.decision.runs {
            let unfit = self.unfit.iter().any(|unfit| unfit.step == wanted.step);
            if !unfit && !runs.iter().any(|run| run.name_any() == wanted.name) {
                self.begin(wanted).await?;
            }
        }
        let wanted = |name: &str| self.decision.runs.iter().any(|run| run.name == name);
        for run in &runs {
            let name = run.name_any();
            let ended = analysis::seen(run).phase.completed();
            if !ended && !wanted(&name) && run.spec.terminate != Some(true) {
                self.end(&name).await?;
            }
        }
        let known = |hash: &str| {
            let owned = self.pass.context.watched.sets_of(self.pass.rollout);
            owned.iter().any(|set| sets::hash_of(set) == Some(hash))
        };
        let history = self.plan.run_history;
        for name in analysis::surplus(&runs, history, &self.version.hash, known) {
            let deleted = self.runs().delete(&name, &DeleteParams::background()).await;
            match deleted {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => {
                    return Err(PassError::api(format!("delete AnalysisRun {name}"))(error));
                }
            }
        }
        Ok(())
    }

    async fn begin(&self, wanted: &WantedRun) -> Result<(), PassError> {
        let owned = self.pass.context.watched.sets_of(self.pass.rollout);
        let current = owned
            .iter()
            .find(|set| sets::hash_of(set) == Some(&self.version.hash));
        let watched = &self.pass.context.watched;
        let templates = analysis::templates(watched, &self.plan.namespace, [&wanted.analysis]);
        let object = analysis::object(&Making {
            wanted,
            rollout: &self.pass.document,
            templates: &templates,
            latest: &self.version.hash,
            stable: &self.decision.state.stable,
            revision: current.map_or(0, |set| sets::seen(set).revision),
            blind_queries: self.plan.blind_queries(),
            now: clock::now(),
        });
        let object: DynamicObject =
            serde_json::from_value(object).map_err(|source| PassError::Json {
                what: "an AnalysisRun",
                source,
            })?;
        let kind = ApiResource::erase::<AnalysisRun>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client(), &self.plan.namespace, &kind);
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => {
                let told = format!("Created AnalysisRun {}", wanted.name);
                tell::event(self.pass, "AnalysisRunRunning", &told);
                Ok(())
            }
            // By an earlier pass, which what is held does not show yet.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(PassError::api(format!(
                "create AnalysisRun {}",
                wanted.name
            ))(error)),
        }
    }

    async fn end(&self, name: &str) -> Result<(), PassError> {
        let patch = json!({"spec": {"terminate": true}});
        let ended = self
            .runs()
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        match ended {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(PassError::api(format!("end AnalysisRun {name}"))(error)),
        }
    }

    fn runs(&self) -> Api<AnalysisRun> {
        Api::namespaced(self.client(), &self.plan.namespace)
    }
}

//! Old ReplicaSets without pods beyond `spec.revisionHistoryLimit` go.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::ResourceExt as _;
use kube::api::DeleteParams;

use super::Acting;
use crate::cluster::reconcile::PassError;
use crate::cluster::sets;

impl Acting<'_> {
    pub(super) async fn forget_old(&self) -> Result<(), PassError> {
        let owned = self.pass.context.watched.sets_of(self.pass.rollout);
        let api = self.sets_api();
        for set in surplus(&owned, self) {
            let name = set.name_any();
            let deleted = api.delete(&name, &DeleteParams::background()).await;
            match deleted {
                Ok(_) => tracing::info!(rollout = self.plan.name, set = name, "forgotten"),
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => {
                    return Err(PassError::api(format!("delete ReplicaSet {name}"))(error));
                }
            }
        }
        Ok(())
    }
}

/// The oldest of those that nothing is asked of.
fn surplus<'s>(owned: &'s [Arc<ReplicaSet>], acting: &Acting<'_>) -> Vec<&'s ReplicaSet> {
    let state = &acting.decision.state;
    let idle = |set: &&Arc<ReplicaSet>| {
        let hash = sets::hash_of(set).unwrap_or_default();
        let wanted = acting.decision.sets.get(hash).copied().unwrap_or(0);
        wanted == 0
            && sets::desired(set) == 0
            && sets::pods(set).replicas == 0
            && hash != state.stable
            && hash != state.current
            && hash != acting.version.hash
            && set.metadata.deletion_timestamp.is_none()
    };
    let mut idle: Vec<&ReplicaSet> = owned.iter().filter(idle).map(|set| &**set).collect();
    idle.sort_by_key(|set| sets::seen(set).revision);
    let many = idle.len().saturating_sub(acting.plan.revision_history);
    idle.truncate(many);
    idle
}

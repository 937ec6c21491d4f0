//! What keeps the versions from being told apart is found out beside the passes, and told by them.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::sleep;

use super::{Mesh, Scope};
use crate::api::Rollout;
use crate::cluster::reconcile::mesh_key;
use crate::cluster::related::filter;
use crate::manifest::Key;
use crate::mesh::isolation;

/// How long between two looks: pods come and go with proxies that are as those before.
const SELDOM: Duration = Duration::from_secs(600);

/// How long between two looks in a release, when there is something to see, or until there is a
/// Rollout that asks for it.
const OFTEN: Duration = Duration::from_secs(60);

impl Mesh {
    /// What was found; it concerns each Rollout with the router `serin/wasm`.
    pub(in crate::cluster) fn findings(&self) -> Vec<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    pub(super) async fn look_for_ever(&self, scope: &Scope) {
        // An error says that the watch has ended, and with it the controller.
        let _ = scope.rollouts.wait_until_ready().await;
        loop {
            let mut rollouts = scope.rollouts.state();
            rollouts.retain(|rollout| is_filtered(rollout));
            let rests = rollouts.iter().all(|rollout| is_healthy(rollout));
            let pause = match rollouts.is_empty() || !rests {
                true => OFTEN,
                false => SELDOM,
            };
            if !rollouts.is_empty() {
                let keys = rollouts.iter().map(|rollout| mesh_key(rollout));
                self.look(keys.collect()).await;
            }
            sleep(pause).await;
        }
    }

    async fn look(&self, keys: Vec<Key>) {
        let before = self.findings();
        let mut found = Vec::new();
        for (query, told) in [
            (isolation::unlabelled(), isolation::told_unlabelled as Told),
            (isolation::versions(), isolation::told_too_old),
        ] {
            match self.ask(&query).await {
                Ok(series) => found.extend(told(&series)),
                // Passes tell when Prometheus is away and is needed; what was found stands until then.
                Err(error) => {
                    tracing::debug!(error, "the mesh is not looked at");
                    return;
                }
            }
        }
        if found == before {
            return;
        }
        for finding in found.iter().filter(|finding| !before.contains(finding)) {
            tracing::warn!(finding, "the mesh is not ready for serin/wasm");
        }
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
        self.tell(keys);
    }
}

type Told = fn(&[crate::provider::prometheus::Series]) -> Option<String>;

fn is_filtered(rollout: &Rollout) -> bool {
    rollout.metadata.deletion_timestamp.is_none() && filter(rollout).is_some()
}

fn is_healthy(rollout: &Rollout) -> bool {
    let phase = rollout
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Healthy")
}

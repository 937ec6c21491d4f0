//! Pods from before `spec.restartAt` are evicted, a few at a time.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, EvictParams, ListParams};
use serin_core::restart::{self, PodSeen};
use serin_core::step::SetSeen;
use serin_core::time::Timestamp;
use std::collections::BTreeMap;

use super::Acting;
use crate::cluster::context::ROLLOUT;
use crate::cluster::reconcile::{PassError, own_labels};
use crate::cluster::sets;

impl Acting<'_> {
    /// Evicts what may go now; when to look again.
    pub(super) async fn restart_pods(&self) -> Result<Option<Duration>, PassError> {
        let (plan, state, now) = (self.plan, &self.decision.state, self.pass.now);
        if !restart::due(plan, state, now) {
            let idle = restart::restart(plan, state, &BTreeMap::new(), &[], now);
            return Ok(idle
                .look_again
                .filter(|_| plan.restart_at.is_some_and(|at| at > now)));
        }
        let owned = self.pass.context.watched.sets_of(self.pass.rollout);
        let seen: BTreeMap<String, SetSeen> = owned
            .iter()
            .filter_map(|set| Some((sets::hash_of(set)?.to_string(), sets::seen(set))))
            .collect();
        // What is decided is only right while nothing else takes pods away.
        let moving = |(hash, set): (&String, &SetSeen)| {
            self.decision.sets.get(hash).copied().unwrap_or(0) < set.replicas.max(set.desired)
        };
        if seen.iter().any(moving) {
            return Ok(None);
        }
        let pods: Api<Pod> = Api::namespaced(self.client(), &plan.namespace);
        let labelled = ListParams::default().labels(&own_labels(self.selector));
        let listed = pods.list(&labelled).await;
        let listed = listed.map_err(PassError::api("list pods"))?;
        let pod_seen = |pod: &Pod| {
            let owner = |set: &&std::sync::Arc<k8s_openapi::api::apps::v1::ReplicaSet>| {
                let uid = set.uid();
                pod.owner_references()
                    .iter()
                    .any(|owner| Some(&owner.uid) == uid.as_ref())
            };
            let set = owned.iter().find(owner)?;
            Some(look_at(pod, sets::hash_of(set)?, plan.min_ready, now))
        };
        let pods_seen: Vec<PodSeen> = listed.iter().filter_map(pod_seen).collect();
        let restart = restart::restart(plan, state, &seen, &pods_seen, now);
        for name in &restart.evict {
            match pods.evict(name, &EvictParams::default()).await {
                Ok(_) => tracing::info!(rollout = plan.name, pod = name, "evicted"),
                // Gone already, or a disruption budget is in the way: asked for again.
                Err(kube::Error::Api(status)) if [404, 429].contains(&status.code) => {}
                Err(error) => return Err(PassError::api(format!("evict Pod {name}"))(error)),
            }
        }
        if restart.restarted_at.is_some() {
            self.store_restart(restart.restarted_at).await?;
        }
        Ok(restart.look_again)
    }

    /// Every pod is new: that is remembered as the state that the next pass reads.
    async fn store_restart(&self, at: Option<Timestamp>) -> Result<(), PassError> {
        let patch = serde_json::json!({"status": {"serin": {"state": {"restartedAt": at}}}});
        let patched = self
            .pass
            .rollouts()
            .patch_status(
                &self.plan.name,
                &kube::api::PatchParams::default(),
                &kube::api::Patch::Merge(&patch),
            )
            .await;
        let patched = patched.map_err(PassError::api("write the status"))?;
        let version = patched.resource_version();
        self.pass
            .context
            .wrote(self.pass.uid, ROLLOUT, version.as_deref());
        Ok(())
    }
}

fn look_at(pod: &Pod, set: &str, min_ready: Duration, now: Timestamp) -> PodSeen {
    let created = pod.metadata.creation_timestamp.as_ref();
    let status = pod.status.as_ref();
    let mut conditions = status
        .and_then(|status| status.conditions.as_ref())
        .into_iter()
        .flatten();
    let ready =
        conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True");
    let since = ready.map(|ready| {
        let since = ready.last_transition_time.as_ref();
        since.map_or(Timestamp(0), |at| Timestamp(at.0.as_millisecond()))
    });
    PodSeen {
        name: pod.name_any(),
        set: set.to_string(),
        created: created.map_or(Timestamp(0), |at| Timestamp(at.0.as_millisecond())),
        available: since.is_some_and(|since| now.since(since) >= min_ready),
        leaving: pod.metadata.deletion_timestamp.is_some(),
    }
}

//! One Rollout as users are shown it: its objects in, a view out.

mod phase;
mod pod;
mod revision;
pub(super) mod run;
mod steps;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::Value;
use serin_core::time::Timestamp;

use crate::api::{AnalysisRun, Rollout, RolloutStatus};
use crate::view::{Replicas, RolloutView, Strategy};

pub(super) use phase::ABORTED;
pub use phase::is_observed;

/// The annotation that numbers revisions: on Rollouts, ReplicaSets and AnalysisRuns.
pub const REVISION: &str = "rollout.argoproj.io/revision";

/// What a view is made of. Objects of other Rollouts may be among them.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The Rollout.
    pub rollout: Arc<Rollout>,
    /// ReplicaSets of its namespace.
    pub sets: Vec<Arc<ReplicaSet>>,
    /// Pods of its namespace.
    pub pods: Vec<Arc<Pod>>,
    /// Analysis runs of its namespace.
    pub runs: Vec<Arc<AnalysisRun>>,
}

/// The view of a Rollout with all that belongs to it.
pub fn picture(objects: &Objects) -> RolloutView {
    let canary_available = revision::canary_available(objects);
    RolloutView {
        actual_weight_bp: steps::Steps::of(&objects.rollout).actual_weight(canary_available),
        revisions: revision::revisions(objects),
        ..outline(&objects.rollout)
    }
}

/// The view of a Rollout by itself: without its revisions, and without what they tell of its weight.
pub fn outline(rollout: &Rollout) -> RolloutView {
    let none = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&none);
    let steps = steps::Steps::of(rollout);
    let (phase, message) = phase::phase(rollout);
    RolloutView {
        name: rollout.metadata.name.clone().unwrap_or_default(),
        namespace: rollout.metadata.namespace.clone().unwrap_or_default(),
        phase,
        message,
        created: created(&rollout.metadata),
        strategy: strategy(rollout),
        steps: steps.views(),
        step_index: steps.index(),
        set_weight_bp: steps.set_weight(),
        actual_weight_bp: 0,
        header_routes: Vec::new(),
        desired: count(rollout.spec.replicas.or(Some(1))),
        replicas: Replicas {
            current: count(status.replicas),
            updated: count(status.updated_replicas),
            ready: count(status.ready_replicas),
            available: count(status.available_replicas),
        },
        revisions: Vec::new(),
        notices: Vec::new(),
        gateway: String::new(),
        stale: None,
    }
}

fn strategy(rollout: &Rollout) -> Strategy {
    match rollout.spec.strategy.as_ref().map(|strategy| &strategy.0) {
        Some(strategy) if strategy.contains_key("canary") => Strategy::Canary,
        Some(strategy) if strategy.contains_key("blueGreen") => Strategy::BlueGreen,
        _ => Strategy::Unknown,
    }
}

/// `spec.strategy.canary`, null where it is not.
fn canary(rollout: &Rollout) -> &Value {
    let strategy = rollout.spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.0.get("canary"));
    canary.unwrap_or(&Value::Null)
}

/// The revision that an object belongs to, 0 if it does not say.
pub(super) fn revision_of(meta: &ObjectMeta) -> u64 {
    let annotations = meta.annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(REVISION));
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether an object belongs to the owner with this uid.
pub(super) fn is_owned(meta: &ObjectMeta, owner: Option<&str>) -> bool {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners
        .iter()
        .any(|reference| Some(&*reference.uid) == owner)
}

fn created(meta: &ObjectMeta) -> Timestamp {
    let created = meta.creation_timestamp.as_ref();
    created.map_or(Timestamp(0), |Time(at)| Timestamp(at.as_millisecond()))
}

/// A count that the API has as a signed number; what is not said is none.
fn count(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests;

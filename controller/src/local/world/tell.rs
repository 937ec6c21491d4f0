//! What the log says: notices once, and one line for each change of state.

use serin_core::step::{Decision, Phase};

use crate::manifest::{Key, Manifests};

pub(super) fn tell_notices(manifests: &Manifests) {
    for notice in &manifests.notices {
        tracing::warn!(notice, "notice");
    }
    for rollout in &manifests.rollouts {
        for notice in &rollout.plan.notices {
            tracing::warn!(rollout = %rollout.key, notice, "notice");
        }
    }
}

/// One line for each change of state.
pub(super) fn tell(key: &Key, before: Option<&Decision>, now: &Decision) {
    for event in &now.events {
        tracing::info!(rollout = %key, reason = event.reason, message = event.message, "event");
    }
    let same = before.is_some_and(|before| {
        before.phase == now.phase && before.why.to_string() == now.why.to_string()
    });
    if !same {
        let why = &now.why;
        match now.phase {
            Phase::Degraded => tracing::warn!(rollout = %key, phase = ?now.phase, %why, "rollout"),
            _ => tracing::info!(rollout = %key, phase = ?now.phase, %why, "rollout"),
        }
    }
}

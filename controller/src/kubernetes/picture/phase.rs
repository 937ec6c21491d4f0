//! How a Rollout stands, as its controller says it, unless that is of an older spec.

use serde_json::Value;
use serin_core::step::Phase;

use crate::api::Rollout;

/// How the message of a release begins that was taken back.
pub(in crate::kubernetes) const ABORTED: &str = "RolloutAborted: ";

/// The phase and why.
pub(super) fn phase(rollout: &Rollout) -> (Phase, String) {
    let under_way = |why: &str| (Phase::Progressing, why.to_string());
    if !is_observed(rollout) {
        return under_way("waiting for rollout spec update to be observed");
    }
    let Some(status) = &rollout.status else {
        return under_way("no controller has acted on it yet");
    };
    let paused = status.pause_conditions.as_ref();
    let is_paused = paused.is_some_and(|conditions| !conditions.0.is_empty());
    // Whoever promotes takes the conditions away, and the controller then ends its pause.
    if status.controller_pause == Some(true) && !is_paused {
        return under_way("waiting for rollout to unpause");
    }
    let Some(phase) = &status.phase else {
        return under_way("no controller has acted on it yet");
    };
    let message = status.message.clone().unwrap_or_default();
    // Whoever retries takes the abort away, and the controller then says something else.
    if status.abort != Some(true) && message.starts_with(ABORTED) {
        return under_way("waiting for rollout to be retried");
    }
    match serde_json::from_value(Value::String(phase.clone())) {
        Ok(phase) => (phase, message),
        Err(_) => (Phase::Progressing, format!("{phase}: {message}")),
    }
}

/// Whether the status is about the spec as it is now. A status that names no number, as those of
/// very old controllers, counts as such.
pub fn is_observed(rollout: &Rollout) -> bool {
    let status = rollout.status.as_ref();
    let observed = status.and_then(|status| status.observed_generation.as_deref());
    let observed: Option<i64> = observed.and_then(|text| text.parse().ok());
    observed.is_none_or(|observed| observed >= rollout.metadata.generation.unwrap_or(0))
}

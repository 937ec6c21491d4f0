//! Verbs as patches: a Rollout and what is asked of it in, what to write into it out. The fields
//! are those that `kubectl argo rollouts` writes, so any controller of Rollouts understands them.

use serde_json::{Value, json};
use serin_core::verb::VerbRefusal;

use super::picture::{ABORTED, is_observed};
use crate::api::{Rollout, RolloutStatus};

/// What to write into a Rollout, as merge patches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    /// Of its status; written first.
    pub status: Option<Value>,
    /// Of its spec.
    pub spec: Option<Value>,
}

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The release does not allow it now.
    #[error(transparent)]
    Verb(#[from] VerbRefusal),
    /// There is no step to skip and no pause to end.
    #[error("the release waits for nobody and has no step to skip (--full skips what it has)")]
    NothingToSkip,
}

impl Patches {
    /// Both in one, for a cluster that has no subresource for the status.
    pub fn united(&self) -> Value {
        let parts = [&self.spec, &self.status].into_iter().flatten();
        let fields = parts.filter_map(Value::as_object).flatten();
        fields
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn status(status: Value) -> Patches {
        Patches {
            status: Some(json!({ "status": status })),
            spec: None,
        }
    }

    fn paused(paused: bool) -> Patches {
        Patches {
            status: None,
            spec: Some(json!({ "spec": { "paused": paused } })),
        }
    }
}

/// Ends the pause, or skips the step under way; with `full`, all that is left. Someone's own pause
/// ends first, and no step is skipped with it.
///
/// # Errors
/// If there is nothing to promote.
pub fn promote(rollout: &Rollout, full: bool) -> Result<Patches, Refusal> {
    let paused = rollout.spec.paused == Some(true);
    let unpause = if paused {
        Patches::paused(false)
    } else {
        Patches::default()
    };
    let waits = waits(&status(rollout));
    match in_flight(rollout) {
        Err(_) if paused => return Ok(unpause),
        Ok(()) if paused && !full && !waits => return Ok(unpause),
        goes => goes?,
    }
    let status = match full {
        true => json!({ "promoteFull": true }),
        false => onward(rollout).ok_or(Refusal::NothingToSkip)?,
    };
    Ok(Patches {
        spec: unpause.spec,
        ..Patches::status(status)
    })
}

/// Takes the release back.
///
/// # Errors
/// If no release is in flight, or it is taken back already.
pub fn abort(rollout: &Rollout) -> Result<Patches, Refusal> {
    in_flight(rollout)?;
    Ok(Patches::status(json!({ "abort": true })))
}

/// Starts the release again from its first step.
///
/// # Errors
/// If it is not aborted.
pub fn retry(rollout: &Rollout) -> Result<Patches, Refusal> {
    match status(rollout).abort {
        Some(true) => Ok(Patches::status(json!({ "abort": false }))),
        _ => Err(VerbRefusal::NotAborted.into()),
    }
}

/// Holds the release where it is.
pub fn pause() -> Patches {
    Patches::paused(true)
}

fn status(rollout: &Rollout) -> RolloutStatus {
    rollout.status.clone().unwrap_or_default()
}

/// Whether a pause condition holds it.
fn waits(status: &RolloutStatus) -> bool {
    let conditions = status.pause_conditions.as_ref();
    conditions.is_some_and(|conditions| !conditions.0.is_empty())
}

/// Whether there is a release to act on. A status that is not about the newest spec cannot tell, so
/// nothing is refused then: whoever aborts in haste is not held up by a slow controller.
fn in_flight(rollout: &Rollout) -> Result<(), VerbRefusal> {
    let status = status(rollout);
    if !is_observed(rollout) {
        return Ok(());
    }
    match (&status.stable_rs, &status.current_pod_hash) {
        (None, _) => Err(VerbRefusal::FirstDeploy),
        (Some(stable), _) if stable.is_empty() => Err(VerbRefusal::FirstDeploy),
        (stable, current) if stable == current => Err(VerbRefusal::NothingInFlight),
        _ if status.abort == Some(true) => Err(VerbRefusal::Aborted(why_aborted(&status))),
        _ => Ok(()),
    }
}

fn why_aborted(status: &RolloutStatus) -> String {
    let message = status.message.as_deref().unwrap_or_default();
    match message.strip_prefix(ABORTED) {
        Some(why) => why.to_string(),
        None => "its controller has not said why yet".to_string(),
    }
}

/// The status of a release that goes on: its pause ends, or the step under way is skipped.
fn onward(rollout: &Rollout) -> Option<Value> {
    let status = status(rollout);
    let canary = status.canary.as_ref();
    let run = canary.and_then(|canary| canary.0.get("currentStepAnalysisRunStatus"));
    let inconclusive = run.is_some_and(|run| run["status"] == "Inconclusive");
    let waits = waits(&status);
    if waits && inconclusive && status.controller_pause == Some(true) {
        // Without the pause alone, the step's analysis would be begun again.
        let next = next_step(rollout)?;
        return Some(json!({
            "pauseConditions": null, "controllerPause": false, "currentStepIndex": next,
        }));
    }
    if waits {
        return Some(json!({ "pauseConditions": null }));
    }
    let next = next_step(rollout)?;
    Some(json!({ "pauseConditions": null, "currentStepIndex": next }))
}

/// The step after the one under way; none without steps.
fn next_step(rollout: &Rollout) -> Option<usize> {
    let canary = rollout.spec.strategy.as_ref()?.0.get("canary")?;
    let steps = canary["steps"]
        .as_array()
        .filter(|steps| !steps.is_empty())?;
    let index = status(rollout).current_step_index.unwrap_or(0);
    let index = usize::try_from(index).unwrap_or(0);
    Some((index + 1).min(steps.len()))
}

#[cfg(test)]
mod tests;

//! What people ask of a release: a verb changes its state, and the next decision follows from it.

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::step::{Aborted, PauseReason, State};
use crate::time::Timestamp;

/// A request from a person. Pausing and going back to an older revision change what the manifest
/// asks for, so the world carries them out; the others are decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// End the pause, or skip the step under way.
    Promote {
        /// Skip all that is left, analysis too.
        full: bool,
    },
    /// Take the release back.
    Abort,
    /// Start an aborted release again from its first step.
    Retry,
    /// Stay where it is until promoted.
    Pause,
    /// Ask for an older revision's template.
    #[serde(rename_all = "camelCase")]
    Undo {
        /// Its number; none: the one before the current.
        to_revision: Option<u64>,
    },
}

/// Why a verb was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerbRefusal {
    /// There is no release to act on.
    #[error("no release is in flight: the template asked for is the stable one")]
    NothingInFlight,
    /// It was taken back before.
    #[error("the release is aborted: {0} (retry starts it again)")]
    Aborted(String),
    /// Only an aborted release can be retried.
    #[error("the release is not aborted, expected an aborted one to retry")]
    NotAborted,
    /// The first release has no steps.
    #[error("the first version is being deployed, there is nothing to go back to")]
    FirstDeploy,
    /// There is no such revision.
    #[error("revision {asked} is unknown, expected one of {known}")]
    UnknownRevision {
        /// What was asked for.
        asked: u64,
        /// What there is.
        known: String,
    },
    /// There is no revision before this one.
    #[error("there is no revision to go back to, expected at least two")]
    NoOlderRevision,
    /// The template asked for is in force already.
    #[error("revision {0} is the one asked for already")]
    SameRevision(u64),
}

/// The state after promoting. A release that waits goes on; one that does not wait skips the
/// step under way, as in Argo Rollouts.
///
/// # Errors
/// If no release is in flight, or it is aborted.
pub fn promote(plan: &Plan, state: &State, full: bool) -> Result<State, VerbRefusal> {
    let mut state = in_flight(state)?;
    if let Some(abort) = &state.abort {
        return Err(VerbRefusal::Aborted(abort.why.clone()));
    }
    if full {
        state.promote_full = true;
        state.pause = None;
        return Ok(state);
    }
    match state.pause.take() {
        // `controller_pause` stays: a pause that is gone while it is set has ended.
        Some(pause) if pause.reason == PauseReason::CanaryPauseStep => {}
        // The run beside the steps is begun again; the step's own goes on undisturbed.
        Some(pause) if !pause.step_run => state.background_attempt += 1,
        _ => {
            state.controller_pause = false;
            state.index = (state.index + 1).min(plan.steps.len());
        }
    }
    Ok(state)
}

/// The state after aborting by hand.
///
/// # Errors
/// If no release is in flight, or it is aborted already.
pub fn abort(state: &State, now: Timestamp) -> Result<State, VerbRefusal> {
    let mut state = in_flight(state)?;
    if let Some(abort) = &state.abort {
        return Err(VerbRefusal::Aborted(abort.why.clone()));
    }
    state.abort = Some(Aborted {
        since: now,
        why: "aborted by hand".to_string(),
    });
    state.rewind();
    Ok(state)
}

/// The state after retrying: at the first step, with analysis runs of its own.
///
/// # Errors
/// If the release is not aborted.
pub fn retry(state: &State, now: Timestamp) -> Result<State, VerbRefusal> {
    let mut state = in_flight(state)?;
    if state.abort.take().is_none() {
        return Err(VerbRefusal::NotAborted);
    }
    state.rewind();
    state.attempt += 1;
    state.progressed_at = now;
    Ok(state)
}

fn in_flight(state: &State) -> Result<State, VerbRefusal> {
    if state.stable.is_empty() {
        return Err(VerbRefusal::FirstDeploy);
    }
    if state.current == state.stable {
        return Err(VerbRefusal::NothingInFlight);
    }
    Ok(state.clone())
}

//! What a release remembers between passes, in the Rollout's status: the status comes in, the state
//! goes out, with what others asked for since.
//!
//! Argo Rollouts' own fields are what its clients read and write, so whoever changes one of them
//! asks for something: `status.abort` takes a release back, pause conditions that are gone end a
//! pause. `status.serin` holds what those fields have no place for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_core::plan::{Plan, Step};
use serin_core::step::{Aborted, PauseReason, Paused, PingPong, State, Traffic};
use serin_core::time::{Timestamp, parse_time};
use serin_core::verb;

use crate::api::RolloutStatus;

/// The field of the status that it is kept in.
pub(super) const FIELD: &str = "serin";

/// What is remembered of one Rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Memory {
    /// Where its release stands.
    pub state: State,
    /// The traffic that was known last to be as it was asked for.
    pub known: Option<Traffic>,
    /// What was asked for last.
    pub asked: Option<Asked>,
}

/// Traffic, and what the Services select for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    /// Who gets which requests.
    pub traffic: Traffic,
    /// The template hash that each Service selects, by the Service's name.
    pub services: BTreeMap<String, String>,
    /// The names that the router sends to: stable's Service and the canary's.
    pub routed: (Option<String>, Option<String>),
    /// The template hashes of stable's subset and of the canary's.
    pub subsets: (String, String),
}

/// Where a memory is from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// The Rollout is new.
    New,
    /// Stored by an earlier pass, and heeded.
    Stored(Box<Memory>),
    /// Another controller looked after the Rollout; what it asked for is to be read off the objects.
    TakenOver(Box<State>),
}

/// Reads the memory out of a status.
pub(super) fn read(status: Option<&RolloutStatus>, plan: &Plan, now: Timestamp) -> Origin {
    let Some(status) = status else {
        return Origin::New;
    };
    let stored = status.rest.get(FIELD);
    let stored = stored.and_then(|stored| Memory::deserialize(stored).ok());
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (current, stable) = (text(&status.current_pod_hash), text(&status.stable_rs));
    match stored {
        Some(mut memory) if memory.state.current == current && memory.state.stable == stable => {
            memory.state = heed(memory.state, status, plan, now);
            Origin::Stored(Box::new(memory))
        }
        _ if current.is_empty() => Origin::New,
        _ => Origin::TakenOver(Box::new(taken_over(status, plan, now))),
    }
}

/// The state with what was asked for since it was stored.
fn heed(state: State, status: &RolloutStatus, plan: &Plan, now: Timestamp) -> State {
    let asked_back = status.abort == Some(true);
    if asked_back && state.abort.is_none() {
        return verb::abort(&state, now).unwrap_or(state);
    }
    if !asked_back && state.abort.is_some() {
        return verb::retry(&state, now).unwrap_or(state);
    }
    if state.abort.is_some() {
        return state;
    }
    let mut state = gone_on(state, status, plan);
    if status.promote_full == Some(true) && !state.promote_full {
        state = verb::promote(plan, &state, true).unwrap_or(state);
    }
    state
}

/// The state after someone ended a pause or moved the step.
fn gone_on(mut state: State, status: &RolloutStatus, plan: &Plan) -> State {
    let index = status
        .current_step_index
        .and_then(|index| usize::try_from(index).ok());
    let moved = index
        .map(|index| index.min(plan.steps.len()))
        .filter(|index| *index != state.index.min(plan.steps.len()));
    let paused = status
        .pause_conditions
        .as_ref()
        .is_some_and(|conditions| !conditions.0.is_empty());
    if let Some(index) = moved {
        state.index = index;
        state.pause = None;
        state.controller_pause = false;
        return state;
    }
    if paused {
        return state;
    }
    match state.pause.take() {
        // `controller_pause` stays: a pause that is gone while it is set has ended.
        None => {}
        Some(pause) if pause.reason == PauseReason::CanaryPauseStep => {}
        // Whoever ends the pause and moves no step asks for the analysis again.
        Some(pause) if pause.step_run => {
            state.controller_pause = false;
            state.attempt += 1;
        }
        Some(_) => state.background_attempt += 1,
    }
    state
}

/// The state that another controller left in its status.
fn taken_over(status: &RolloutStatus, plan: &Plan, now: Timestamp) -> State {
    let index = status
        .current_step_index
        .and_then(|index| usize::try_from(index).ok());
    let index = index.unwrap_or(plan.steps.len()).min(plan.steps.len());
    let time = |text: &str| parse_time(text).unwrap_or(now);
    let aborted = (status.abort == Some(true)).then(|| Aborted {
        since: status.aborted_at.as_ref().map_or(now, |at| time(&at.0)),
        why: abort_reason(status),
    });
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    State {
        stable: text(&status.stable_rs),
        current: text(&status.current_pod_hash),
        steps: plan.steps_hash.clone(),
        index,
        pause: pause(status, plan, index, now),
        controller_pause: status.controller_pause == Some(true),
        abort: aborted,
        promote_full: status.promote_full == Some(true),
        attempt: attempt(status),
        progressed_at: now,
        stable_ping_pong: ping_pong(status),
        restarted_at: status.restarted_at.as_ref().map(|at| time(&at.0)),
        ..State::default()
    }
}

fn pause(status: &RolloutStatus, plan: &Plan, index: usize, now: Timestamp) -> Option<Paused> {
    let first = status.pause_conditions.as_ref()?.0.first()?;
    let reason = first.0.get("reason").and_then(Value::as_str)?;
    let since = first.0.get("startTime").and_then(Value::as_str);
    let reason = match reason {
        "CanaryPauseStep" => PauseReason::CanaryPauseStep,
        _ => PauseReason::InconclusiveAnalysisRun,
    };
    let analysis = matches!(plan.steps.get(index), Some(Step::Analysis(_)));
    Some(Paused {
        reason,
        step_run: analysis && reason == PauseReason::InconclusiveAnalysisRun,
        since: since.and_then(parse_time).unwrap_or(now),
    })
}

/// The reason of an abort, out of the condition that tells it.
fn abort_reason(status: &RolloutStatus) -> String {
    let conditions = status.conditions.iter().flat_map(|list| &list.0);
    let told = conditions
        .filter(|condition| {
            condition.0.get("reason").and_then(Value::as_str) == Some("RolloutAborted")
        })
        .find_map(|condition| condition.0.get("message").and_then(Value::as_str));
    let why = told.and_then(|message| {
        let rest = message.strip_prefix("Rollout aborted update to revision ")?;
        Some(rest.split_once(": ")?.1.to_string())
    });
    why.unwrap_or_else(|| "aborted before this controller took over".to_string())
}

/// How often the analysis was begun again, out of the name of its run: `.N` stands at its end.
fn attempt(status: &RolloutStatus) -> u32 {
    let canary = status.canary.as_ref();
    let run = canary.and_then(|canary| canary.0.get("currentStepAnalysisRunStatus"));
    let name = run.and_then(|run| run.get("name")).and_then(Value::as_str);
    let suffix = name.and_then(|name| name.rsplit_once('.')).map(|(_, n)| n);
    suffix.and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn ping_pong(status: &RolloutStatus) -> Option<PingPong> {
    match status.canary.as_ref()?.0.get("stablePingPong")?.as_str()? {
        "ping" => Some(PingPong::Ping),
        "pong" => Some(PingPong::Pong),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! The signs that users of `kubectl argo rollouts get` know.

use serin_core::step::{Phase, RunPhase};

use super::paint::Colour;
use crate::view::{PodView, SetHealth};

const GOOD: (&str, Colour) = ("✔", Colour::Green);
const BAD: (&str, Colour) = ("✖", Colour::Red);
const WARNING: (&str, Colour) = ("⚠", Colour::Yellow);
const UNDER_WAY: (&str, Colour) = ("◌", Colour::Cyan);
const PAUSED: (&str, Colour) = ("॥", Colour::Yellow);
const NEUTRAL: (&str, Colour) = ("•", Colour::Dim);
const WAITING: (&str, Colour) = ("◷", Colour::Cyan);
const UNKNOWN: (&str, Colour) = ("?", Colour::Yellow);

/// How a Rollout stands.
pub(super) fn phase(phase: Phase) -> (&'static str, Colour) {
    match phase {
        Phase::Progressing => UNDER_WAY,
        Phase::Paused => PAUSED,
        Phase::Healthy => GOOD,
        Phase::Degraded => BAD,
    }
}

/// How an analysis run stands.
pub(super) fn run(phase: RunPhase) -> (&'static str, Colour) {
    match phase {
        RunPhase::Pending => WAITING,
        RunPhase::Running => UNDER_WAY,
        RunPhase::Successful => GOOD,
        RunPhase::Failed => BAD,
        RunPhase::Error => WARNING,
        RunPhase::Inconclusive => UNKNOWN,
    }
}

/// How a ReplicaSet stands, and the word for it.
pub(super) fn replica_set(health: SetHealth) -> ((&'static str, Colour), &'static str) {
    match health {
        SetHealth::Healthy => (GOOD, "Healthy"),
        SetHealth::Progressing => (UNDER_WAY, "Progressing"),
        SetHealth::ScaledDown => (NEUTRAL, "ScaledDown"),
        SetHealth::Degraded => (BAD, "Degraded"),
        SetHealth::ReplicaFailure => (BAD, "ReplicaFailure"),
    }
}

/// How a pod stands.
pub(super) fn pod(pod: &PodView) -> (&'static str, Colour) {
    match pod.status.as_str() {
        "Running" | "Completed" => GOOD,
        "Pending" | "ContainerCreating" | "PodInitializing" | "Terminating" => UNDER_WAY,
        _ if pod.is_broken() => BAD,
        status if status.contains("ImagePull") || status.contains("Err") => WARNING,
        "RegistryUnavailable" => WARNING,
        status if status.starts_with("Init:") => UNDER_WAY,
        _ => UNKNOWN,
    }
}

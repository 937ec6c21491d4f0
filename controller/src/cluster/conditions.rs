//! A Rollout's conditions: what is to be told comes in with the conditions so far, the list goes
//! out. What did not change keeps its times, so a list that says the same is the same.

use serde_json::{Value, json};
use serin_core::step::{Decision, Phase, Why};

/// One condition as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: String,
    message: String,
}

impl Condition {
    pub(super) fn new(
        kind: &'static str,
        holds: bool,
        reason: &str,
        message: impl Into<String>,
    ) -> Condition {
        Condition {
            kind,
            status: if holds { "True" } else { "False" },
            reason: reason.to_string(),
            message: message.into(),
        }
    }

    /// That the manifest cannot be carried out, and why.
    pub(super) fn invalid(why: impl Into<String>) -> Condition {
        Condition::new(INVALID, true, INVALID, why)
    }
}

/// The condition of a manifest that cannot be carried out, and its reason.
pub(super) const INVALID: &str = "InvalidSpec";

/// The conditions that a decision comes to.
pub(super) fn of_decision(decision: &Decision, available: bool, set: &str) -> Vec<Condition> {
    let paused = decision.phase == Phase::Paused;
    let healthy = decision.phase == Phase::Healthy;
    let done = decision.why == Why::Done;
    let minimum = match available {
        true => "Rollout has minimum availability",
        false => "Rollout does not have minimum availability",
    };
    let health = if healthy {
        "Rollout is healthy"
    } else {
        "Rollout is not healthy"
    };
    let mut conditions = vec![
        Condition::new("Available", available, "AvailableReason", minimum),
        progressing(&decision.why, set),
        Condition::new("Healthy", healthy, "RolloutHealthy", health),
        Condition::new("Completed", done, "RolloutCompleted", "RolloutCompleted"),
    ];
    // As with Argo Rollouts, a Rollout that was never paused has no such condition.
    conditions.push(Condition::new(
        PAUSED,
        paused,
        "RolloutPaused",
        "Rollout is paused",
    ));
    conditions
}

/// The condition that is there only once it was true.
const PAUSED: &str = "Paused";

fn progressing(why: &Why, set: &str) -> Condition {
    let (holds, reason, message) = match why {
        Why::Done => (
            true,
            "NewReplicaSetAvailable",
            format!("ReplicaSet \"{set}\" has successfully progressed."),
        ),
        Why::Aborted { revision, why } => (
            false,
            "RolloutAborted",
            format!("Rollout aborted update to revision {revision}: {why}"),
        ),
        Why::DeadlineExceeded { set } => (
            false,
            "ProgressDeadlineExceeded",
            format!("ReplicaSet \"{set}\" has timed out progressing."),
        ),
        Why::Paused(_) | Why::ManuallyPaused => {
            return Condition {
                status: "Unknown",
                ..Condition::new("Progressing", true, "RolloutPaused", "Rollout is paused")
            };
        }
        _ => (
            true,
            "ReplicaSetUpdated",
            format!("ReplicaSet \"{set}\" is progressing."),
        ),
    };
    Condition::new("Progressing", holds, reason, message)
}

/// That something keeps the ReplicaSets from being as they should.
pub(super) const FAILURE: &str = "ReplicaFailure";

/// The list with these conditions in the place of those of the same type; others stay, but those of
/// trouble that is over.
pub(super) fn merged(before: &[Value], wanted: &[Condition], now: &str) -> Vec<Value> {
    let kind = |value: &Value| {
        value
            .get("type")
            .and_then(Value::as_str)
            .map(str::to_string)
    };
    let wants = |name: &str| wanted.iter().any(|condition| condition.kind == name);
    let mut list: Vec<Value> = before
        .iter()
        .filter(|value| {
            let trouble = |name: &str| [INVALID, FAILURE].contains(&name);
            kind(value).is_some_and(|name| !trouble(&name) || wants(&name))
        })
        .cloned()
        .collect();
    for condition in wanted {
        let at = list
            .iter()
            .position(|value| kind(value).as_deref() == Some(condition.kind));
        match at.and_then(|at| list.get_mut(at)) {
            Some(value) => update(value, condition, now),
            None if condition.kind == PAUSED && condition.status != "True" => {}
            None => list.push(fresh(condition, now, now)),
        }
    }
    list
}

fn update(value: &mut Value, condition: &Condition, now: &str) {
    let says = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let same_status = says("status") == condition.status;
    let same =
        same_status && says("reason") == condition.reason && says("message") == condition.message;
    if !same {
        let since = match says("lastTransitionTime") {
            since if same_status && !since.is_empty() => since.to_string(),
            _ => now.to_string(),
        };
        *value = fresh(condition, now, &since);
    }
}

fn fresh(condition: &Condition, now: &str, since: &str) -> Value {
    json!({
        "type": condition.kind, "status": condition.status,
        "reason": condition.reason, "message": condition.message,
        "lastUpdateTime": now, "lastTransitionTime": since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T00:00:09Z";

    fn healthy(holds: bool) -> Condition {
        Condition::new("Healthy", holds, "RolloutHealthy", format!("{holds}"))
    }

    #[test]
    fn what_says_the_same_keeps_its_times() {
        let first = merged(&[], &[healthy(true)], EARLY);
        assert_eq!(merged(&first, &[healthy(true)], LATE), first);
        let other = merged(&first, &[healthy(false)], LATE);
        assert_eq!(other[0]["lastTransitionTime"], LATE);
        let words = Condition::new("Healthy", true, "RolloutHealthy", "in other words");
        let other = merged(&first, &[words], LATE);
        assert_eq!(
            other[0]["lastTransitionTime"], EARLY,
            "the status is what it was"
        );
        assert_eq!(other[0]["lastUpdateTime"], LATE);
    }

    #[test]
    fn a_manifest_is_valid_again_without_a_trace() {
        let list = merged(&[], &[Condition::invalid("no Service")], EARLY);
        assert_eq!(list[0]["message"], "no Service");
        assert_eq!(merged(&list, &[], LATE), Vec::<Value>::new());
    }

    #[test]
    fn a_rollout_that_was_never_paused_does_not_say_so() {
        let paused = |holds| Condition::new(PAUSED, holds, "RolloutPaused", "Rollout is paused");
        assert!(merged(&[], &[paused(false)], EARLY).is_empty());
        let list = merged(&[], &[paused(true)], EARLY);
        assert_eq!(merged(&list, &[paused(false)], LATE)[0]["status"], "False");
    }

    #[test]
    fn conditions_of_others_stay() {
        let theirs = json!({"type": "Theirs", "status": "True"});
        let list = merged(std::slice::from_ref(&theirs), &[healthy(true)], EARLY);
        assert_eq!(list[0], theirs);
    }
}

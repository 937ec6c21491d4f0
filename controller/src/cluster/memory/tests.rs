use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn plan() -> Plan {
    let steps = json!([
        {"setWeight": 10}, {"pause": {}},
        {"analysis": {"templates": [{"templateName": "ok"}]}}, {"setWeight": 50},
    ]);
    let document = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
            "strategy": {"canary": {"steps": steps}},
        },
    });
    Plan::parse(&document, "default").unwrap()
}

/// A state at a step, and the status that shows it.
fn at(index: usize, pause: Option<PauseReason>) -> (State, Value) {
    let step_run = pause == Some(PauseReason::InconclusiveAnalysisRun);
    let since = Timestamp(1_000);
    let state = State {
        stable: "one".into(),
        current: "two".into(),
        steps: plan().steps_hash,
        index,
        controller_pause: pause.is_some(),
        pause: pause.map(|reason| Paused {
            reason,
            step_run,
            since,
        }),
        ..State::default()
    };
    let conditions = pause.map(|reason| json!([{"reason": format!("{reason:?}")}]));
    let status = json!({
        "stableRS": "one", "currentPodHash": "two", "currentStepIndex": index,
        "pauseConditions": conditions, "controllerPause": pause.is_some(),
        "serin": {"state": state},
    });
    (state, status)
}

fn heeded(status: Value) -> State {
    let status = serde_json::from_value(status).unwrap();
    match read(Some(&status), &plan(), NOW) {
        Origin::Stored(memory) => memory.state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_touched_comes_back_as_it_was() {
    for pause in [None, Some(PauseReason::CanaryPauseStep)] {
        let (state, status) = at(1, pause);
        assert_eq!(heeded(status), state);
    }
}

#[test]
fn a_pause_condition_that_is_gone_ends_the_pause() {
    let (state, mut status) = at(1, Some(PauseReason::CanaryPauseStep));
    status["pauseConditions"] = Value::Null;
    let expected = State {
        pause: None,
        ..state
    };
    assert_eq!(heeded(status), expected, "the step completes by itself");
}

#[test]
fn a_step_that_was_moved_is_skipped() {
    let (_, mut status) = at(2, None);
    status["currentStepIndex"] = json!(3);
    let state = heeded(status);
    assert_eq!((state.index, state.attempt), (3, 0));
    let (_, mut status) = at(2, Some(PauseReason::InconclusiveAnalysisRun));
    status["currentStepIndex"] = json!(30);
    let state = heeded(status);
    assert_eq!(
        (state.index, state.pause),
        (4, None),
        "no further than to the end"
    );
}

#[test]
fn an_inconclusive_analysis_that_is_let_go_begins_again() {
    let (_, mut status) = at(2, Some(PauseReason::InconclusiveAnalysisRun));
    status["pauseConditions"] = json!([]);
    let state = heeded(status);
    assert_eq!((state.index, state.attempt, state.pause), (2, 1, None));
}

#[test]
fn abort_retry_and_full_promotion_are_fields_of_the_status() {
    let (_, mut status) = at(2, None);
    status["abort"] = json!(true);
    let state = heeded(status);
    assert_eq!(state.abort.as_ref().unwrap().why, "aborted by hand");
    assert_eq!(state.index, 0);
    let retried = json!({
        "stableRS": "one", "currentPodHash": "two", "currentStepIndex": 0, "abort": false,
        "serin": {"state": state},
    });
    let state = heeded(retried);
    assert_eq!((state.abort, state.attempt), (None, 1));

    let (_, mut status) = at(1, Some(PauseReason::CanaryPauseStep));
    status["promoteFull"] = json!(true);
    let state = heeded(status);
    assert!(state.promote_full && state.pause.is_none(), "{state:?}");
}

#[test]
fn another_controllers_status_is_taken_over() {
    let status = json!({
        "stableRS": "one", "currentPodHash": "two", "currentStepIndex": 1,
        "controllerPause": true, "currentStepHash": "somebody's",
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "1970-01-01T00:00:05Z"}],
        "canary": {"stablePingPong": "pong",
            "currentStepAnalysisRunStatus": {"name": "shop-two-2-2.3"}},
        "restartedAt": "1970-01-01T00:00:07Z",
    });
    let status: RolloutStatus = serde_json::from_value(status).unwrap();
    let Origin::TakenOver(state) = read(Some(&status), &plan(), NOW) else {
        panic!("not taken over")
    };
    assert_eq!((state.index, state.attempt), (1, 3));
    assert_eq!(
        state.steps,
        plan().steps_hash,
        "its steps are not begun again"
    );
    assert_eq!(state.pause.unwrap().since, Timestamp(5_000));
    assert_eq!(state.stable_ping_pong, Some(PingPong::Pong));
    assert_eq!(state.restarted_at, Some(Timestamp(7_000)));
}

#[test]
fn a_memory_that_another_controller_overtook_is_dropped() {
    let (_, mut status) = at(1, None);
    status["currentPodHash"] = json!("three");
    let status: RolloutStatus = serde_json::from_value(status).unwrap();
    let Origin::TakenOver(state) = read(Some(&status), &plan(), NOW) else {
        panic!("not taken over")
    };
    assert_eq!(state.current, "three");
}

#[test]
fn an_abort_is_taken_over_with_its_reason() {
    let status = json!({
        "stableRS": "one", "currentPodHash": "two", "currentStepIndex": 0, "abort": true,
        "abortedAt": "1970-01-01T00:00:09Z",
        "conditions": [{"type": "Progressing", "reason": "RolloutAborted",
            "message": "Rollout aborted update to revision 2: metric \"x\": bad"}],
    });
    let status: RolloutStatus = serde_json::from_value(status).unwrap();
    let Origin::TakenOver(state) = read(Some(&status), &plan(), NOW) else {
        panic!("not taken over")
    };
    let expected = Aborted {
        since: Timestamp(9_000),
        why: "metric \"x\": bad".into(),
    };
    assert_eq!(state.abort, Some(expected));
}

#[test]
fn a_rollout_without_a_status_is_new() {
    assert_eq!(read(None, &plan(), NOW), Origin::New);
    assert_eq!(
        read(Some(&RolloutStatus::default()), &plan(), NOW),
        Origin::New
    );
}

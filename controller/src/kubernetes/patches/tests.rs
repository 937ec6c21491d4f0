use super::*;

#[test]
fn promoting_ends_a_pause_or_skips_a_step() {
    let next = json!({"pauseConditions": null, "currentStepIndex": 2});
    let skip = json!({"pauseConditions": null, "controllerPause": false, "currentStepIndex": 2});
    let end = json!({"pauseConditions": null});
    for (change, expected) in [
        (json!({}), next),
        (
            json!({"pauseConditions": PAUSED, "controllerPause": true}),
            end.clone(),
        ),
        (
            json!({"pauseConditions": PAUSED, "controllerPause": true, "canary": INCONCLUSIVE}),
            skip,
        ),
        (
            json!({"pauseConditions": PAUSED, "canary": INCONCLUSIVE}),
            end,
        ),
        (
            json!({"currentStepIndex": 3}),
            json!({"pauseConditions": null, "currentStepIndex": 3}),
        ),
    ] {
        let rollout = rollout(json!({}), change.clone());
        let patches = promote(&rollout, false).unwrap();
        assert_eq!(patches, Patches::status(expected), "{change}");
    }
}

#[test]
fn promoting_in_full_says_so() {
    let patches = promote(&rollout(json!({}), json!({})), true).unwrap();
    assert_eq!(patches, Patches::status(json!({"promoteFull": true})));
}

#[test]
fn someones_own_pause_ends_first() {
    let paused = json!({"paused": true});
    let only_unpause = Patches::paused(false);
    for (change, full, status) in [
        (json!({}), false, None),
        (json!({"stableRS": "new"}), false, None),
        (json!({"stableRS": "new"}), true, None),
        (json!({"stableRS": ""}), true, None),
        (json!({"abort": true}), true, None),
        (json!({}), true, Some(json!({"promoteFull": true}))),
        (
            json!({"pauseConditions": PAUSED}),
            false,
            Some(json!({"pauseConditions": null})),
        ),
    ] {
        let patches = promote(&rollout(paused.clone(), change.clone()), full).unwrap();
        let expected = Patches {
            status: status.map(|status| json!({ "status": status })),
            ..only_unpause.clone()
        };
        assert_eq!(patches, expected, "{change} {full}");
    }
    let both = promote(&rollout(paused, json!({})), true).unwrap().united();
    assert_eq!(
        both,
        json!({"spec": {"paused": false}, "status": {"promoteFull": true}})
    );
}

#[test]
fn what_makes_no_sense_is_refused_in_local_modes_words() {
    let why = "Rollout aborted update to revision 2: too many errors";
    let message = format!("RolloutAborted: {why}");
    let aborted = VerbRefusal::Aborted(why.to_string());
    let hasty = VerbRefusal::Aborted("its controller has not said why yet".to_string());
    for (change, expected) in [
        (json!({"stableRS": "new"}), VerbRefusal::NothingInFlight),
        (json!({"stableRS": ""}), VerbRefusal::FirstDeploy),
        (json!({"stableRS": null}), VerbRefusal::FirstDeploy),
        (json!({"abort": true, "message": message}), aborted),
        (json!({"abort": true, "message": "CanaryPauseStep"}), hasty),
    ] {
        let rollout = rollout(json!({}), change.clone());
        let expected = Refusal::Verb(expected);
        assert_eq!(promote(&rollout, false), Err(expected.clone()), "{change}");
        assert_eq!(promote(&rollout, true), Err(expected.clone()), "{change}");
        assert_eq!(abort(&rollout), Err(expected), "{change}");
    }
    let stepless = rollout(json!({"strategy": {"canary": {}}}), json!({}));
    assert_eq!(promote(&stepless, false), Err(Refusal::NothingToSkip));
    assert!(promote(&stepless, true).is_ok());
    assert_eq!(
        retry(&stepless),
        Err(Refusal::Verb(VerbRefusal::NotAborted))
    );
}

#[test]
fn a_status_of_an_older_spec_refuses_nothing() {
    for change in [
        json!({"stableRS": "new"}),
        json!({"stableRS": ""}),
        json!({"abort": true}),
    ] {
        let mut rollout = rollout(json!({}), change);
        rollout.metadata.generation = Some(8);
        assert_eq!(abort(&rollout), Ok(Patches::status(json!({"abort": true}))));
    }
}

#[test]
fn aborting_and_retrying_write_one_field() {
    let going = rollout(json!({}), json!({}));
    assert_eq!(abort(&going), Ok(Patches::status(json!({"abort": true}))));
    let aborted = rollout(json!({}), json!({"abort": true}));
    assert_eq!(
        retry(&aborted),
        Ok(Patches::status(json!({"abort": false})))
    );
    assert_eq!(pause(), Patches::paused(true));
}

const PAUSED: [Reason; 1] = [Reason {
    reason: "CanaryPauseStep",
}];
const INCONCLUSIVE: Canary = Canary {
    run: Run {
        status: "Inconclusive",
    },
};

#[derive(serde::Serialize)]
struct Reason {
    reason: &'static str,
}

#[derive(serde::Serialize)]
struct Canary {
    #[serde(rename = "currentStepAnalysisRunStatus")]
    run: Run,
}

#[derive(serde::Serialize)]
struct Run {
    status: &'static str,
}

/// A Rollout at the second of three steps, apart from what is said here.
fn rollout(spec: Value, status: Value) -> Rollout {
    let mut rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "generation": 7},
        "spec": {"strategy": {"canary": {"steps": [{"setWeight": 5}, {"pause": {}}, {"setWeight": 50}]}}},
        "status": {"observedGeneration": "7", "stableRS": "old", "currentPodHash": "new",
            "currentStepIndex": 1},
    });
    for (part, change) in [("spec", spec), ("status", status)] {
        for (name, value) in change.as_object().unwrap() {
            rollout[part][name] = value.clone();
        }
    }
    serde_json::from_value(rollout).unwrap()
}

use serde_json::{Value, json};
use serin_core::step::{Phase, RunPhase};
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::draw::{self, Paint};
use crate::view::{PodView, SetHealth};

const CANARY_DEMO: &str = include_str!("fixtures/canary-demo.json");

/// A week after everything in the fixture was created.
fn now() -> Timestamp {
    let now: k8s_openapi::jiff::Timestamp = "2026-03-08T12:00:00Z".parse().unwrap();
    Timestamp(now.as_millisecond())
}

#[test]
fn a_rollout_of_argo_is_shown_as_its_own_plugin_shows_it() {
    // `kubectl argo rollouts get rollout canary-demo`, apart from the steps.
    let expected = "\
Name:            canary-demo
Namespace:       jesse-test
Status:          ✖ Degraded
Message:         ProgressDeadlineExceeded: ReplicaSet \"canary-demo-65fb5ffc84\" has timed out progressing.
Strategy:        Canary
  Step:          0/8
  SetWeight:     20
  ActualWeight:  0
Images:          argoproj/rollouts-demo:does-not-exist (canary)
                 argoproj/rollouts-demo:green (stable)
Replicas:
  Desired:       5
  Current:       6
  Updated:       1
  Ready:         5
  Available:     5

NAME                                     KIND        STATUS              AGE  INFO
⟳ canary-demo                            Rollout     ✖ Degraded          7d
├──# revision:31
│  └──⧉ canary-demo-65fb5ffc84           ReplicaSet  ◌ Progressing       7d   canary
│     └──□ canary-demo-65fb5ffc84-9wf5r  Pod         ⚠ ImagePullBackOff  7d   ready:0/1
├──# revision:30
│  └──⧉ canary-demo-877894d5b            ReplicaSet  ✔ Healthy           7d   stable
│     └──□ canary-demo-877894d5b-6jfpt   Pod         ✔ Running           7d   ready:1/1
└──# revision:29
   └──⧉ canary-demo-859c99b45c           ReplicaSet  • ScaledDown        7d
";
    let view = picture(&objects(&demo()));
    let text = draw::rollout(&view, now(), Paint::PLAIN);
    assert_eq!(without_steps(&text), expected);
    let steps: Vec<&str> = view.steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(
        steps[..4],
        [
            "setWeight: 20",
            "pause: until promoted",
            "setWeight: 40",
            "pause: 10s"
        ]
    );
    assert_eq!(steps[5], steps[3], "a number is seconds");
    assert_eq!(steps[7], steps[3], "and so is one that is written as text");
    assert!(text.lines().all(|line| line.width() < 110), "{text}");
}

#[test]
fn a_status_of_an_older_spec_is_not_shown_as_that_of_the_new_one() {
    for (generation, observed, expected) in [
        (
            430,
            json!("429"),
            "Progressing - waiting for rollout spec update to be observed",
        ),
        (429, json!("429"), "Degraded - ProgressDeadlineExceeded"),
        (428, json!("429"), "Degraded - ProgressDeadlineExceeded"),
        (
            430,
            json!("5f8c6d7b9"),
            "Degraded - ProgressDeadlineExceeded",
        ),
        (430, Value::Null, "Degraded - ProgressDeadlineExceeded"),
    ] {
        let mut demo = demo();
        demo[0]["metadata"]["generation"] = json!(generation);
        demo[0]["status"]["observedGeneration"] = observed.clone();
        let text = draw::status(&picture(&objects(&demo)));
        assert!(
            text.starts_with(expected),
            "{generation} {observed}: {text}"
        );
    }
}

#[test]
fn a_pause_that_is_taken_away_is_about_to_end() {
    let mut demo = demo();
    demo[0]["status"]["controllerPause"] = json!(true);
    demo[0]["status"]["pauseConditions"] = json!([{"reason": "CanaryPauseStep"}]);
    demo[0]["status"]["phase"] = json!("Paused");
    demo[0]["status"]["message"] = json!("CanaryPauseStep");
    assert_eq!(
        draw::status(&picture(&objects(&demo))),
        "Paused - CanaryPauseStep"
    );
    demo[0]["status"]["pauseConditions"] = Value::Null;
    assert_eq!(
        draw::status(&picture(&objects(&demo))),
        "Progressing - waiting for rollout to unpause"
    );
}

#[test]
fn an_abort_that_is_taken_away_is_about_to_end() {
    let mut demo = demo();
    demo[0]["status"]["message"] = json!("RolloutAborted: Rollout aborted update to revision 31");
    demo[0]["status"]["abort"] = json!(true);
    assert!(draw::status(&picture(&objects(&demo))).starts_with("Degraded - RolloutAborted"));
    demo[0]["status"]["abort"] = json!(false);
    assert_eq!(
        draw::status(&picture(&objects(&demo))),
        "Progressing - waiting for rollout to be retried"
    );
}

#[test]
fn a_rollout_that_nobody_acts_on_is_not_healthy() {
    let mut demo = demo();
    demo[0]["status"] = Value::Null;
    let view = picture(&objects(&demo));
    assert_eq!(
        draw::status(&view),
        "Progressing - no controller has acted on it yet"
    );
    assert_eq!(view.replicas, Replicas::default());
    assert!(
        view.revisions
            .iter()
            .all(|revision| revision.role.is_none())
    );
}

#[test]
fn the_weight_in_force_is_the_routers_or_the_share_of_pods() {
    // index, abort, router, what the status says of weights; set and actual weight
    let weights = json!({"canary": {"weight": 15}, "stable": {"weight": 85}});
    for (index, abort, router, canary, expected) in [
        (2, false, Value::Null, json!({}), (4_000, 2_000)),
        (2, true, Value::Null, json!({}), (0, 2_000)),
        (8, false, Value::Null, json!({}), (10_000, 10_000)),
        (99, false, Value::Null, json!({}), (10_000, 10_000)),
        (2, false, json!({"istio": {}}), json!({}), (4_000, 4_000)),
        (
            2,
            false,
            json!({"istio": {}}),
            json!({"weights": weights}),
            (4_000, 1_500),
        ),
        (
            2,
            false,
            json!({"maxTrafficWeight": 1000}),
            json!({"weights": weights}),
            (400, 150),
        ),
        (
            2,
            true,
            json!({"istio": {}}),
            json!({"weights": weights}),
            (0, 1_500),
        ),
    ] {
        let mut demo = demo();
        demo[0]["status"]["currentStepIndex"] = json!(index);
        demo[0]["status"]["abort"] = json!(abort);
        demo[0]["status"]["canary"] = canary;
        demo[0]["spec"]["strategy"]["canary"]["trafficRouting"] = router.clone();
        demo[3]["status"]["availableReplicas"] = json!(1);
        let view = picture(&objects(&demo));
        let seen = (view.set_weight_bp, view.actual_weight_bp);
        assert_eq!(seen, expected, "step {index}, abort {abort}, {router}");
        assert!(view.step_index <= 8);
    }
}

#[test]
fn every_step_of_the_api_has_its_words() {
    let steps = json!([
        {"setWeight": 5}, {"pause": null}, {"setWeight": 6, "pause": null},
        {"analysis": {"templates": [{"templateName": "rate"}, {"templateName": "errors"}]}},
        {"setCanaryScale": {"replicas": 2}}, {"setCanaryScale": {"matchTrafficWeight": true}},
        {"setHeaderRoute": {"name": "by-header", "match": [{"headerName": "x"}]}},
        {"setHeaderRoute": {"name": "by-header"}}, {"setMirrorRoute": {"name": "mirror", "match": [{}]}},
        {"experiment": {"duration": "1h"}}, {"plugin": {"name": "org/step"}},
        {"pause": {"duration": "soon"}}, {}, "text",
    ]);
    let mut demo = demo();
    demo[0]["spec"]["strategy"]["canary"]["steps"] = steps;
    let view = picture(&objects(&demo));
    let texts: Vec<&str> = view.steps.iter().map(|step| step.text.as_str()).collect();
    let expected = [
        "setWeight: 5",
        "pause: until promoted",
        "setWeight: 6",
        "analysis: rate, errors",
        "setCanaryScale: 2 replicas",
        "setCanaryScale: matchTrafficWeight",
        "setHeaderRoute: by-header",
        "setHeaderRoute: by-header (remove)",
        "setMirrorRoute: mirror",
        "experiment",
        "plugin: org/step",
        "pause",
        "unknown",
        "unknown",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn runs_are_shown_with_their_revision_and_counted_over_all_metrics() {
    let run = |name: &str, revision: &str, phase: &str, owner: &str| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": name, "annotations": {REVISION: revision},
                "ownerReferences": [{"apiVersion": "", "kind": "Rollout", "name": "", "uid": owner}]},
            "spec": {"metrics": []},
            "status": {"phase": phase, "message": "why", "metricResults": [
                {"name": "a", "successful": 3, "failed": 1},
                {"name": "b", "successful": 1, "failed": 3, "inconclusive": 1, "error": 1}]},
        })
    };
    let mut demo = demo();
    demo.push(run(
        "canary-demo-65fb5ffc84-31-1",
        "31",
        "Inconclusive",
        "rollout-1",
    ));
    demo.push(run("canary-demo-877894d5b-2-1", "2", "", "rollout-1"));
    demo.push(run("of-another", "31", "Running", "rollout-2"));
    let view = picture(&objects(&demo));
    let numbers: Vec<u64> = view
        .revisions
        .iter()
        .map(|revision| revision.number)
        .collect();
    assert_eq!(numbers, [31, 30, 29, 2]);
    let [run] = view.revisions[0].runs.as_slice() else {
        panic!("{:#?}", view.revisions[0].runs);
    };
    assert_eq!(
        (run.phase, run.message.as_str()),
        (RunPhase::Inconclusive, "why")
    );
    let counts = (run.successful, run.failed, run.inconclusive, run.error);
    assert_eq!(counts, (4, 4, 1, 1));
    // The revision whose ReplicaSet has got a newer number since.
    let gone = &view.revisions[3];
    assert_eq!((gone.replica_set.as_str(), gone.runs.len()), ("", 1));
    assert_eq!(gone.runs[0].phase, RunPhase::Pending);
    assert_eq!(
        draw::status(&view),
        draw::status(&outline(&objects(&demo).rollout))
    );
}

#[test]
fn a_replica_set_stands_as_its_own_status_says() {
    let failing = json!([{"type": "ReplicaFailure", "status": "True"}]);
    for (generation, status, expected) in [
        (
            1,
            json!({"observedGeneration": 1, "replicas": 1, "availableReplicas": 1}),
            SetHealth::Healthy,
        ),
        (
            2,
            json!({"observedGeneration": 1, "replicas": 1, "availableReplicas": 1}),
            SetHealth::Progressing,
        ),
        (
            1,
            json!({"observedGeneration": 1, "replicas": 1}),
            SetHealth::Progressing,
        ),
        (
            1,
            json!({"observedGeneration": 1, "replicas": 0, "conditions": failing}),
            SetHealth::ReplicaFailure,
        ),
        (1, Value::Null, SetHealth::Progressing),
    ] {
        let mut demo = demo();
        demo[3]["metadata"]["generation"] = json!(generation);
        demo[3]["status"] = status.clone();
        let view = picture(&objects(&demo));
        assert_eq!(view.revisions[0].health, expected, "{status}");
    }
}

#[test]
fn a_deadline_is_kept_as_a_time() {
    let mut demo = demo();
    demo[1]["metadata"]["annotations"]["scale-down-deadline"] = json!("2026-03-08T16:00:00Z");
    demo[2]["metadata"]["annotations"]["scale-down-deadline"] = json!("");
    let view = picture(&objects(&demo));
    let hours = |revision: usize| {
        let at = view.revisions[revision].scale_down_at;
        at.map(|at| at.since(now()).as_secs() / 3_600)
    };
    assert_eq!((hours(2), hours(1)), (Some(4), None));
}

#[test]
fn a_blue_green_rollout_is_shown_as_one() {
    let mut demo = demo();
    demo[0]["spec"]["strategy"] = json!({"blueGreen": {"activeService": "active"}});
    demo[0]["status"]["blueGreen"] =
        json!({"activeSelector": "877894d5b", "previewSelector": "65fb5ffc84"});
    let view = picture(&objects(&demo));
    assert_eq!(view.strategy, Strategy::BlueGreen);
    let roles: Vec<Option<&str>> = view.revisions.iter().map(|r| r.role.as_deref()).collect();
    assert_eq!(roles, [Some("preview"), Some("stable,active"), None]);
}

#[test]
fn a_pod_stands_as_kubectl_says() {
    let running = json!({"running": {}});
    let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
    let ended =
        |code: i32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason}});
    let signal = json!({"terminated": {"exitCode": 137, "signal": 9}});
    // phase, whether Ready, init containers and containers by state; word, ready containers
    for (phase, ready, init, containers, expected) in [
        (
            "Running",
            true,
            vec![],
            vec![running.clone()],
            ("Running", 1),
        ),
        (
            "Running",
            false,
            vec![],
            vec![running.clone(), waiting("CrashLoopBackOff")],
            ("CrashLoopBackOff", 1),
        ),
        (
            "Pending",
            false,
            vec![],
            vec![waiting("ContainerCreating")],
            ("ContainerCreating", 0),
        ),
        ("Pending", false, vec![], vec![], ("Pending", 0)),
        (
            "Pending",
            false,
            vec![running.clone()],
            vec![waiting("PodInitializing")],
            ("Init:0/1", 0),
        ),
        (
            "Pending",
            false,
            vec![waiting("ImagePullBackOff")],
            vec![],
            ("Init:ImagePullBackOff", 0),
        ),
        (
            "Pending",
            false,
            vec![ended(1, "Error")],
            vec![],
            ("Init:Error", 0),
        ),
        (
            "Pending",
            false,
            vec![ended(3, "")],
            vec![],
            ("Init:ExitCode:3", 0),
        ),
        (
            "Running",
            true,
            vec![ended(0, "Completed")],
            vec![running.clone()],
            ("Running", 1),
        ),
        (
            "Succeeded",
            false,
            vec![],
            vec![ended(0, "Completed")],
            ("Completed", 0),
        ),
        (
            "Running",
            true,
            vec![],
            vec![ended(0, "Completed"), running.clone()],
            ("Running", 1),
        ),
        (
            "Running",
            false,
            vec![],
            vec![ended(0, "Completed"), running.clone()],
            ("NotReady", 1),
        ),
        (
            "Running",
            false,
            vec![],
            vec![ended(0, "Completed"), ended(2, "Error")],
            ("Error", 0),
        ),
        (
            "Failed",
            false,
            vec![],
            vec![ended(137, "OOMKilled")],
            ("OOMKilled", 0),
        ),
        (
            "Failed",
            false,
            vec![],
            vec![signal.clone()],
            ("Signal:9", 0),
        ),
        (
            "Failed",
            false,
            vec![],
            vec![ended(7, "")],
            ("ExitCode:7", 0),
        ),
    ] {
        let pod = pod(phase, ready, &init, &containers);
        let seen = (pod.status.as_str(), pod.ready_containers);
        assert_eq!(seen, expected, "{init:?} {containers:?}");
        assert_eq!(pod.ready, ready);
        assert_eq!(pod.containers as usize, containers.len().max(1));
    }
}

#[test]
fn a_pod_that_is_deleted_is_terminating_unless_it_has_ended() {
    for (phase, reason, expected) in [
        ("Running", "", "Terminating"),
        ("Running", "NodeLost", "Unknown"),
        ("Succeeded", "", "Succeeded"),
        ("Failed", "Evicted", "Evicted"),
    ] {
        let mut object = pod_object(phase, true, &[], &[]);
        object["metadata"]["deletionTimestamp"] = json!("2026-03-08T12:00:00Z");
        object["status"]["reason"] = json!(reason);
        let pod = pod::view(&serde_json::from_value(object).unwrap());
        assert_eq!((pod.status.as_str(), pod.ready), (expected, false));
    }
}

#[test]
fn a_sidecar_counts_as_a_container_and_keeps_its_restarts() {
    let mut object = pod_object(
        "Running",
        true,
        &[json!({"running": {}})],
        &[json!({"running": {}})],
    );
    object["spec"]["initContainers"][0]["restartPolicy"] = json!("Always");
    let sidecar = &mut object["status"]["initContainerStatuses"][0];
    sidecar["started"] = json!(true);
    sidecar["restartCount"] = json!(3);
    let pod = pod::view(&serde_json::from_value(object).unwrap());
    let seen = (pod.ready_containers, pod.containers, pod.restarts);
    assert_eq!((pod.status.as_str(), seen), ("Running", (2, 2, 5)));
}

#[test]
fn a_gated_pod_says_so() {
    let mut object = pod_object("Pending", false, &[], &[]);
    object["status"]["conditions"] =
        json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
    let pod = pod::view(&serde_json::from_value(object).unwrap());
    assert_eq!(pod.status, "SchedulingGated");
}

fn pod(phase: &str, ready: bool, init: &[Value], containers: &[Value]) -> PodView {
    let object = pod_object(phase, ready, init, containers);
    pod::view(&serde_json::from_value(object).unwrap())
}

/// A pod with containers in these states. Each container has been restarted twice.
fn pod_object(phase: &str, ready: bool, init: &[Value], containers: &[Value]) -> Value {
    let name = |kind: &str, i: usize| format!("{kind}-{i}");
    let status = |kind: &str, i: usize, state: &Value| {
        json!({"name": name(kind, i), "image": "", "imageID": "", "restartCount": 2,
            "ready": state["running"].is_object(), "state": state})
    };
    let statuses = |kind: &str, states: &[Value]| -> Vec<Value> {
        let numbered = states.iter().enumerate();
        numbered.map(|(i, state)| status(kind, i, state)).collect()
    };
    let specs = |kind: &str, count: usize| -> Vec<Value> {
        (0..count).map(|i| json!({"name": name(kind, i)})).collect()
    };
    let is_ready = if ready { "True" } else { "False" };
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"},
        "spec": {"initContainers": specs("init", init.len()),
            "containers": specs("app", containers.len().max(1))},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": is_ready}],
            "initContainerStatuses": statuses("init", init),
            "containerStatuses": statuses("app", containers)},
    })
}

fn demo() -> Vec<Value> {
    serde_json::from_str(CANARY_DEMO).unwrap()
}

fn objects(items: &[Value]) -> Objects {
    fn of<T: serde::de::DeserializeOwned>(items: &[Value], kind: &str) -> Vec<Arc<T>> {
        let items = items.iter().filter(|item| item["kind"] == kind);
        items
            .map(|item| Arc::new(serde_json::from_value(item.clone()).unwrap()))
            .collect()
    }
    Objects {
        rollout: of(items, "Rollout").remove(0),
        sets: of(items, "ReplicaSet"),
        pods: of(items, "Pod"),
        runs: of(items, "AnalysisRun"),
    }
}

fn without_steps(text: &str) -> String {
    let (facts, rest) = text.split_once("STEPS\n").unwrap();
    let (_, tree) = rest.split_once("\n\n").unwrap();
    format!("{facts}{tree}")
}

#[test]
fn an_unknown_phase_is_shown_and_is_no_end() {
    let mut demo = demo();
    demo[0]["status"]["phase"] = json!("Dreaming");
    let view = picture(&objects(&demo));
    assert_eq!(view.phase, Phase::Progressing);
    assert!(view.message.starts_with("Dreaming: "), "{}", view.message);
}

//! Analysis runs by themselves: the loop that measures them runs in the test, without Rollouts.

use serde_json::{Value, json};
use serin_tests::cluster::Cluster;
use std::time::Duration;

use crate::trial::trials;

mod answers;
mod jobs;
mod world;

use answers::Answers;
use serin_tests::cluster::prometheus::Prometheus;
use world::World;

trials![
    a_run_ends_as_its_prometheus_is_judged,
    one_that_nobody_needs_ends_as_it_stands,
    a_loop_that_begins_again_goes_on_with_the_count,
    a_run_that_argo_rollouts_began_goes_on,
    a_secret_reaches_the_provider_and_nothing_else,
    one_that_cannot_be_read_ends_in_error,
    an_ended_one_goes_when_its_time_is_over,
    those_of_another_instance_are_left_alone,
    one_that_waits_for_an_answer_keeps_no_other_waiting,
    others_that_write_cost_no_measurement,
    a_verdict_of_somebody_else_stays;
    alone: an_outage_of_the_api_server_is_no_error_of_the_runs,
];

/// The tests of this module and of those below.
pub(crate) fn all() -> Vec<libtest_mimic::Trial> {
    [trials(), jobs::trials()].into_iter().flatten().collect()
}

/// A metric of one measurement.
fn metric(address: &str, query: &str) -> Value {
    json!({
        "name": "errors", "successCondition": "result[0] > 0",
        "provider": {"prometheus": {"address": address, "query": query}},
    })
}

/// The same every second, this often.
fn repeated(address: &str, count: u32) -> Value {
    let mut metric = metric(address, "up");
    metric["interval"] = json!("1s");
    metric["count"] = json!(count);
    metric
}

async fn a_run_ends_as_its_prometheus_is_judged(cluster: &Cluster) {
    let world = World::new(cluster, "judged").await;
    let prometheus = Prometheus::start(cluster, &[]).await;
    let query = |value: u32| metric(&prometheus.url(), &format!("vector({value})"));
    world.create("good", json!({"metrics": [query(1)]})).await;
    world.create("bad", json!({"metrics": [query(0)]})).await;

    let good = world.ended("good").await;
    assert_eq!(good["status"]["phase"], "Successful", "{good}");
    let result = &good["status"]["metricResults"][0];
    assert_eq!(result["measurements"][0]["value"], "[1]");
    assert_eq!(result["metadata"]["ResolvedPrometheusQuery"], "vector(1)");
    let counts = json!({"count": 1, "successful": 1});
    assert_eq!(good["status"]["runSummary"], counts);
    for time in [
        &good["status"]["startedAt"],
        &good["status"]["completedAt"],
        &result["measurements"][0]["finishedAt"],
    ] {
        let text = time.as_str().expect("a time");
        assert_eq!(text.len(), "2026-01-01T00:00:00Z".len(), "whole seconds");
    }
    let bad = world.ended("bad").await;
    let message = "Metric \"errors\" assessed Failed due to failed (1) > failureLimit (0)";
    assert_eq!(bad["status"]["phase"], "Failed", "{bad}");
    assert_eq!(bad["status"]["message"], message);
}

async fn one_that_nobody_needs_ends_as_it_stands(cluster: &Cluster) {
    let world = World::new(cluster, "terminated").await;
    let answers = Answers::start().await;
    let mut endless = repeated(&answers.address(), 1);
    endless["count"] = Value::Null;
    world.create("run", json!({"metrics": [endless]})).await;
    world.measured("run", 1).await;
    world.terminate("run").await;
    let run = world.ended("run").await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    assert_eq!(run["status"]["message"], "Run Terminated");
}

async fn a_loop_that_begins_again_goes_on_with_the_count(cluster: &Cluster) {
    const COUNT: u32 = 5;
    let mut world = World::new(cluster, "again").await;
    let answers = Answers::start().await;
    let metric = repeated(&answers.address(), COUNT);
    world.create("run", json!({"metrics": [metric]})).await;
    for count in [1, 2, 3] {
        world.measured("run", count).await;
        world.begin_again();
    }
    let run = world.ended("run").await;
    let result = &run["status"]["metricResults"][0];
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    assert_eq!(result["count"], COUNT, "{run}");
    let asked = answers.asked();
    assert!((COUNT..=COUNT + 3).contains(&asked), "asked {asked} times");
}

async fn a_run_that_argo_rollouts_began_goes_on(cluster: &Cluster) {
    let world = World::new(cluster, "taken-over").await;
    let answers = Answers::start().await;
    let measurement = json!({"phase": "Successful", "value": "[1]",
        "startedAt": "2026-08-30T12:00:00Z", "finishedAt": "2026-08-30T12:00:01Z"});
    let status = json!({
        "phase": "Running", "startedAt": "2026-08-30T12:00:00Z", "dryRunSummary": {},
        "runSummary": {"count": 1},
        "metricResults": [{"name": "errors", "phase": "Running", "count": 2, "successful": 2,
            "consecutiveSuccess": 2, "measurements": [measurement, measurement]}],
    });
    let spec = json!({"metrics": [repeated(&answers.address(), 3)]});
    world.create_with_status("run", spec, status).await;
    let run = world.ended("run").await;
    let result = &run["status"]["metricResults"][0];
    assert_eq!(result["count"], 3, "{run}");
    assert_eq!(result["measurements"].as_array().map(Vec::len), Some(3));
    assert_eq!(run["status"]["startedAt"], "2026-08-30T12:00:00Z");
    assert_eq!(answers.asked(), 1);
}

async fn a_secret_reaches_the_provider_and_nothing_else(cluster: &Cluster) {
    let world = World::new(cluster, "secret").await;
    let answers = Answers::start().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tokens"},
        "stringData": {"prom": "hunter2"}});
    cluster.apply(&secret.to_string(), &world.namespace).await;
    let args = json!([{"name": "token", "valueFrom": {
        "secretKeyRef": {"name": "tokens", "key": "prom"}}}]);
    let mut told = metric(&answers.address(), "up");
    told["provider"]["prometheus"]["headers"] =
        json!([{"key": "Authorization", "value": "Bearer {{args.token}}"}]);
    world
        .create("told", json!({"metrics": [told], "args": args}))
        .await;
    let run = world.ended("told").await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    assert!(answers.last().contains("authorization: Bearer hunter2"));

    // Nobody listens there, so the query and the address are in the error.
    let mut wrong = metric(
        "http://127.0.0.1:1/{{args.token}}",
        "up{t=\"{{args.token}}\"}",
    );
    wrong["consecutiveErrorLimit"] = json!(0);
    world
        .create("wrong", json!({"metrics": [wrong], "args": args}))
        .await;
    let run = world.ended("wrong").await;
    assert_eq!(run["status"]["phase"], "Error", "{run}");
    let message = &run["status"]["metricResults"][0]["measurements"][0]["message"];
    let text = message.as_str().expect("a message");
    assert!(text.contains("http://127.0.0.1:1/*****"), "{text}");
    assert!(!run.to_string().contains("hunter2"), "{run}");
}

async fn one_that_cannot_be_read_ends_in_error(cluster: &Cluster) {
    let world = World::new(cluster, "unreadable").await;
    let metric = json!({"name": "m", "provider": {"wavefront": {"query": "q"}}});
    world.create("run", json!({"metrics": [metric]})).await;
    let run = world.ended("run").await;
    assert_eq!(run["status"]["phase"], "Error");
    let message = run["status"]["message"].as_str().expect("a message");
    let told = "Analysis spec invalid: metrics[m].provider.wavefront: is not supported, expected one \
                of prometheus, ";
    assert!(message.starts_with(told), "{message}");
}

async fn an_ended_one_goes_when_its_time_is_over(cluster: &Cluster) {
    let world = World::new(cluster, "ttl").await;
    let answers = Answers::start().await;
    let spec = json!({
        "metrics": [metric(&answers.address(), "up")],
        "ttlStrategy": {"secondsAfterFailure": 3600, "secondsAfterCompletion": 1},
    });
    world.create("run", spec).await;
    world.gone("run").await;
    assert_eq!(answers.asked(), 1);
}

async fn those_of_another_instance_are_left_alone(cluster: &Cluster) {
    let world = World::of_instance(cluster, "instance", "mine").await;
    let answers = Answers::start().await;
    let spec = json!({"metrics": [metric(&answers.address(), "up")]});
    world.create("nobodys", spec.clone()).await;
    world.create_for("others", spec.clone(), "yours").await;
    world.create_for("own", spec, "mine").await;
    world.ended("own").await;
    for name in ["nobodys", "others"] {
        let run = world.run(name).await;
        assert_eq!(run["status"], Value::Null, "{run}");
    }
    assert_eq!(answers.asked(), 1);
}

async fn one_that_waits_for_an_answer_keeps_no_other_waiting(cluster: &Cluster) {
    let world = World::new(cluster, "slow").await;
    let (answers, silent) = (Answers::start().await, Answers::silent().await);
    let mut waits = metric(&silent.address(), "up");
    waits["name"] = json!("waits");
    let both = json!({"metrics": [waits.clone(), repeated(&answers.address(), 3)]});
    world.create("waits", json!({"metrics": [waits]})).await;
    world.create("both", both).await;
    world
        .create(
            "quick",
            json!({"metrics": [metric(&answers.address(), "up")]}),
        )
        .await;
    world.ended("quick").await;
    world.measured("both", 3).await;
    world.terminate("both").await;
    let both = world.ended("both").await;
    assert_eq!(both["status"]["phase"], "Successful", "{both}");
    let waits = world.run("waits").await;
    assert_eq!(waits["status"]["phase"], "Running", "{waits}");
}

async fn others_that_write_cost_no_measurement(cluster: &Cluster) {
    let world = World::new(cluster, "conflict").await;
    let answers = Answers::start().await;
    let spec = json!({"metrics": [repeated(&answers.address(), 3)]});
    world.create("run", spec).await;
    for turn in 0.. {
        let note = json!({"metadata": {"annotations": {"tests/turn": turn.to_string()}}});
        let run = world.patch("run", note).await;
        if !run["status"]["completedAt"].is_null() {
            break;
        }
    }
    let run = world.run("run").await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    assert_eq!(run["status"]["metricResults"][0]["count"], 3, "{run}");
    assert_eq!(answers.asked(), 3);
}

async fn a_verdict_of_somebody_else_stays(cluster: &Cluster) {
    let world = World::new(cluster, "foreign").await;
    let answers = Answers::start().await;
    let spec = json!({"metrics": [repeated(&answers.address(), 60)]});
    world.create("run", spec).await;
    world.measured("run", 1).await;
    let verdict = json!({"phase": "Failed", "message": "I say so"});
    world.patch("run", json!({"status": verdict})).await;
    let asked = answers.asked();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let run = world.run("run").await;
    assert_eq!(run["status"]["message"], "I say so", "{run}");
    assert!(answers.asked() <= asked + 1, "it goes on");
}

async fn an_outage_of_the_api_server_is_no_error_of_the_runs(cluster: &Cluster) {
    const COUNT: u32 = 5;
    let world = World::new(cluster, "outage").await;
    let answers = Answers::start().await;
    let mut metric = repeated(&answers.address(), COUNT);
    metric["consecutiveErrorLimit"] = json!(0);
    world.create("run", json!({"metrics": [metric]})).await;
    world.measured("run", 2).await;
    cluster.stop_api_server().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = answers.asked();
    assert!(asked < COUNT, "nothing is asked before the last is stored");
    cluster.start_api_server().await;
    let run = world.ended("run").await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    assert_eq!(answers.asked(), COUNT);
}

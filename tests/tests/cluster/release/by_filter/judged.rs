//! Releases that the sequential judge watches, on what the filter counts.

use serde_json::{Value, json};
use serin_tests::cluster::{Cluster, wait_for};
use std::time::Duration;

use super::super::controller::World;
use super::super::manifests::rollout;
use super::shop::{DOOR, Setup, Shop, canary, routes};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![
    the_judge_takes_a_bad_canary_back_and_its_killed_controller_forgot_nothing,
    a_query_that_sees_nothing_is_called_blind,
];

/// What the judge needs: some seconds of traffic after the fault.
const JUDGED: Duration = Duration::from_secs(60);

async fn the_judge_takes_a_bad_canary_back_and_its_killed_controller_forgot_nothing(
    cluster: &Cluster,
) {
    let mut shop = Shop::open(cluster, "judged", Setup::default()).await;
    let judge = json!({"plugin": {"serin/compare": {
        "latency": false, "prometheus": {"address": shop.prometheus.url()},
    }}});
    let guard = template(
        "guard",
        &json!({"name": "judge", "interval": "1s", "provider": judge}),
    );
    let guarded = guarded_by(
        "guard",
        &json!({"hosts": [DOOR], "virtualService": {"name": "shop"}}),
    );
    shop.world.apply(&guard.to_string()).await;
    shop.stand("v1", &guarded).await;
    let sending = shop.send();
    shop.world
        .apply(&rollout("v2", 1, &guarded).to_string())
        .await;
    shop.until_weight_is(50).await;
    let counts = until_run(&shop.world, "the judge counts", |run| {
        judged(run).is_some_and(|state| requests(&state) > 100)
    })
    .await;
    let said = counts["status"]["message"].as_str().unwrap_or_default();
    assert!(said.starts_with("judge: "), "{said}");

    shop.world.kill().await;
    let before = judged(&shop.world.get(ARGO, "analysisruns").await["items"][0]).expect("a state");
    shop.world.start().await;
    let after = until_run(&shop.world, "the judge goes on", |run| {
        judged(run).is_some_and(|state| state["at"].as_i64() > before["at"].as_i64())
    })
    .await;
    let after = judged(&after).expect("a state");
    assert_eq!(
        after["begun"], before["begun"],
        "it is the same measurement"
    );
    assert!(requests(&after) > requests(&before), "{after}");

    let mut faulty = routes();
    faulty["spec"]["http"][0]["fault"] =
        json!({"abort": {"percentage": {"value": 20}, "httpStatus": 503}});
    shop.world.apply(&faulty.to_string()).await;
    let degraded = shop
        .world
        .until_within("it is taken back", JUDGED, |rollout| {
            rollout["status"]["phase"] == "Degraded"
        })
        .await;
    let message = degraded["status"]["message"].as_str().unwrap_or_default();
    assert!(
        message
            .contains("Background analysis phase error/failed: Metric \"judge\" assessed Failed")
            && message.contains("canary fails ")
            && message.contains("odds of this by chance below 1 in "),
        "{message}"
    );
    until_told(
        &shop.world,
        "RolloutAborted",
        "odds of this by chance below 1 in ",
    )
    .await;
    for sending in sending {
        sending.stop();
    }
}

async fn a_query_that_sees_nothing_is_called_blind(cluster: &Cluster) {
    let shop = Shop::open(cluster, "blind", Setup::default()).await;
    let wrong = "sum(rate(istio_requests_total{destination_workload=\"shop-canarry\",\
                 response_code!~\"5..\"}[1m])) or on() vector(1)";
    let metric = json!({"name": "success", "interval": "2s", "successCondition": "result[0] > 0.9",
        "provider": {"prometheus": {"address": shop.prometheus.url(), "query": wrong}}});
    let wasm = json!({"hosts": [DOOR], "virtualService": {"name": "shop"},
        "blindQueries": "inconclusive"});
    let guarded = guarded_by("wrong", &wasm);
    shop.world
        .apply(&template("wrong", &metric).to_string())
        .await;
    shop.stand("v1", &guarded).await;
    let sending = shop.send();
    shop.world
        .apply(&rollout("v2", 1, &guarded).to_string())
        .await;
    let run = until_run(&shop.world, "it is found blind", |run| {
        run["status"]["phase"] == "Inconclusive"
    })
    .await;
    let status = &run["status"];
    let measurements = status["metricResults"][0]["measurements"].as_array();
    let last = measurements
        .and_then(|all| all.last())
        .expect("a measurement");
    for told in [&last["message"], &status["message"]] {
        let told = told.as_str().unwrap_or_default();
        assert!(
            told.contains("blind: the query finds no series, while the filter counted "),
            "{status}"
        );
    }
    assert_eq!(last["value"], "[1]", "what the query made of nothing");
    shop.world
        .until("it waits for a person", |rollout| {
            rollout["status"]["message"] == "InconclusiveAnalysisRun"
        })
        .await;
    until_told(
        &shop.world,
        "SpecNotice",
        "blind: the query finds no series",
    )
    .await;
    for sending in sending {
        sending.stop();
    }
}

const ARGO: &str = "/apis/argoproj.io/v1alpha1";

fn template(name: &str, metric: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": name}, "spec": {"metrics": [metric]},
    })
}

/// A canary that stays at a half while this template watches it.
fn guarded_by(template: &str, wasm: &Value) -> Value {
    let mut canary = canary(wasm, &json!([{"setWeight": 50}, {"pause": {}}]));
    canary["analysis"] = json!({"templates": [{"templateName": template}]});
    canary
}

/// The judge's state in a run.
fn judged(run: &Value) -> Option<Value> {
    let last = run["status"]["metricResults"][0]["measurements"]
        .as_array()?
        .last()?;
    serde_json::from_str(last["metadata"]["serin/state"].as_str()?).ok()
}

fn requests(state: &Value) -> i64 {
    let counted = &state["counted"];
    let of = |version: &str| counted[version]["requests"].as_i64().unwrap_or(0);
    of("canary").min(of("stable"))
}

/// Waits until the only run is so.
async fn until_run(world: &World<'_>, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, JUDGED, async || {
        let runs = world.get(ARGO, "analysisruns").await;
        match runs["items"].as_array().map(Vec::as_slice) {
            Some([run]) if is(run) => Ok(run.clone()),
            _ => Err(format!("{runs}\n{}", world.log())),
        }
    })
    .await
}

/// Waits for an event of this reason that says so.
async fn until_told(world: &World<'_>, reason: &str, says: &str) {
    wait_for("an event tells", PATIENCE, async || {
        let events = world.get("/apis/events.k8s.io/v1", "events").await;
        let told = events["items"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|event| {
                let note = event["note"].as_str().unwrap_or_default();
                event["reason"] == reason && note.contains(says)
            });
        match told {
            true => Ok(()),
            false => Err(events.to_string()),
        }
    })
    .await;
}

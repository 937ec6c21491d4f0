//! What a controller works with is away, or changes under its hands: the same end.

use serde_json::{Value, json};
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::traffic::Traffic;
use serin_tests::cluster::{Cluster, JSON};
use std::time::Duration;

use super::controller::{ARGO, ISTIO, World, is_in};
use super::flow::{caller, caller_within, host, no_failure, until_answered};
use super::manifests::{all, by_host, rollout, service};
use crate::shop::AFTER_AN_OUTAGE;
use crate::trial::trials;

trials![
    prometheus_away_for_half_a_minute_holds_a_release_and_no_more,
    a_conflict_on_every_write_changes_nothing,
    objects_that_are_deleted_are_missed_and_found_again;
    alone: an_api_server_away_for_half_a_minute_changes_nothing,
];

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn canary(steps: &Value) -> Value {
    json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
        "scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1,
        "steps": steps,
    })
}

fn ground() -> [Value; 3] {
    [service("shop"), service("shop-canary"), by_host()]
}

/// A run of so many good measurements.
fn template(prometheus: &Prometheus, count: u32) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "good"},
        "spec": {"metrics": [{
            "name": "good", "interval": "1s", "count": count,
            "successCondition": "result[0] == 1",
            "provider": {"prometheus": {"address": prometheus.url(), "query": "vector(1)"}},
        }]},
    })
}

async fn prometheus_away_for_half_a_minute_holds_a_release_and_no_more(cluster: &Cluster) {
    let world = World::new(cluster, "noprometheus").await;
    let mut prometheus = Prometheus::start(cluster, &[]).await;
    let template = template(&prometheus, 5);
    let steps = json!([{"setWeight": 50}, {"analysis": {"templates": [{"templateName": "good"}]}}]);
    let canary = canary(&steps);
    world.apply(&all(&ground())).await;
    world.stand(&[template, rollout("v1", 1, &canary)]).await;
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    let measured = world.until("the run has measured", |rollout| {
        let run = &rollout["status"]["canary"]["currentStepAnalysisRunStatus"];
        run["status"] == "Running"
    });
    let measured = measured.await;
    let run = &measured["status"]["canary"]["currentStepAnalysisRunStatus"]["name"];
    let run = run.as_str().expect("a name").to_string();
    prometheus.stop().await;
    tokio::time::sleep(HALF_A_MINUTE).await;
    let waits = world.rollout().await;
    assert_eq!(waits["status"]["phase"], "Progressing", "{waits}");
    assert_eq!(waits["status"]["currentStepIndex"], 1, "{waits}");
    prometheus.start_again(cluster).await;
    world.until_phase("Healthy").await;
    let ended = world.until_run(&run, "Successful").await;
    let result = &ended["status"]["metricResults"][0];
    assert_eq!(result["successful"], 5, "{ended}");
    assert!(result["error"].as_u64() >= Some(1), "{ended}");
    assert!(result["consecutiveError"].is_null(), "{ended}");
}

/// Every object is changed by somebody else just before the controller writes it.
async fn a_conflict_on_every_write_changes_nothing(cluster: &Cluster) {
    let (world, contended) = World::contended(cluster, "fought").await;
    let prometheus = Prometheus::start(cluster, &[]).await;
    let steps = json!([
        {"setWeight": 20}, {"analysis": {"templates": [{"templateName": "good"}]}},
        {"setWeight": 60}, {"pause": {"duration": 1}},
    ]);
    let canary = canary(&steps);
    let template = template(&prometheus, 2);
    world.apply(&all(&ground())).await;
    world.stand(&[template, rollout("v1", 2, &canary)]).await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    let healthy = world.until_phase("Healthy").await;
    until_answered(&world, &proxy, false, "v2").await;
    assert_eq!(
        healthy["status"]["stableRS"],
        healthy["status"]["currentPodHash"]
    );
    assert_eq!(world.virtual_service().await["spec"], by_host()["spec"]);
    let refused = contended.refused();
    for kind in ["rollouts", "services", "virtualservices", "analysisruns"] {
        assert!(refused.contains_key(kind), "{kind}: {refused:?}");
    }
    no_failure(sending);
}

async fn objects_that_are_deleted_are_missed_and_found_again(cluster: &Cluster) {
    let world = World::new(cluster, "deleted").await;
    let steps = json!([{"setWeight": 50}, {"pause": {}}]);
    let canary = canary(&steps);
    world.apply(&all(&ground())).await;
    world.apply(&rollout("v1", 2, &canary).to_string()).await;
    world.until_phase("Healthy").await;
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world.until_phase("Paused").await;
    let pods = world.pods().await;
    for (group, path, object, part) in [
        (
            ISTIO,
            "virtualservices/shop",
            by_host(),
            "VirtualService \"shop\" is not found",
        ),
        (
            "/api/v1",
            "services/shop-canary",
            service("shop-canary"),
            "Service \"shop-canary\" is not found",
        ),
    ] {
        let path = format!("{group}/namespaces/{}/{path}", world.namespace);
        cluster.ask("DELETE", &path, JSON, None).await;
        let refused = world.until_phase("Degraded").await;
        let message = refused["status"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{message}");
        assert_eq!(world.pods().await, pods, "nothing is touched");
        world.apply(&object.to_string()).await;
        let paused = world.until_phase("Paused").await;
        assert_eq!(paused["status"]["currentStepIndex"], 1);
    }
    let route = world.virtual_service().await["spec"]["http"][0]["route"].clone();
    assert_eq!(route[1]["weight"], 50, "{route}");
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    // The Rollout itself, in the middle of the next release: nothing of it is left.
    world.apply(&rollout("v3", 2, &canary).to_string()).await;
    world.until_phase("Paused").await;
    let path = format!("{ARGO}/namespaces/{}/rollouts/shop", world.namespace);
    cluster.ask("DELETE", &path, JSON, None).await;
    world.until_pods_are(0).await;
}

async fn an_api_server_away_for_half_a_minute_changes_nothing(cluster: &Cluster) {
    let patience = AFTER_AN_OUTAGE;
    let world = World::alone(cluster, "noapi").await;
    let steps = json!([{"setWeight": 50}, {"pause": {"duration": 10}}, {"setWeight": 80}]);
    let canary = canary(&steps);
    world.apply(&all(&ground())).await;
    world.apply(&rollout("v1", 2, &canary).to_string()).await;
    let healthy = world.until_within("Healthy", patience, |rollout| is_in(rollout, "Healthy"));
    healthy.await;
    let proxy = caller_within(&world, "v1", patience).await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world
        .until("paused", |rollout| is_in(rollout, "Paused"))
        .await;
    cluster.stop_api_server().await;
    tokio::time::sleep(HALF_A_MINUTE).await;
    cluster.start_api_server().await;
    let healthy = world.until_within("Healthy", patience, |rollout| is_in(rollout, "Healthy"));
    let healthy = healthy.await;
    assert_eq!(
        healthy["status"]["stableRS"],
        healthy["status"]["currentPodHash"]
    );
    until_answered(&world, &proxy, false, "v2").await;
    no_failure(sending);
}

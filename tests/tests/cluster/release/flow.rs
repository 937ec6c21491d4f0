//! Releases from their first step to their end.

use serde_json::{Value, json};
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::{Sending, Traffic};
use serin_tests::cluster::{Cluster, wait_for};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::controller::World;
use super::manifests::{by_host, by_subset, rollout, service, subsets, template};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![
    a_good_release_loses_no_request_and_a_bad_one_is_taken_back,
    subsets_are_versions_too,
    without_a_router_pods_are_the_weight,
    a_release_of_argo_rollouts_is_taken_over_midway,
];

/// Steps as a careful team writes them.
fn careful(steps: &Value) -> Value {
    json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {
            "managedRoutes": [{"name": "beta"}],
            "istio": {"virtualService": {"name": "shop"}},
        },
        "scaleDownDelaySeconds": 3, "abortScaleDownDelaySeconds": 3,
        "steps": steps,
    })
}

pub(super) fn header_route() -> Value {
    json!({"setHeaderRoute": {"name": "beta", "match": [
        {"headerName": "x-canary", "headerValue": {"exact": "true"}}]}})
}

/// A caller with a sidecar, once it reaches the stable version.
pub(super) async fn caller(world: &World<'_>, version: &str) -> Arc<Proxy> {
    caller_within(world, version, PATIENCE).await
}

/// The same, if it reaches it within this time.
pub(super) async fn caller_within(
    world: &World<'_>,
    version: &str,
    patience: Duration,
) -> Arc<Proxy> {
    let proxy = Proxy::caller(world.cluster, &world.namespace, "caller", &[]).await;
    let host = host(world);
    wait_for(
        "the caller reaches the shop",
        patience,
        async || match proxy.get(80, &host, "/") {
            Ok(answer) if answer.body == format!("{version}\n") => Ok(()),
            other => Err(format!("{other:?}\n{}", world.log())),
        },
    )
    .await;
    Arc::new(proxy)
}

pub(super) fn host(world: &World<'_>) -> String {
    format!("shop.{}.svc.cluster.local", world.namespace)
}

/// Waits until requests with these headers are answered by a version.
pub(super) async fn until_answered(
    world: &World<'_>,
    proxy: &Arc<Proxy>,
    headers: bool,
    version: &str,
) {
    let mut traffic = Traffic::to(&host(world));
    if headers {
        traffic.headers = Arc::new(|_| vec![("x-canary".into(), "true".into())]);
    }
    wait_for("a version answers", PATIENCE, async || {
        let short = Duration::from_millis(100);
        let outcome = traffic.clone().through_for(proxy, short).await;
        if outcome.answers.len() > 3 && outcome.share_of(version) == 1.0 {
            Ok(())
        } else {
            Err(format!("{outcome:?}\n{}", world.log()))
        }
    })
    .await;
}

pub(super) fn no_failure(sending: Sending) {
    let outcome = sending.stop();
    let failed = outcome.failed();
    let at = outcome.failed_at();
    let at = at.iter().map(|at| at.duration_since(UNIX_EPOCH));
    let at = at.map(|since| since.map_or(0.0, |since| since.as_secs_f64() % 3600.0));
    let at: Vec<f64> = at.collect();
    assert!(
        failed.is_empty(),
        "{failed:?} of {}, seconds into the hour: {at:?}",
        outcome.answers.len()
    );
    assert!(outcome.answers.len() > 100, "{}", outcome.answers.len());
}

async fn a_good_release_loses_no_request_and_a_bad_one_is_taken_back(cluster: &Cluster) {
    let world = World::new(cluster, "release").await;
    let analysis = json!({"analysis": {"templates": [{"templateName": "good"}]}});
    let canary = careful(&json!([
        {"setCanaryScale": {"replicas": 1}}, header_route(), {"pause": {}},
        {"setWeight": 25}, {"pause": {}}, analysis, {"setWeight": 60},
    ]));
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        // Whoever answers there is known once there is a proxy to read.
        template("http://127.0.0.1:9", 1),
        rollout("v1", 4, &canary),
    ];
    world.stand(&ground).await;
    let proxy = caller(&world, "v1").await;
    let mut prometheus = Prometheus::start(cluster, &[&proxy]).await;
    world
        .apply(&template(&prometheus.url(), 1).to_string())
        .await;
    let sending = Traffic::to(&host(&world)).through(&proxy);

    world.apply(&rollout("v2", 4, &canary).to_string()).await;
    let paused = |index: u64| {
        move |rollout: &Value| {
            let status = &rollout["status"];
            status["phase"] == "Paused" && status["currentStepIndex"] == index
        }
    };
    world.until("paused with the header route", paused(2)).await;
    until_answered(&world, &proxy, true, "v2").await;
    until_answered(&world, &proxy, false, "v1").await;
    world.plugin(&["promote", "shop"]);
    let status = world.until("paused at a quarter", paused(4)).await["status"].clone();
    assert_eq!(status["canary"]["weights"]["canary"]["weight"], 25);
    let share = Traffic::to(&host(&world))
        .through_for(&proxy, Duration::from_secs(3))
        .await
        .share_of("v2");
    assert!((0.1..0.4).contains(&share), "{share}");
    world.plugin(&["promote", "shop"]);
    let rollout_now = world.until_phase("Healthy").await;
    until_answered(&world, &proxy, true, "v2").await;
    until_answered(&world, &proxy, false, "v2").await;
    assert!(
        world
            .plugin(&["status", "shop", "--timeout", "30s"])
            .contains("Healthy")
    );
    let current = rollout_now["status"]["currentPodHash"].clone();
    assert_eq!(rollout_now["status"]["stableRS"], current);
    let mut expected = by_host()["spec"].clone();
    expected["http"][0]["route"][1]["weight"] = json!(0);
    assert_eq!(
        world.virtual_service().await["spec"],
        expected,
        "as its author wrote it"
    );
    for name in ["services/shop", "services/shop-canary"] {
        let service = world.get("/api/v1", name).await;
        assert_eq!(
            service["spec"]["selector"]["rollouts-pod-template-hash"], current,
            "{name}"
        );
    }

    world
        .apply(&template(&prometheus.url(), 0).to_string())
        .await;
    world.apply(&rollout("v3", 4, &canary).to_string()).await;
    world.until("paused with the header route", paused(2)).await;
    world.plugin(&["promote", "shop", "--full=false"]);
    world.until("paused at a quarter", paused(4)).await;
    world.plugin(&["promote", "shop"]);
    let degraded = world.until_phase("Degraded").await;
    let message = degraded["status"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("Metric \"good\" assessed Failed"),
        "{message}"
    );
    until_answered(&world, &proxy, true, "v2").await;
    until_answered(&world, &proxy, false, "v2").await;
    world.plugin(&["retry", "rollout", "shop"]);
    world.until("begun again", paused(2)).await;
    world.plugin(&["abort", "shop"]);
    world.until_phase("Degraded").await;
    world.plugin(&["undo", "shop"]);
    world.until_phase("Healthy").await;
    no_failure(sending);
    prometheus.stop().await;
}

async fn subsets_are_versions_too(cluster: &Cluster) {
    let world = World::new(cluster, "subsets").await;
    let rule = json!({"name": "shop", "canarySubsetName": "canary", "stableSubsetName": "stable"});
    let canary = json!({
        "trafficRouting": {"istio":
            {"virtualService": {"name": "shop"}, "destinationRule": rule}},
        "scaleDownDelaySeconds": 3,
        "steps": [{"setWeight": 50}, {"pause": {}}],
    });
    let ground = [
        service("shop"),
        by_subset(),
        subsets(),
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world.until_phase("Paused").await;
    let share = Traffic::to(&host(&world))
        .through_for(&proxy, Duration::from_secs(2))
        .await
        .share_of("v2");
    assert!((0.3..0.7).contains(&share), "{share}");
    // A newer version takes the place of the one on trial.
    world.apply(&rollout("v3", 2, &canary).to_string()).await;
    world
        .until("the newest is on trial", |rollout| {
            super::controller::is_in(rollout, "Paused")
        })
        .await;
    world.plugin(&["promote", "shop", "--full"]);
    world.until_phase("Healthy").await;
    until_answered(&world, &proxy, false, "v3").await;
    no_failure(sending);
}

async fn without_a_router_pods_are_the_weight(cluster: &Cluster) {
    let world = World::new(cluster, "ratio").await;
    let canary = json!({"steps": [{"setWeight": 25}, {"pause": {}}]});
    world
        .stand(&[service("shop"), rollout("v1", 4, &canary)])
        .await;
    world.apply(&rollout("v2", 4, &canary).to_string()).await;
    let paused = world.until_phase("Paused").await;
    let current = paused["status"]["currentPodHash"]
        .as_str()
        .unwrap_or_default();
    let pods = world.pods().await;
    let new = pods.iter().filter(|(hash, _)| hash == current).count();
    assert_eq!((new, pods.len()), (1, 4), "{pods:?}");
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    let pods = world.pods().await;
    assert!(pods.iter().all(|(hash, _)| hash == current), "{pods:?}");
}

async fn a_release_of_argo_rollouts_is_taken_over_midway(cluster: &Cluster) {
    let mut world = World::with_argo(cluster, "takeover").await;
    let canary = careful(&json!([
        {"setWeight": 50}, header_route(), {"pause": {}}, {"setWeight": 75},
    ]));
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world.until_phase("Paused").await;
    let before = world.pods().await;
    world.kill().await;

    world.start().await;
    world
        .until("taken over", |rollout| {
            !rollout["status"]["serin"].is_null()
        })
        .await;
    // Long enough for whatever a controller does that does not know a version again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = world.until_phase("Paused").await["status"].clone();
    assert_eq!(status["currentStepIndex"], 2);
    let mut after = world.pods().await;
    after.sort();
    let mut before = before;
    before.sort();
    assert_eq!(after, before, "no pod was restarted");
    until_answered(&world, &proxy, true, "v2").await;
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    until_answered(&world, &proxy, false, "v2").await;
    no_failure(sending);
}

//! What cannot be carried out is told, and nothing is touched.

use serde_json::json;
use serin_tests::cluster::Cluster;

use super::controller::World;
use super::manifests::{all, by_host, rollout, service};
use crate::trial::trials;

trials![
    what_is_missing_is_told_until_it_is_there,
    a_strategy_that_comes_later_is_refused_and_a_running_release_untouched,
];

fn canary() -> serde_json::Value {
    json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
        "steps": [{"setWeight": 50}, {"pause": {}}],
    })
}

async fn what_is_missing_is_told_until_it_is_there(cluster: &Cluster) {
    let world = World::new(cluster, "missing").await;
    let ground = [service("shop"), rollout("v1", 1, &canary())];
    world.apply(&all(&ground)).await;
    let refused = world.until_phase("Degraded").await;
    let message = refused["status"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("InvalidSpec: "), "{message}");
    for part in [
        "spec.strategy.canary.canaryService: Service \"shop-canary\" is not found",
        "trafficRouting.istio.virtualService: VirtualService \"shop\" is not found",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(world.pods().await.is_empty(), "nothing is begun");
    world
        .apply(&all(&[service("shop-canary"), by_host()]))
        .await;
    let healthy = world.until_phase("Healthy").await;
    let conditions = healthy["status"]["conditions"].to_string();
    assert!(!conditions.contains("InvalidSpec"), "{conditions}");
}

async fn a_strategy_that_comes_later_is_refused_and_a_running_release_untouched(cluster: &Cluster) {
    let world = World::new(cluster, "later").await;
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        rollout("v1", 2, &canary()),
    ];
    world.stand(&ground).await;
    world.apply(&rollout("v2", 2, &canary()).to_string()).await;
    world.until_phase("Paused").await;
    let (pods, route) = (
        world.pods().await,
        world.virtual_service().await["spec"].clone(),
    );

    let mut with_experiment = canary();
    with_experiment["steps"][1] = json!({"experiment": {"templates": []}});
    world
        .apply(&rollout("v2", 2, &with_experiment).to_string())
        .await;
    let refused = world.until_phase("Degraded").await;
    let message = refused["status"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("steps[1]") && message.contains("experiment"),
        "{message}"
    );
    assert_eq!(world.pods().await, pods);
    assert_eq!(world.virtual_service().await["spec"], route);

    world.apply(&rollout("v2", 2, &canary()).to_string()).await;
    world.until_phase("Paused").await;
    let after = world.pods().await;
    assert!(
        pods.iter().all(|pod| after.contains(pod)),
        "{pods:?} {after:?}"
    );
}

//! Crashes, and hands that undo what was done.

use serde_json::{Value, json};
use serin_tests::cluster::traffic::Traffic;
use serin_tests::cluster::{Cluster, JSON, MERGE, wait_for};
use std::time::Duration;

use super::controller::{ARGO, World};
use super::flow::{caller, host, no_failure};
use super::manifests::{by_host, by_subset, rollout, service, subsets};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![
    a_controller_killed_again_and_again_comes_to_the_same_end,
    what_someone_undoes_by_hand_is_put_back,
    what_a_rollout_no_longer_names_is_given_back,
];

fn canary(last: &Value) -> Value {
    json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {
            "managedRoutes": [{"name": "beta"}],
            "istio": {"virtualService": {"name": "shop"}}},
        "scaleDownDelaySeconds": 3,
        "steps": [
            {"setHeaderRoute": {"name": "beta", "match": [
                {"headerName": "x-canary", "headerValue": {"exact": "true"}}]}},
            {"setWeight": 20}, {"pause": {"duration": 1}}, {"setWeight": 60}, last],
    })
}

async fn a_controller_killed_again_and_again_comes_to_the_same_end(cluster: &Cluster) {
    let mut world = World::alone(cluster, "killed").await;
    let canary = canary(&json!({"pause": {"duration": 1}}));
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
    // Each life is a little longer than the one before, so the ends fall on different moments.
    for kill in 0..20u64 {
        tokio::time::sleep(Duration::from_millis(150 + 25 * kill)).await;
        world.kill().await;
        world.start().await;
    }
    let healthy = world.until_phase("Healthy").await;
    assert_eq!(
        healthy["status"]["stableRS"],
        healthy["status"]["currentPodHash"]
    );
    assert_eq!(
        healthy["metadata"]["annotations"]["rollout.argoproj.io/revision"],
        "2"
    );
    let sets = world.get("/apis/apps/v1", "replicasets").await;
    assert_eq!(sets["items"].as_array().map(Vec::len), Some(2), "{sets}");
    assert_eq!(world.virtual_service().await["spec"], by_host()["spec"]);
    no_failure(sending);
}

async fn what_someone_undoes_by_hand_is_put_back(cluster: &Cluster) {
    let world = World::new(cluster, "undone").await;
    let canary = canary(&json!({"pause": {}}));
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world
        .until("at its last step", |rollout| {
            rollout["status"]["currentStepIndex"] == 4 && rollout["status"]["phase"] == "Paused"
        })
        .await;
    let (route, pods) = (
        world.virtual_service().await["spec"].clone(),
        world.pods().await,
    );
    assert_eq!(route["http"][0]["name"], "beta");

    // As Argo CD would, with the manifest that is in git.
    world.apply(&by_host().to_string()).await;
    put_back(&world, "the VirtualService", async || {
        world.virtual_service().await["spec"] == route
    })
    .await;

    let selector = json!({"spec": {"selector": {"rollouts-pod-template-hash": "nobody"}}});
    let path = format!(
        "/api/v1/namespaces/{}/services/shop-canary",
        world.namespace
    );
    let service =
        async || world.get("/api/v1", "services/shop-canary").await["spec"]["selector"].clone();
    let before = service().await;
    cluster.ask("PATCH", &path, MERGE, Some(selector)).await;
    put_back(&world, "the Service", async || service().await == before).await;

    let hash = world.rollout().await["status"]["currentPodHash"].clone();
    let set = format!("shop-{}", hash.as_str().unwrap_or_default());
    let path = format!(
        "/apis/apps/v1/namespaces/{}/replicasets/{set}",
        world.namespace
    );
    cluster
        .ask("DELETE", &path, serin_tests::cluster::JSON, None)
        .await;
    put_back(&world, "the ReplicaSet", async || {
        let now = world.pods().await;
        now.len() == pods.len() && now != pods
    })
    .await;
    world.plugin(&["promote", "shop", "--full"]);
    world.until_phase("Healthy").await;
    let path = format!("{ARGO}/namespaces/{}/rollouts/shop", world.namespace);
    cluster
        .ask("DELETE", &path, serin_tests::cluster::JSON, None)
        .await;
}

async fn put_back(world: &World<'_>, what: &str, is: impl AsyncFn() -> bool) {
    wait_for(&format!("{what} is put back"), PATIENCE, async || {
        if is().await { Ok(()) } else { Err(world.log()) }
    })
    .await;
}

async fn what_a_rollout_no_longer_names_is_given_back(cluster: &Cluster) {
    let mut world = World::alone(cluster, "letgo").await;
    let canary = json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"istio": {
            "virtualService": {"name": "shop"},
            "destinationRule": {"name": "shop", "canarySubsetName": "canary",
                "stableSubsetName": "stable"},
        }},
        "steps": [{"setWeight": 50}, {"pause": {}}],
    });
    let alone = json!({"stableService": "shop", "steps": [{"setWeight": 50}, {"pause": {}}]});
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_subset(),
        subsets(),
        rollout("v1", 1, &canary),
    ];
    world.stand(&ground).await;
    for (kind, name) in [("services", "shop-canary"), ("destinationrules", "shop")] {
        let object = world.given(kind, name).await;
        let text = object.to_string();
        assert!(text.contains("rollouts-pod-template-hash"), "{text}");
        let annotation = "argo-rollouts.argoproj.io/managed-by-rollouts";
        assert_eq!(object["metadata"]["annotations"][annotation], "shop");
    }
    // The manifest names them no more.
    world.apply(&rollout("v1", 1, &alone).to_string()).await;
    until_given_back(&world, "services", "shop-canary", &service("shop-canary")).await;
    until_given_back(&world, "destinationrules", "shop", &subsets()).await;
    let stable = world.given("services", "shop").await["spec"]["selector"].clone();
    assert!(stable["rollouts-pod-template-hash"].is_string(), "{stable}");
    // The Rollout is gone.
    let path = format!("{ARGO}/namespaces/{}/rollouts/shop", world.namespace);
    cluster.ask("DELETE", &path, JSON, None).await;
    until_given_back(&world, "services", "shop", &service("shop")).await;
    // It went while nobody looked.
    world.stand(&[rollout("v1", 1, &canary)]).await;
    world.kill().await;
    cluster.ask("DELETE", &path, JSON, None).await;
    world.start().await;
    for name in ["shop", "shop-canary"] {
        until_given_back(&world, "services", name, &service(name)).await;
    }
    until_given_back(&world, "destinationrules", "shop", &subsets()).await;
}

/// Waits until an object selects what it did as it was written, and nobody manages it.
async fn until_given_back(world: &World<'_>, kind: &str, name: &str, written: &Value) {
    wait_for(
        &format!("{kind} {name} is given back"),
        PATIENCE,
        async || {
            let object = world.given(kind, name).await;
            let selects = |object: &Value| {
                (
                    object["spec"]["selector"].clone(),
                    object["spec"]["subsets"].clone(),
                )
            };
            let free = !object.to_string().contains("managed-by-rollouts\":\"shop");
            match selects(&object) == selects(written) && free {
                true => Ok(()),
                false => Err(format!("{object}\n{}", world.log())),
            }
        },
    )
    .await;
}

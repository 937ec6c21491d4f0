//! Releases that do not go straight to their end, under traffic: no request may fail.

use serde_json::{Value, json};
use serin_tests::cluster::Cluster;
use serin_tests::cluster::traffic::Traffic;

use super::controller::{World, is_in};
use super::flow::{caller, host, no_failure, until_answered};
use super::manifests::{all, by_host, by_subset, rollout, service, subsets};
use crate::trial::trials;

trials![
    split_by_host_no_turn_of_a_release_loses_a_request,
    split_by_subset_no_turn_of_a_release_loses_a_request,
];

fn with_routing(routing: &Value, services: &Value) -> Value {
    let mut canary = json!({
        "trafficRouting": {"istio": routing},
        "scaleDownDelaySeconds": 2, "abortScaleDownDelaySeconds": 1,
        "steps": [{"setWeight": 30}, {"pause": {}}, {"setWeight": 70}, {"pause": {}}],
    });
    let fields = canary.as_object_mut().expect("an object");
    fields.extend(services.as_object().cloned().unwrap_or_default());
    canary
}

async fn split_by_host_no_turn_of_a_release_loses_a_request(cluster: &Cluster) {
    let world = World::new(cluster, "turnshost").await;
    let routing = json!({"virtualService": {"name": "shop"}});
    let services = json!({"stableService": "shop", "canaryService": "shop-canary"});
    let ground = [service("shop"), service("shop-canary"), by_host()];
    take_turns(&world, &ground, &with_routing(&routing, &services)).await;
}

async fn split_by_subset_no_turn_of_a_release_loses_a_request(cluster: &Cluster) {
    let world = World::new(cluster, "turnssubset").await;
    let routing = json!({
        "virtualService": {"name": "shop"},
        "destinationRule":
            {"name": "shop", "canarySubsetName": "canary", "stableSubsetName": "stable"},
    });
    let ground = [service("shop"), by_subset(), subsets()];
    take_turns(&world, &ground, &with_routing(&routing, &json!({}))).await;
}

/// An abort and a retry, a newer version in the place of the one on trial, one that is taken back by
/// hand, a return to the stable version midway, and a return to an older one afterwards.
async fn take_turns(world: &World<'_>, ground: &[Value], canary: &Value) {
    let apply = async |version: &str| {
        let rollout = rollout(version, 2, canary);
        world.apply(&rollout.to_string()).await;
    };
    let until_paused = async |version: &str, index: u64| {
        let what = format!("{version} at step {index}");
        let stands = |rollout: &Value| {
            let arguments = &rollout["spec"]["template"]["spec"]["containers"][0]["args"];
            arguments[3] == version
                && is_in(rollout, "Paused")
                && rollout["status"]["currentStepIndex"] == index
        };
        world.until(&what, stands).await;
    };
    world.apply(&all(ground)).await;
    apply("v1").await;
    world.until_phase("Healthy").await;
    let proxy = caller(world, "v1").await;
    let sending = Traffic::to(&host(world)).through(&proxy);

    apply("v2").await;
    until_paused("v2", 1).await;
    world.plugin(&["abort", "shop"]);
    world.until_phase("Degraded").await;
    world.until_pods_are(2).await;
    until_answered(world, &proxy, false, "v1").await;
    world.plugin(&["retry", "rollout", "shop"]);
    until_paused("v2", 1).await;

    world.plugin(&["promote", "shop"]);
    until_paused("v2", 3).await;
    apply("v3").await;
    until_paused("v3", 1).await;
    world.plugin(&["abort", "shop"]);
    // Before everything of the abort is done.
    apply("v4").await;
    until_paused("v4", 1).await;
    apply("v1").await;
    world.until_phase("Healthy").await;
    until_answered(world, &proxy, false, "v1").await;

    apply("v4").await;
    until_paused("v4", 1).await;
    world.plugin(&["promote", "shop", "--full"]);
    world.until_phase("Healthy").await;
    until_answered(world, &proxy, false, "v4").await;
    world.plugin(&["undo", "shop"]);
    until_paused("v1", 1).await;
    world.plugin(&["promote", "shop", "--full"]);
    world.until_phase("Healthy").await;
    until_answered(world, &proxy, false, "v1").await;
    world.until_pods_are(2).await;
    no_failure(sending);
}

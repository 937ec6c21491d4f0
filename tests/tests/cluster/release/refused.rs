//! What cannot be carried out is told, and nothing is touched.

use serde_json::json;
use serin_tests::cluster::{Cluster, JSON};
use std::time::Duration;

use super::controller::{ARGO, World, is_in};
use super::manifests::{all, by_host, rollout, service};
use crate::trial::trials;

trials![
    what_is_missing_is_told_until_it_is_there,
    a_strategy_that_comes_later_is_refused_and_a_running_release_untouched,
    an_analysis_that_cannot_begin_is_told_before_the_release,
    steps_wait_for_an_analysis_beside_them_that_cannot_begin,
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

/// A run that cannot begin would take the release back at its step, for what is no fault of it.
async fn an_analysis_that_cannot_begin_is_told_before_the_release(cluster: &Cluster) {
    let world = World::new(cluster, "templates").await;
    let mut canary = canary();
    canary["steps"] = json!([
        {"setWeight": 50}, {"pause": {}}, {"analysis": {"templates": [{"templateName": "outer"}]}},
    ]);
    let metric = |count: serde_json::Value| {
        json!({"name": "up", "interval": "1s", "count": count,
            "provider": {"job": {"spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "check", "image": "any", "command": ["true"]}]}}}}}})
    };
    let template = |name: &str, spec: serde_json::Value| {
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": name}, "spec": spec})
    };
    let inner = |count| template("inner", json!({"metrics": [metric(count)]}));
    let outer = template("outer", json!({"templates": [{"templateName": "inner"}]}));
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        rollout("v1", 1, &canary),
    ];
    world.apply(&all(&ground)).await;
    let refused = async |why: &str| {
        let refused = world.until(why, |rollout| {
            let message = rollout["status"]["message"].as_str().unwrap_or_default();
            is_in(rollout, "Degraded") && message.contains(why)
        });
        refused.await
    };
    let missing = "steps[2].analysis: AnalysisTemplate \"outer\" is not there";
    refused(missing).await;
    assert!(world.pods().await.is_empty(), "nothing is begun");
    world.apply(&outer.to_string()).await;
    refused("steps[2].analysis: AnalysisTemplate \"inner\" is not there").await;
    world.apply(&inner(json!(null)).to_string()).await;
    refused("metric \"up\" has an interval and no count and runs indefinitely").await;
    world.apply(&inner(json!(1)).to_string()).await;
    world.until_phase("Healthy").await;

    // In the middle of a release it is told, and the release waits where it needs the template.
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    world.until_paused_at(1).await;
    let path = format!(
        "{ARGO}/namespaces/{}/analysistemplates/outer",
        world.namespace
    );
    cluster.ask("DELETE", &path, JSON, None).await;
    refused(missing).await;
    world.plugin(&["promote", "shop"]);
    let waits = world.until("it waits at the analysis", |rollout| {
        rollout["status"]["currentStepIndex"] == 2
    });
    waits.await;
    refused(missing).await;
    let runs = world.get(ARGO, "analysisruns").await;
    assert_eq!(runs["items"], json!([]), "none has begun");
    let sends = async || world.virtual_service().await["spec"]["http"][0]["route"].clone();
    assert_eq!(sends().await[1]["weight"], 50);
    // It is taken back as ever.
    world.plugin(&["abort", "shop"]);
    let aborted = world.until("it is taken back", |rollout| {
        let message = rollout["status"]["message"].as_str().unwrap_or_default();
        message.contains("RolloutAborted") && is_in(rollout, "Degraded")
    });
    aborted.await;
    assert_eq!(sends().await[1]["weight"], 0);
    // What is stable is healthy whether or not there could be another release.
    world.apply(&rollout("v1", 1, &canary).to_string()).await;
    world.until_phase("Healthy").await;
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    refused(missing).await;
    world.apply(&outer.to_string()).await;
    world.until_paused_at(1).await;
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
}

/// Otherwise the release would come to its end without anybody having looked.
async fn steps_wait_for_an_analysis_beside_them_that_cannot_begin(cluster: &Cluster) {
    let world = World::new(cluster, "beside").await;
    let mut canary = canary();
    canary["steps"] = json!([{"setWeight": 50}, {"pause": {}}, {"setWeight": 60}]);
    canary["analysis"] = json!({"templates": [{"templateName": "up"}], "startingStep": 2});
    let job = json!({"spec": {"template": {"spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "check", "image": "any", "command": ["true"]}]}}}});
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "up"},
        "spec": {"metrics": [{"name": "up", "provider": {"job": job}}]},
    });
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        template.clone(),
        rollout("v1", 1, &canary),
    ];
    world.stand(&ground).await;
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    world.until_paused_at(1).await;
    let path = format!("{ARGO}/namespaces/{}/analysistemplates/up", world.namespace);
    cluster.ask("DELETE", &path, JSON, None).await;
    world.plugin(&["promote", "shop"]);
    // Longer than the steps that are left would take.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let waits = world.rollout().await["status"].clone();
    assert_ne!(waits["stableRS"], waits["currentPodHash"], "{waits}");
    let message = waits["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("canary.analysis: AnalysisTemplate"),
        "{waits}"
    );
    world.apply(&template.to_string()).await;
    let healthy = world.until_phase("Healthy").await;
    assert_eq!(healthy["status"]["stableRS"], waits["currentPodHash"]);
    let runs = world.get(ARGO, "analysisruns").await;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{runs}");
}

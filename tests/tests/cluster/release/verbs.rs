//! Argo Rollouts' plugin for kubectl drives releases: each verb does what it says.

use serde_json::{Value, json};
use serin_tests::cluster::Cluster;
use serin_tests::cluster::prometheus::Prometheus;

use super::controller::{ARGO, World, is_in};
use super::manifests::{by_host, rollout, service};
use crate::trial::trials;

trials![each_verb_of_the_plugin_does_what_it_says];

async fn each_verb_of_the_plugin_does_what_it_says(cluster: &Cluster) {
    let world = World::new(cluster, "verbs").await;
    let prometheus = Prometheus::start(cluster, &[]).await;
    let canary = json!({
        "canaryService": "shop-canary", "stableService": "shop",
        "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
        "analysis": {"templates": [{"templateName": "endless"}]},
        "abortScaleDownDelaySeconds": 1, "scaleDownDelaySeconds": 1,
        "steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {}}],
    });
    let endless = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "endless"},
        "spec": {"metrics": [{
            "name": "good", "interval": "1s", "successCondition": "result[0] == 1",
            "provider": {"prometheus": {"address": prometheus.url(), "query": "vector(1)"}},
        }]},
    });
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        endless,
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;

    world.plugin(&["set", "image", "shop", "app=demo-app:2"]);
    let paused = world.until_paused_at(1).await;
    let listed = world.plugin(&["list", "rollouts"]);
    let line = listed.lines().find(|line| line.starts_with("shop "));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        words[..5],
        ["shop", "Canary", "Paused", "1/4", "20"],
        "{listed}"
    );
    let shown = world.plugin(&["get", "rollout", "shop", "--no-color"]);
    for part in [
        "Status:          ॥ Paused",
        "Message:         CanaryPauseStep",
        "Step:          1/4",
        "SetWeight:     20",
        "ActualWeight:  20",
        "demo-app:2 (canary)",
        "demo-app (stable)",
        "revision:2",
        "AnalysisRun",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let told = world.plugin(&["status", "shop", "--watch=false"]);
    assert!(told.contains("Paused - CanaryPauseStep"), "{told}");

    let run = &paused["status"]["canary"]["currentBackgroundAnalysisRunStatus"]["name"];
    let run = run.as_str().expect("a run beside the steps");
    world.plugin(&["terminate", "analysisrun", run]);
    let ended = world.until_run(run, "Successful").await;
    assert_eq!(ended["status"]["message"], "Run Terminated", "{ended}");
    world.until_paused_at(1).await;

    world.plugin(&["promote", "shop"]);
    world.until_paused_at(3).await;
    world.plugin(&["abort", "shop"]);
    let aborted = world.until_phase("Degraded").await;
    assert_eq!(aborted["status"]["abort"], true);
    let told = world.plugin_fails(&["status", "shop", "--watch=false"]);
    let why = "RolloutAborted: Rollout aborted update to revision 2: aborted by hand";
    assert!(told.contains(why), "{told}");
    world.plugin(&["retry", "rollout", "shop"]);
    world.until_paused_at(1).await;
    world.plugin(&["promote", "shop", "--full"]);
    let healthy = world.until_phase("Healthy").await;
    assert_eq!(image(&healthy), "demo-app:2");
    assert_eq!(
        healthy["status"]["stableRS"],
        healthy["status"]["currentPodHash"]
    );

    world.plugin(&["undo", "shop"]);
    let undone = world.until_paused_at(1).await;
    assert_eq!(image(&undone), "demo-app");
    assert_eq!(revision(&undone), "3");
    world.plugin(&["undo", "shop", "--to-revision=2"]);
    let healthy = world.until_phase("Healthy").await;
    assert_eq!((image(&healthy), revision(&healthy)), ("demo-app:2", "4"));

    world.plugin(&["pause", "shop"]);
    let paused = world.until_phase("Paused").await;
    assert_eq!(paused["spec"]["paused"], true);
    let route = world.virtual_service().await["spec"].clone();
    world.plugin(&["set", "image", "shop", "app=demo-app:3"]);
    world
        .until("held", |rollout| {
            is_in(rollout, "Paused") && image(rollout) == "demo-app:3"
        })
        .await;
    assert_eq!(
        world.virtual_service().await["spec"],
        route,
        "nothing moves"
    );
    world.plugin(&["promote", "shop"]);
    let freed = world.until_paused_at(1).await;
    assert_ne!(freed["spec"]["paused"], true);
    world.plugin(&["promote", "shop", "--full"]);
    world.until_phase("Healthy").await;

    world.until_pods_are(2).await;
    let before = world.pods().await;
    world.plugin(&["restart", "shop"]);
    world
        .until("restarted", |rollout| {
            is_in(rollout, "Healthy")
                && rollout["status"]["restartedAt"] == rollout["spec"]["restartAt"]
        })
        .await;
    let after = world.pods().await;
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.iter().all(|pod| !before.contains(pod)), "{after:?}");
    let path = format!("{ARGO}/namespaces/{}/rollouts/shop", world.namespace);
    cluster
        .ask("DELETE", &path, serin_tests::cluster::JSON, None)
        .await;
    world.until_pods_are(0).await;
}

fn image(rollout: &Value) -> &str {
    let container = &rollout["spec"]["template"]["spec"]["containers"][0];
    container["image"].as_str().unwrap_or_default()
}

fn revision(rollout: &Value) -> &str {
    let revision = &rollout["metadata"]["annotations"]["rollout.argoproj.io/revision"];
    revision.as_str().unwrap_or_default()
}

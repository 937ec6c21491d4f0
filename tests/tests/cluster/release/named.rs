//! What Istio is to call the workload of each version's pods.

use serde_json::{Value, json};
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::{Cluster, wait_for};
use std::collections::BTreeSet;

use super::controller::World;
use super::manifests::{rollout, service};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![a_workload_per_revision_is_a_label_and_replaces_no_pod];

const LABEL: &str = "service.istio.io/workload-name";

/// A pod's uid, its template hash, and the name of its workload.
type Pod = (String, String, Option<String>);

async fn a_workload_per_revision_is_a_label_and_replaces_no_pod(cluster: &Cluster) {
    let namespace = cluster.namespace("named").await;
    // Nobody's requests are to move, so there is no proxy to scrape.
    let prometheus = Prometheus::start(cluster, &[]).await;
    let options = vec![
        "--leader-elect=false".to_string(),
        format!("--prometheus={}", prometheus.url()),
        format!("--root-namespace={namespace}"),
    ];
    let world = World::inside(cluster, namespace, options).await;
    world
        .stand(&[
            service("shop"),
            service("shop-canary"),
            shop("v1", "revision"),
        ])
        .await;
    let first = pods(&world).await;
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.iter().all(is_named_for_its_version), "{first:?}");
    world.apply(&shop("v1", "rollout").to_string()).await;
    world.until_phase("Healthy").await;
    assert_eq!(pods(&world).await, first, "switched off");

    world.apply(&shop("v2", "rollout").to_string()).await;
    let both = until_there_is_another(&world, &first).await;
    let second: Vec<&Pod> = both.difference(&first).collect();
    assert!(matches!(&second[..], [(_, _, None)]), "{second:?}");
    world.apply(&shop("v2", "revision").to_string()).await;
    let seen = until_seen(&world).await;
    assert_eq!(seen["status"]["currentPodHash"], second[0].1, "{seen}");
    assert_eq!(pods(&world).await, both, "switched on");

    // The plugin copies the template with the label of the ReplicaSet.
    world.plugin(&["undo", "shop"]);
    let back = until_seen(&world).await;
    let copied = &back["spec"]["template"]["metadata"]["labels"][LABEL];
    assert!(copied.is_string(), "{back}");
    assert_eq!(back["status"]["currentPodHash"], back["status"]["stableRS"]);
    let sets = world.get("/apis/apps/v1", "replicasets").await;
    assert_eq!(sets["items"].as_array().map(Vec::len), Some(2), "{sets}");
    assert!(pods(&world).await.is_superset(&first), "back again");
}

fn shop(version: &str, workload_name: &str) -> Value {
    let canary = json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"plugins": {"serin/wasm": {"workloadName": workload_name}}},
        "steps": [{"setCanaryScale": {"replicas": 1}}, {"pause": {}}],
    });
    rollout(version, 2, &canary)
}

fn is_named_for_its_version((_, hash, workload): &Pod) -> bool {
    *workload == Some(format!("shop-{hash}"))
}

async fn pods(world: &World<'_>) -> BTreeSet<Pod> {
    let list = world.get("/api/v1", "pods").await;
    let pods = list["items"].as_array().into_iter().flatten();
    let pods = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let pods = pods.map(|pod| {
        let (metadata, text) = (&pod["metadata"], |value: &Value| {
            value.as_str().map(str::to_string)
        });
        let labels = &metadata["labels"];
        (
            text(&metadata["uid"]).unwrap_or_default(),
            text(&labels["rollouts-pod-template-hash"]).unwrap_or_default(),
            text(&labels[LABEL]),
        )
    });
    pods.collect()
}

/// Waits until there is one more pod than these.
async fn until_there_is_another(world: &World<'_>, before: &BTreeSet<Pod>) -> BTreeSet<Pod> {
    wait_for("the new version has its pod", PATIENCE, async || {
        let pods = pods(world).await;
        match pods.len() == before.len() + 1 {
            true => Ok(pods),
            false => Err(format!("{pods:?}\n{}", world.log())),
        }
    })
    .await
}

/// Waits until the controller has seen the Rollout as it is.
async fn until_seen(world: &World<'_>) -> Value {
    let seen = world.until("it is seen", |rollout| {
        let generation = rollout["metadata"]["generation"].to_string();
        rollout["status"]["observedGeneration"] == generation
    });
    seen.await
}

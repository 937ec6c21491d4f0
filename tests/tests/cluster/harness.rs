//! The cluster itself: what the tests of others rely on.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use serin_tests::cluster::{Cluster, wait_for};
use std::time::Duration;

use crate::trial::trials;

trials![hundreds_of_pods_without_a_process_become_ready];

/// How long a test waits for anything that it sets off.
const PATIENCE: Duration = Duration::from_secs(60);

async fn hundreds_of_pods_without_a_process_become_ready(cluster: &Cluster) {
    const COUNT: usize = 600;
    let namespace = cluster.namespace("many").await;
    let containers = json!([{"name": "app", "image": "app:1"}]);
    let deployment = deployment("many", COUNT, &json!({"containers": containers}));
    cluster.apply(&deployment.to_string(), &namespace).await;
    let pods = Api::<Pod>::namespaced(cluster.client(), &namespace);
    wait_for("all pods are ready", PATIENCE, async || {
        let pods = pods.list(&ListParams::default()).await;
        let pods = pods.map_err(|error| error.to_string())?.items;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        (ready == COUNT)
            .then_some(())
            .ok_or_else(|| format!("{ready} ready of {}", pods.len()))
    })
    .await;
}

fn deployment(name: &str, replicas: usize, pod: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    })
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

//! What tests put into their namespaces: the demo's app as a Deployment with its Service, and how
//! they wait for its pods.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use serin_tests::cluster::{Cluster, wait_for};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a test waits for anything that it sets off.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A Deployment of the app, and its Service with port 80.
pub(crate) fn app(name: &str, version: &str, replicas: usize) -> String {
    let containers = json!([{
        "name": "app", "image": "demo-app",
        "command": ["demo-app"],
        "args": ["--listen", "$(POD_IP):8080", "--version", version],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
    }]);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    });
    let deployment = deployment(name, replicas, &json!({"containers": containers}));
    format!("{deployment}\n---\n{service}\n")
}

/// A Deployment of pods with this spec.
pub(crate) fn deployment(name: &str, replicas: usize, pod: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    })
}

/// How long it takes after the API server was away until Kubernetes' own controllers and istiod look
/// again: up to a minute, twice, and longer if it was away before.
pub(crate) const AFTER_AN_OUTAGE: Duration = Duration::from_secs(200);

/// Waits until the namespace has this many pods, all ready.
pub(crate) async fn until_ready(cluster: &Cluster, namespace: &str, count: usize) -> Vec<Pod> {
    until_ready_within(cluster, namespace, count, PATIENCE).await
}

/// Waits for so long.
pub(crate) async fn until_ready_within(
    cluster: &Cluster,
    namespace: &str,
    count: usize,
    patience: Duration,
) -> Vec<Pod> {
    let pods = Api::<Pod>::namespaced(cluster.client(), namespace);
    wait_for("all pods are ready", patience, async || {
        let pods = pods.list(&ListParams::default()).await;
        let pods = pods.map_err(|error| error.to_string())?.items;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        if ready == count && pods.len() == count {
            Ok(pods)
        } else {
            Err(format!("{ready} ready of {}", pods.len()))
        }
    })
    .await
}

/// Whether the pod's status says that it is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

/// The address that the pod has.
pub(crate) fn address(pod: &Pod) -> Ipv4Addr {
    let address = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_ref());
    let address = address.expect("the pod has an address");
    address.parse().expect("is an address")
}

//! The cluster itself: what the tests of others rely on.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use serin_tests::client::Client;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::Traffic;
use serin_tests::cluster::{Cluster, wait_for};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::trial::trials;

trials![
    hundreds_of_pods_without_a_process_become_ready,
    pods_answer_at_their_addresses_which_are_in_endpoint_slices,
    the_process_of_a_deleted_pod_is_gone,
    a_gateway_follows_a_change_of_weights,
    a_caller_follows_a_change_of_weights,
];

/// How long a test waits for anything that it sets off.
const PATIENCE: Duration = Duration::from_secs(60);

async fn hundreds_of_pods_without_a_process_become_ready(cluster: &Cluster) {
    const COUNT: usize = 600;
    let namespace = cluster.namespace("many").await;
    let containers = json!([{"name": "app", "image": "app:1"}]);
    let deployment = deployment("many", COUNT, &json!({"containers": containers}));
    cluster.apply(&deployment.to_string(), &namespace).await;
    until_ready(cluster, &namespace, COUNT).await;
}

async fn pods_answer_at_their_addresses_which_are_in_endpoint_slices(cluster: &Cluster) {
    let namespace = cluster.namespace("answer").await;
    let app = app("shop", "v1", 2);
    cluster.apply(&app, &namespace).await;
    let pods = until_ready(cluster, &namespace, 2).await;

    let addresses: Vec<Ipv4Addr> = pods.iter().map(address).collect();
    for address in &addresses {
        let answer = Client::connect(SocketAddr::from((*address, 8080)))
            .and_then(|mut client| client.get("any", "/", &[]));
        assert_eq!(answer.expect("the pod answers").body, "v1\n");
    }

    let slices = Api::<EndpointSlice>::namespaced(cluster.client(), &namespace);
    wait_for("both addresses in slices", PATIENCE, async || {
        let slices = slices.list(&ListParams::default()).await;
        let slices = slices.map_err(|error| error.to_string())?.items;
        let endpoints = slices.iter().filter_map(|slice| slice.endpoints.as_ref());
        let endpoints = endpoints.flatten().filter(|endpoint| {
            let conditions = endpoint.conditions.as_ref();
            conditions.is_some_and(|conditions| conditions.ready == Some(true))
        });
        let found: Vec<&String> = endpoints.flat_map(|endpoint| &endpoint.addresses).collect();
        let wanted = |address: &Ipv4Addr| found.contains(&&address.to_string());
        let all = found.len() == 2 && addresses.iter().all(wanted);
        all.then_some(()).ok_or_else(|| format!("{found:?}"))
    })
    .await;
}

async fn the_process_of_a_deleted_pod_is_gone(cluster: &Cluster) {
    let namespace = cluster.namespace("gone").await;
    cluster.apply(&app("shop", "v1", 1), &namespace).await;
    let pods = until_ready(cluster, &namespace, 1).await;
    let old = SocketAddr::from((address(&pods[0]), 8080));
    Client::connect(old).expect("the pod listens");

    let api = Api::<Pod>::namespaced(cluster.client(), &namespace);
    let name = pods[0].name_any();
    let deleted = api.delete(&name, &DeleteParams::default()).await;
    deleted.expect("the pod can be deleted");

    wait_for("nobody listens", PATIENCE, async || {
        Client::connect(old).err().ok_or_else(|| "somebody".into())
    })
    .await;
    wait_for("another pod is there", PATIENCE, async || {
        let pods = api.list(&ListParams::default()).await;
        let pods = pods.map_err(|error| error.to_string())?.items;
        match &pods[..] {
            [pod] if is_ready(pod) && address(pod) != old.ip() => Ok(()),
            _ => Err(format!(
                "{:?}",
                pods.iter().map(Pod::name_any).collect::<Vec<_>>()
            )),
        }
    })
    .await;
}

async fn a_gateway_follows_a_change_of_weights(cluster: &Cluster) {
    let namespace = cluster.namespace("gateway").await;
    apply_two_versions(cluster, &namespace).await;
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "door"},
        "spec": {
            "selector": {"gateway": namespace},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"},
                "hosts": ["shop.example"]}],
        },
    });
    cluster.apply(&gateway.to_string(), &namespace).await;
    let proxy = Proxy::gateway(cluster, &namespace, "door", &[("gateway", &namespace)]).await;
    follows_a_change_of_weights(cluster, &namespace, proxy, "shop.example", &["door"]).await;
}

async fn a_caller_follows_a_change_of_weights(cluster: &Cluster) {
    let namespace = cluster.namespace("caller").await;
    apply_two_versions(cluster, &namespace).await;
    let host = format!("stable.{namespace}.svc.cluster.local");
    let proxy = Proxy::caller(cluster, &namespace, "caller", &[]).await;
    follows_a_change_of_weights(cluster, &namespace, proxy, &host, &["mesh"]).await;
}

async fn apply_two_versions(cluster: &Cluster, namespace: &str) {
    cluster.apply(&app("stable", "v1", 1), namespace).await;
    cluster.apply(&app("canary", "v2", 1), namespace).await;
    until_ready(cluster, namespace, 2).await;
}

async fn follows_a_change_of_weights(
    cluster: &Cluster,
    namespace: &str,
    proxy: Proxy,
    host: &str,
    gateways: &[&str],
) {
    let proxy = Arc::new(proxy);
    let weigh = |canary: u32| {
        let to = |name: &str, weight: u32| json!({"destination": {"host": name}, "weight": weight});
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "shop"},
            "spec": {"hosts": [host], "gateways": gateways,
                "http": [{"route": [to("stable", 100 - canary), to("canary", canary)]}]},
        })
        .to_string()
    };
    cluster.apply(&weigh(0), namespace).await;
    wait_for(
        "the stable version answers",
        PATIENCE,
        async || match proxy.get(80, host, "/") {
            Ok(answer) if answer.body == "v1\n" => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;

    let sending = Traffic::to(host).through(&proxy);
    cluster.apply(&weigh(100), namespace).await;
    wait_for("the canary answers alone", PATIENCE, async || {
        let last = sending
            .so_far()
            .since(Instant::now() - Duration::from_secs(1));
        let all = last.answers.len() > 10 && last.of("v2") == last.answers.len();
        all.then_some(()).ok_or_else(|| format!("{last:?}"))
    })
    .await;
    let outcome = sending.stop();
    assert!(outcome.of("v1") > 0, "{outcome:?}");
    assert!(outcome.failed().is_empty(), "{:?}", outcome.failed());
}

/// A Deployment of the demo's app, and its Service.
fn app(name: &str, version: &str, replicas: usize) -> String {
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

/// Waits until the namespace has this many pods, all ready.
async fn until_ready(cluster: &Cluster, namespace: &str, count: usize) -> Vec<Pod> {
    let pods = Api::<Pod>::namespaced(cluster.client(), namespace);
    wait_for("all pods are ready", PATIENCE, async || {
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

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

fn address(pod: &Pod) -> Ipv4Addr {
    let address = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_ref());
    let address = address.expect("the pod has an address");
    address.parse().expect("is an address")
}

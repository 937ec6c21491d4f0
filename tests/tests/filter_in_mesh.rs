//! One configuration for all proxies of a mesh: the real Envoy tells its filter whose proxy it is, by
//! the node metadata that Istio writes.

use serde_json::{Value, json};
use serin_core::metric;
use serin_core::wire::FilterConfig;
use serin_tests::envoy::{Envoy, Setup};
use serin_tests::load;

/// In front of pods.
fn config() -> FilterConfig {
    let document = json!({
        "version": 1, "generation": 3, "name": "mesh", "role": "destination",
        "istioMetrics": true,
        "pods": [{"namespace": "web", "rollout": "shop", "stable": "5b8d4f", "canary": "6f7c9d"}],
    });
    FilterConfig::from_json(document.to_string().as_bytes()).expect("is accepted")
}

fn node(workload: &str, namespace: &str, hash: &str) -> Value {
    json!({
        "WORKLOAD_NAME": workload, "NAMESPACE": namespace,
        "LABELS": {"app": workload, "rollouts-pod-template-hash": hash},
    })
}

/// Sends requests through a proxy with this node, and finds all these labels on what it counted.
fn counts_with(node: &Value, metric: &str, labels: &[(&str, &str)]) {
    let setup = Setup {
        metadata: node.clone(),
        ..Setup::default()
    };
    let envoy = Envoy::start_with(&config(), &setup);
    load::send(envoy.listener, "shop", 1, 20, &|_| vec![]);
    envoy.until("its requests are counted", || {
        envoy.statistic("istio_requests_total").iter().sum::<f64>() >= 20.0
    });
    let lines = envoy.named(metric);
    let line = lines.first().expect("a series");
    for (label, value) in labels {
        let label = format!("{label}___{value}___");
        assert!(line.contains(&label), "{label}: {line}");
    }
    // Where labels are in the name, the controller finds the proxy by this.
    assert!(line.contains(&format!("___{metric}")), "{line}");
}

/// Proxies of a mesh take no other labels out of the names than they are told.
#[test]
fn its_own_metrics_have_its_own_labels_alone() {
    let setup = Setup {
        metadata: node("shop", "web", "6f7c9d"),
        ..Setup::default()
    };
    let envoy = Envoy::start_with(&config(), &setup);
    load::send(envoy.listener, "shop", 1, 20, &|_| vec![]);
    envoy.until("its requests are counted", || {
        envoy.statistic("serin_requests_total").iter().sum::<f64>() >= 20.0
    });
    for line in envoy.named("serin_") {
        let name = line.split(' ').next().unwrap_or_default();
        let labels: Vec<&str> = name.split("___").collect();
        let (_, labels) = labels.split_last().expect("a name");
        for label in labels.chunks(2).map(|pair| pair[0]) {
            assert!(metric::OWN_LABELS.contains(&label), "{label}: {line}");
        }
    }
}

#[test]
fn a_pod_of_the_canary_counts_as_the_canary() {
    let labels = [
        ("variant", "canary"),
        ("revision", "6f7c9d"),
        ("rollout", "shop"),
        ("namespace", "web"),
    ];
    counts_with(
        &node("shop", "web", "6f7c9d"),
        "serin_requests_total",
        &labels,
    );
}

#[test]
fn a_pod_of_no_release_counts_under_its_own_name() {
    let labels = [
        ("destination_workload", "cart"),
        ("destination_workload_namespace", "web"),
    ];
    counts_with(&node("cart", "web", ""), "istio_requests_total", &labels);
}

//! Proxies do as istiod says, and the traffic through them tells what they do.

use serde_json::json;
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::Traffic;
use serin_tests::cluster::{Cluster, wait_for};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::shop::{PATIENCE, app, until_ready};
use crate::trial::trials;

trials![
    a_gateway_follows_a_change_of_weights,
    a_caller_follows_a_change_of_weights,
    a_failed_request_is_told,
    prometheus_reads_what_proxies_count,
];

/// The host of the gateways here; each is in a network of its own.
const HOST: &str = "shop.example";

async fn a_gateway_follows_a_change_of_weights(cluster: &Cluster) {
    let namespace = cluster.namespace("gateway").await;
    apply_two_versions(cluster, &namespace).await;
    let proxy = gateway(cluster, &namespace).await;
    follows_a_change_of_weights(cluster, &namespace, proxy, HOST, "door").await;
}

async fn a_caller_follows_a_change_of_weights(cluster: &Cluster) {
    let namespace = cluster.namespace("caller").await;
    apply_two_versions(cluster, &namespace).await;
    let host = format!("stable.{namespace}.svc.cluster.local");
    let proxy = Proxy::caller(cluster, &namespace, "caller", &[]).await;
    follows_a_change_of_weights(cluster, &namespace, proxy, &host, "mesh").await;
}

async fn a_failed_request_is_told(cluster: &Cluster) {
    let namespace = cluster.namespace("failed").await;
    cluster.apply(&app("stable", "v1", 1), &namespace).await;
    let nobody = app("canary", "v2", 0);
    cluster.apply(&nobody, &namespace).await;
    until_ready(cluster, &namespace, 1).await;
    let proxy = Arc::new(gateway(cluster, &namespace).await);
    cluster.apply(&split(HOST, "door", 50), &namespace).await;
    until_answer(&proxy, HOST, "v1\n").await;

    let outcome = Traffic::to(HOST)
        .through_for(&proxy, Duration::from_secs(1))
        .await;
    let failed = outcome.failed();
    assert!(failed.contains_key("503 no healthy upstream"), "{failed:?}");
    assert!(outcome.of("v1") > 10, "{outcome:?}");

    let elsewhere = Traffic {
        port: 81,
        ..Traffic::to(HOST)
    };
    let outcome = elsewhere.through_for(&proxy, Duration::from_secs(1)).await;
    assert!(outcome.answers.is_empty(), "{outcome:?}");
    assert!(outcome.failures.len() > 10, "{outcome:?}");
}

async fn prometheus_reads_what_proxies_count(cluster: &Cluster) {
    let namespace = cluster.namespace("counted").await;
    apply_two_versions(cluster, &namespace).await;
    let proxy = Arc::new(gateway(cluster, &namespace).await);
    cluster.apply(&split(HOST, "door", 0), &namespace).await;
    until_answer(&proxy, HOST, "v1\n").await;
    let mut prometheus = Prometheus::start(cluster, &[&proxy]).await;
    Traffic::to(HOST)
        .through_for(&proxy, Duration::from_secs(1))
        .await;
    let query = format!(
        r#"sum(envoy_http_downstream_rq_xx{{pod="door",namespace="{namespace}",envoy_response_code_class="2"}}) > 50"#
    );
    until_query(&prometheus, &query).await;

    prometheus.stop().await;
    let down = prometheus.query(&query).await;
    assert!(down.is_err(), "{down:?}");
    prometheus.start_again(cluster).await;
    until_query(&prometheus, &query).await;
}

async fn until_query(prometheus: &Prometheus, query: &str) {
    wait_for(query, PATIENCE, async || {
        match prometheus.query(query).await {
            Ok(values) if !values.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn follows_a_change_of_weights(
    cluster: &Cluster,
    namespace: &str,
    proxy: Proxy,
    host: &str,
    gateway: &str,
) {
    let proxy = Arc::new(proxy);
    cluster.apply(&split(host, gateway, 0), namespace).await;
    until_answer(&proxy, host, "v1\n").await;

    let sending = Traffic::to(host).through(&proxy);
    wait_for("the stable version answers", PATIENCE, async || {
        let seen = sending.so_far();
        (seen.of("v1") > 10)
            .then_some(())
            .ok_or_else(|| format!("{seen:?}"))
    })
    .await;
    cluster.apply(&split(host, gateway, 100), namespace).await;
    wait_for("the canary answers alone", PATIENCE, async || {
        let last = sending
            .so_far()
            .since(Instant::now() - Duration::from_secs(1));
        let all = last.answers.len() > 10 && last.of("v2") == last.answers.len();
        all.then_some(()).ok_or_else(|| format!("{last:?}"))
    })
    .await;
    let outcome = sending.stop();
    assert!(outcome.failed().is_empty(), "{:?}", outcome.failed());
}

async fn until_answer(proxy: &Proxy, host: &str, body: &str) {
    wait_for("the proxy has the route", PATIENCE, async || {
        match proxy.get(80, host, "/") {
            Ok(answer) if answer.body == body => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn apply_two_versions(cluster: &Cluster, namespace: &str) {
    cluster.apply(&app("stable", "v1", 1), namespace).await;
    cluster.apply(&app("canary", "v2", 1), namespace).await;
    until_ready(cluster, namespace, 2).await;
}

/// A Gateway for [`HOST`], and its proxy.
async fn gateway(cluster: &Cluster, namespace: &str) -> Proxy {
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "door"},
        "spec": {
            "selector": {"gateway": namespace},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"},
                "hosts": [HOST]}],
        },
    });
    cluster.apply(&gateway.to_string(), namespace).await;
    Proxy::gateway(cluster, namespace, "door", &[("gateway", namespace)]).await
}

/// A VirtualService that gives the canary this share of a hundred.
fn split(host: &str, gateway: &str, canary: u32) -> String {
    let to = |name: &str, weight: u32| json!({"destination": {"host": name}, "weight": weight});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "shop"},
        "spec": {"hosts": [host], "gateways": [gateway],
            "http": [{"route": [to("stable", 100 - canary), to("canary", canary)]}]},
    })
    .to_string()
}

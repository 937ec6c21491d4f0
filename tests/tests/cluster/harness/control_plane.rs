//! Who may do what, and an API server that is away for a while.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use serin_tests::cluster::{Cluster, wait_for};
use std::time::Duration;

use crate::shop::{AFTER_AN_OUTAGE, PATIENCE, app, until_ready_within};
use crate::trial::trials;

trials![
    a_token_allows_what_its_service_account_may;
    alone: an_outage_of_the_api_server_is_survived,
];

async fn a_token_allows_what_its_service_account_may(cluster: &Cluster) {
    let namespace = cluster.namespace("token").await;
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "reader"}, "roleRef": role,
        "subjects": [{"kind": "ServiceAccount", "name": "reader"}],
    });
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}});
    cluster
        .apply(&format!("{account}\n---\n{binding}"), &namespace)
        .await;
    let client = cluster.client_of(&cluster.token_for(&namespace, "reader").await);
    let own = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    wait_for("the binding counts", PATIENCE, async || {
        let listed = own.list(&ListParams::default()).await;
        listed.map_err(|error| error.to_string())
    })
    .await;
    let other = Api::<ConfigMap>::namespaced(client, "default");
    let refused = other.list(&ListParams::default()).await;
    let refused = matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403);
    assert!(refused, "the binding is for one namespace");
}

async fn an_outage_of_the_api_server_is_survived(cluster: &Cluster) {
    let namespace = cluster.namespace("outage").await;
    cluster.apply(&app("before", "v1", 1), &namespace).await;
    until_ready_within(cluster, &namespace, 1, AFTER_AN_OUTAGE).await;

    cluster.stop_api_server().await;
    let pods = Api::<Pod>::namespaced(cluster.client(), &namespace);
    let asked = pods.list(&ListParams::default()).await;
    assert!(asked.is_err(), "nobody answers");
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.start_api_server().await;

    cluster.apply(&app("after", "v1", 1), &namespace).await;
    until_ready_within(cluster, &namespace, 2, AFTER_AN_OUTAGE).await;
}

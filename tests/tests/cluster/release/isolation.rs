//! What is told of a mesh that cannot tell the versions apart.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use serin_core::metric::{GENERATION, prefix};
use serin_tests::cluster::network::NODE;
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::{Cluster, wait_for};

use super::controller::World;
use super::manifests::{rollout, service};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![a_mesh_that_is_not_ready_is_told_on_the_rollouts_that_need_it];

async fn a_mesh_that_is_not_ready_is_told_on_the_rollouts_that_need_it(cluster: &Cluster) {
    let namespace = cluster.namespace("unready").await;
    let proxy = proxy().await;
    let prometheus = Prometheus::reading(cluster, &proxy).await;
    wait_for(
        "Prometheus has read it",
        PATIENCE,
        async || match prometheus.query("istio_build").await?.is_empty() {
            true => Err("nothing".to_string()),
            false => Ok(()),
        },
    )
    .await;
    let options = vec![
        "--leader-elect=false".to_string(),
        format!("--prometheus={}", prometheus.url()),
        format!("--root-namespace={namespace}"),
    ];
    let mut world = World::inside(cluster, namespace, options).await;
    let canary = json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"plugins": {"serin/wasm": {}}}, "steps": [{"pause": {}}],
    });
    let mut without = rollout("v1", 1, &json!({"steps": [{"pause": {}}]}));
    without["metadata"]["name"] = json!("without");
    let objects = [
        service("shop"),
        service("shop-canary"),
        without,
        rollout("v1", 1, &canary),
    ];
    world.stand(&objects).await;
    // It looks when it starts.
    world.kill().await;
    world.start().await;
    let unlabelled = "1 proxy has labels of the filter's metrics inside their names";
    let too_old = "1 proxy of Istio 1.24.3, expected 1.25 or newer";
    wait_for("both are told", PATIENCE, async || {
        let told = notices(&world, "shop").await;
        let is_told = |text: &str| told.iter().any(|note| note.starts_with(text));
        match is_told(unlabelled) && is_told(too_old) {
            true => Ok(()),
            false => Err(format!("{told:#?}\n{}", world.log())),
        }
    })
    .await;
    let log = world.log();
    assert_eq!(
        log.matches("the mesh is not ready for serin/wasm").count(),
        2,
        "{log}"
    );
    assert_eq!(notices(&world, "without").await, [""; 0]);
}

/// What the events about a Rollout say of its manifest and its mesh.
async fn notices(world: &World<'_>, rollout: &str) -> Vec<String> {
    let events = world.get("/apis/events.k8s.io/v1", "events").await;
    let events = events["items"].as_array().into_iter().flatten();
    let of =
        |event: &&Value| event["reason"] == "SpecNotice" && event["regarding"]["name"] == *rollout;
    let notes = events.filter(of).map(|event| event["note"].as_str());
    notes
        .map(|note| note.unwrap_or_default().to_string())
        .collect()
}

/// Where a proxy's statistics are: one of an older Istio, without tags for the filter's labels.
async fn proxy() -> String {
    // As Envoy writes what Prometheus does not take.
    let stat = prefix(&[("config", "serin-source")]) + GENERATION;
    let exposed = stat.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let text = format!("{exposed} 3\nistio_build{{component=\"proxy\",tag=\"1.24.3\"}} 1\n");
    let app = Router::new().route("/metrics", get(async move || text));
    let listener = tokio::net::TcpListener::bind((NODE, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        axum::serve(listener, app).await.expect("serves");
    });
    address
}

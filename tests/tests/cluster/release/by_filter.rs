//! Releases whose traffic the filter moves: in a gateway and in a caller's sidecar, both run by
//! Istio's agent, which fetches the module from the controller.

mod shop;

use serde_json::{Value, json};
use serin_tests::cluster::traffic::Headers;
use serin_tests::cluster::{Cluster, wait_for};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flow::{header_route, no_failure};
use super::manifests::{rollout, template};
use crate::shop::PATIENCE;
use crate::trial::trials;
use shop::{DOOR, Shop, canary, routes};

trials![
    a_release_goes_through_gateway_and_sidecar_and_edits_nothing_of_the_users,
    a_rollout_without_routes_gets_its_own,
];

/// Who has this header gets the canary by a managed route.
fn beta() -> Headers {
    Arc::new(|_| vec![("x-canary".into(), "true".into())])
}

/// A user each.
fn users() -> Headers {
    Arc::new(|number| vec![("x-user-id".into(), format!("user-{number}"))])
}

async fn a_release_goes_through_gateway_and_sidecar_and_edits_nothing_of_the_users(
    cluster: &Cluster,
) {
    let shop = Shop::open(cluster, "filtered", &[]).await;
    let world = &shop.world;
    let counted = json!({"analysis": {"templates": [{"templateName": "counted"}]}});
    let careful = canary(
        &json!({"hosts": [DOOR], "sticky": [{"header": "x-user-id"}],
            "virtualService": {"name": "shop"}}),
        &json!([
            {"setCanaryScale": {"replicas": 1}}, header_route(), {"pause": {}},
            {"setWeight": 25}, {"pause": {}}, counted, {"setWeight": 60},
        ]),
    );
    let ground = [
        routes(),
        counted_by_filter(&shop),
        rollout("v1", 2, &careful),
    ];
    world.stand(&[&shop.ground()[..], &ground].concat()).await;
    shop.until_all_answer("v1").await;
    let before = shop.of_the_user().await;
    let sending = shop.send();

    world.apply(&rollout("v2", 2, &careful).to_string()).await;
    world.until_paused_at(2).await;
    for way in shop.ways() {
        assert_eq!(way.share("v2", beta()).await, 1.0, "{}", way.host);
        assert_eq!(way.share("v1", users()).await, 1.0, "{}", way.host);
    }
    assert_eq!(shop.of_the_user().await, before, "in the middle of it");
    world.plugin(&["promote", "shop"]);
    let paused = world.until_paused_at(4).await;
    let weights = &paused["status"]["canary"]["weights"];
    assert_eq!(
        (&weights["canary"]["weight"], &weights["verified"]),
        (&json!(25), &json!(true))
    );
    for way in shop.ways() {
        let share = way.share("v2", users()).await;
        assert!((0.1..0.45).contains(&share), "{}: {share}", way.host);
        let one: Headers = Arc::new(|_| vec![("x-user-id".into(), "alice".into())]);
        let share = way.share("v2", one).await;
        assert!([0.0, 1.0].contains(&share), "alice stays: {share}");
    }
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    shop.until_all_answer("v2").await;
    assert_eq!(shop.of_the_user().await, before, "afterwards");

    world
        .apply(&template(&shop.prometheus.url(), 0).to_string())
        .await;
    let bad = canary(
        &json!({"hosts": [DOOR], "virtualService": {"name": "shop"}}),
        &json!([
            {"setWeight": 50}, {"analysis": {"templates": [{"templateName": "good"}]}},
        ]),
    );
    world.apply(&rollout("v3", 2, &bad).to_string()).await;
    let degraded = world.until_phase("Degraded").await;
    let message = degraded["status"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("Metric \"good\" assessed Failed"),
        "{message}"
    );
    shop.until_all_answer("v2").await;
    world.plugin(&["retry", "rollout", "shop"]);
    world
        .until("half of all again", |rollout| {
            rollout["status"]["canary"]["weights"]["canary"]["weight"] == 50
        })
        .await;
    let asked = Instant::now();
    world.plugin(&["abort", "shop"]);
    world.until_phase("Degraded").await;
    shop.until_all_answer("v2").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for sending in sending {
        let last = sending
            .so_far()
            .answers
            .iter()
            .filter(|answer| answer.version == "v3")
            .map(|answer| answer.at)
            .max();
        let last = last.expect("v3 answered somebody");
        println!(
            "the last request reached the canary {:?} after the abort",
            last.saturating_duration_since(asked)
        );
        no_failure(sending);
    }
    world.plugin(&["undo", "shop"]);
    world.until_phase("Healthy").await;
    assert_eq!(shop.of_the_user().await, before, "at the end");
    shop.until_at_rest().await;
}

/// Enough requests have reached the canary, by what the filter counted.
fn counted_by_filter(shop: &Shop<'_>) -> Value {
    let query = "sum(serin_requests_total{rollout=\"shop\",variant=\"canary\",\
                 reporter=\"source\",response_code=\"200\"}) or vector(0)";
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "counted"},
        "spec": {"metrics": [{
            "name": "counted", "interval": "1s", "count": 2, "successCondition": "result[0] > 50",
            "provider": {"prometheus": {"address": shop.prometheus.url(), "query": query}},
        }]},
    })
}

async fn a_rollout_without_routes_gets_its_own(cluster: &Cluster) {
    let shop = Shop::open(cluster, "own", &[]).await;
    let world = &shop.world;
    let mirror = json!({"setMirrorRoute": {"name": "copies", "percentage": 100,
        "match": [{"path": {"prefix": "/"}}]}});
    let own = canary(
        &json!({}),
        &json!([{"setCanaryScale": {"replicas": 1}}, mirror, {"pause": {}}, {"setWeight": 50},
            {"pause": {}}]),
    );
    world
        .stand(&[&shop.ground()[..], &[rollout("v1", 1, &own)]].concat())
        .await;
    let [_, caller] = shop.ways();
    caller.until("v1").await;
    let sending = caller.send();
    let routes = world.virtual_service_of("serin-shop").await;
    assert_eq!(routes["spec"]["hosts"], json!(["shop"]));
    let names = |routes: &Value| -> Vec<String> {
        let http = routes["spec"]["http"].as_array().into_iter().flatten();
        http.map(|route| route["name"].as_str().unwrap_or_default().to_string())
            .collect()
    };
    assert_eq!(names(&routes), ["serin-canary", "serin-stable"]);
    world.apply(&rollout("v2", 1, &own).to_string()).await;
    world.until_paused_at(2).await;
    let mirrored = world.virtual_service_of("serin-shop").await;
    assert_eq!(names(&mirrored), ["serin-canary", "copies", "serin-stable"]);
    assert_eq!(mirrored["spec"]["http"][1]["mirror"]["host"], "shop-canary");
    caller.until("v1").await;
    world.plugin(&["promote", "shop"]);
    world.until_paused_at(4).await;
    let share = caller.share("v2", users()).await;
    assert!((0.3..0.7).contains(&share), "{share}");
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    caller.until("v2").await;
    assert_eq!(
        world.virtual_service_of("serin-shop").await["spec"],
        routes["spec"]
    );
    no_failure(sending);
    // It goes with its Rollout.
    let path = format!(
        "{}/namespaces/{}/rollouts/shop",
        super::controller::ARGO,
        world.namespace
    );
    cluster
        .ask("DELETE", &path, serin_tests::cluster::JSON, None)
        .await;
    wait_for("it goes with its Rollout", PATIENCE, async || {
        let routes = world.virtual_service_of("serin-shop").await;
        match routes["code"] == 404 {
            true => Ok(()),
            false => Err(format!("{routes}\n{}", world.log())),
        }
    })
    .await;
}

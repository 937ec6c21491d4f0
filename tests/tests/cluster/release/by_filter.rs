//! Releases whose traffic the filter moves: in a gateway and in a caller's sidecar, both run by
//! Istio's agent, which fetches the module from the controller.

mod judged;
mod outages;
mod shop;

use serde_json::{Value, json};
use serin_tests::cluster::traffic::Headers;
use serin_tests::cluster::{Cluster, wait_for};
use std::sync::Arc;

use super::controller::World;
use super::flow::{header_route, no_failure};
use super::manifests::{rollout, template};
use crate::shop::PATIENCE;
use crate::trial::trials;
use shop::{DOOR, Setup, Shop, canary, routes as routes_of_the_user};

pub(crate) fn all() -> Vec<libtest_mimic::Trial> {
    [trials(), outages::trials(), judged::trials()]
        .into_iter()
        .flatten()
        .collect()
}

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
    let shop = Shop::open(cluster, "filtered", Setup::default()).await;
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
        routes_of_the_user(),
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
    world.plugin(&["abort", "shop"]);
    world.until_phase("Degraded").await;
    shop.until_all_answer("v2").await;
    for sending in sending {
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
    let shop = Shop::open(cluster, "own", Setup::default()).await;
    let world = &shop.world;
    let mirror = json!({"setMirrorRoute": {"name": "copies", "percentage": 100,
        "match": [{"path": {"prefix": "/"}}]}});
    let together = json!([{"header": {"name": "x-team", "exact": "web"}}, {"method": {"exact": "GET"}},
        {"path": {"prefix": "/pay"}}, {"cookie": {"name": "trial", "exact": "yes"}}]);
    let rich = json!([{"name": "beta", "any": [{"all": together}]}]);
    let mut own = canary(
        &json!({"sticky": [{"header": "x-user-id"}], "routes": rich}),
        &json!([{"setCanaryScale": {"replicas": 1}}, mirror, header_route(), {"pause": {}},
            {"setWeight": 4_999}, {"pause": {}}]),
    );
    own["trafficRouting"]["maxTrafficWeight"] = json!(10_000);
    // Nor does a gateway that no Gateway selects keep anybody waiting, for it has no filter.
    world
        .stand(&[&shop.ground()[..2], &[rollout("v1", 1, &own)]].concat())
        .await;
    let caller = shop.callers_way();
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
    world.until_paused_at(3).await;
    let mirrored = world.virtual_service_of("serin-shop").await;
    assert_eq!(names(&mirrored), ["serin-canary", "copies", "serin-stable"]);
    assert_eq!(mirrored["spec"]["http"][1]["mirror"]["host"], "shop-canary");
    caller.until("v1").await;
    let asks = |path: &str, headers: &[(&str, &str)]| {
        let answer = caller.proxy.get_with(80, &caller.host, path, headers);
        answer.expect("an answer").body.trim().to_string()
    };
    let all = [("x-team", "web"), ("cookie", "a=b; trial=yes")];
    assert_eq!(asks("/pay/now", &all), "v2", "all conditions together");
    for (path, headers) in [
        ("/", &all[..]),
        ("/pay/now", &all[..1]),
        ("/pay/now", &all[1..]),
    ] {
        assert_eq!(asks(path, headers), "v1", "{path} {headers:?}");
    }
    world.plugin(&["promote", "shop"]);
    let paused = world.until_paused_at(5).await;
    let weights = &paused["status"]["canary"]["weights"];
    assert_eq!(
        weights["canary"]["weight"], 4_999,
        "in hundredths of a percent"
    );
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
    // It goes with its Rollout's need for it, comes back, and goes with its Rollout.
    let with_users = canary(&json!({"virtualService": {"name": "shop"}}), &json!([]));
    let users = [super::manifests::all(&[
        routes_of_the_user(),
        rollout("v2", 1, &with_users),
    ])];
    world.apply(&users.concat()).await;
    until_own_routes_are(world, false).await;
    world.delete("virtualservices", "shop").await;
    world.apply(&rollout("v2", 1, &own).to_string()).await;
    until_own_routes_are(world, true).await;
    caller.until("v2").await;
    world.delete_rollout().await;
    until_own_routes_are(world, false).await;
}

/// Waits until the controller's own VirtualService is there, or is not.
async fn until_own_routes_are(world: &World<'_>, there: bool) {
    wait_for("its own routes are there, or not", PATIENCE, async || {
        let routes = world.virtual_service_of("serin-shop").await;
        match (routes["code"] != 404) == there {
            true => Ok(()),
            false => Err(format!("{routes}\n{}", world.log())),
        }
    })
    .await;
}

//! The filter as a mesh distributes it: objects that the API server takes, istiod that hands them on,
//! and an Envoy that runs the module and follows the header that it writes.

use serde_json::{Value, json};
use serin::mesh::objects::{self, CONFIGURATION, Owner, PLACE, SOURCE, Wanted};
use serin::mesh::routes;
use serin_core::plan::Plan;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::{Outcome, Traffic};
use serin_tests::cluster::{Cluster, JSON, wait_for};
use std::sync::Arc;
use std::time::Duration;

use crate::shop::{PATIENCE, app, until_ready};
use crate::trial::trials;

trials![the_filter_routes_where_istiod_distributes_it];

async fn the_filter_routes_where_istiod_distributes_it(cluster: &Cluster) {
    let namespace = cluster.namespace("mesh").await;
    cluster.apply(&app("shop", "v1", 1), &namespace).await;
    cluster
        .apply(&app("shop-canary", "v2", 1), &namespace)
        .await;
    until_ready(cluster, &namespace, 2).await;
    let plan = Plan::parse(&rollout(), &namespace).expect("a plan");
    let static_routes = routes::own(&plan).expect("two Services");
    cluster.apply(&static_routes.to_string(), &namespace).await;
    // In a namespace of its own it is for the proxies there; the mesh's is Istio's root namespace.
    let place = objects::place(&Owner::of_all(&namespace), 0);
    cluster.apply(&place.to_string(), &namespace).await;
    let module = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(module.path(), serin_filter_module::MODULE).expect("the module");
    let mesh = Mesh {
        cluster,
        namespace: namespace.clone(),
        code: json!({"local": {"filename": module.path()}}),
    };
    mesh.tell(&Wanted::default()).await;

    let proxy = Arc::new(Proxy::caller(cluster, &namespace, "caller", &[]).await);
    let host = format!("shop.{namespace}.svc.cluster.local");
    until(&proxy, "the shop answers", &host, "v1", 1.0).await;
    until_filter_is(&proxy, true).await;
    let changed = listeners_changed(&proxy);
    let sending = Traffic::to(&host).through(&proxy);

    mesh.tell(&in_flight(&namespace, 2, 0)).await;
    mesh.until_shown(&proxy, 2).await;
    let by_header = Traffic {
        headers: Arc::new(|_| vec![("x-canary".into(), "true".into())]),
        ..Traffic::to(&host)
    };
    assert_eq!(for_a_second(by_header, &proxy).await.share_of("v2"), 1.0);
    assert_eq!(
        for_a_second(Traffic::to(&host), &proxy)
            .await
            .share_of("v1"),
        1.0
    );
    // A client that names the variant itself gets what everybody gets.
    let by_hand = Traffic {
        headers: Arc::new(|_| vec![("x-serin-variant".into(), "canary".into())]),
        ..Traffic::to(&host)
    };
    assert_eq!(for_a_second(by_hand, &proxy).await.share_of("v1"), 1.0);

    mesh.tell(&in_flight(&namespace, 3, 5_000)).await;
    mesh.until_shown(&proxy, 3).await;
    let users = Traffic {
        headers: Arc::new(|number| vec![("x-user-id".into(), format!("user-{number}"))]),
        ..Traffic::to(&host)
    };
    let share = for_a_second(users, &proxy).await.share_of("v2");
    assert!((0.15..0.85).contains(&share), "{share}");
    let one = Traffic {
        headers: Arc::new(|_| vec![("x-user-id".into(), "alice".into())]),
        ..Traffic::to(&host)
    };
    let answers = for_a_second(one, &proxy).await;
    let share = answers.share_of("v2");
    assert!(
        share == 0.0 || share == 1.0,
        "alice stays with a version: {share}"
    );

    mesh.tell(&Wanted::default()).await;
    until(&proxy, "everybody gets stable", &host, "v1", 1.0).await;
    assert_eq!(
        listeners_changed(&proxy),
        changed,
        "no change touches a listener"
    );
    let outcome = sending.stop();
    assert!(outcome.failed().is_empty(), "{:?}", outcome.failed());
    assert!(
        outcome.of("v2") > 10,
        "half of all without a user had the canary"
    );

    // The place first: a configuration that is deleted goes on in Envoy.
    for name in [PLACE, CONFIGURATION] {
        let path = format!(
            "/apis/networking.istio.io/v1alpha3/namespaces/{namespace}/envoyfilters/{name}"
        );
        cluster.ask("DELETE", &path, JSON, None).await;
    }
    until_filter_is(&proxy, false).await;
    until(&proxy, "the shop answers", &host, "v1", 1.0).await;
}

/// Waits until the filter has its place in the listeners that take connections, or has none. Those
/// that are drained keep theirs.
pub(crate) async fn until_filter_is(proxy: &Proxy, wanted: bool) {
    wait_for("the filter has its place, or none", PATIENCE, async || {
        let dump = proxy.admin("/config_dump?resource=dynamic_listeners");
        let dump = dump.map_err(|error| error.to_string())?.body;
        let dump: Value = serde_json::from_str(&dump).map_err(|error| error.to_string())?;
        let listeners = dump["configs"].as_array().into_iter().flatten();
        let mut active = listeners.map(|listener| listener["active_state"].to_string());
        match active.any(|listener| listener.contains(SOURCE)) == wanted {
            true => Ok(()),
            false => Err(dump.to_string()),
        }
    })
    .await;
}

pub(crate) fn rollout() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
            "strategy": {"canary": {
                "stableService": "shop", "canaryService": "shop-canary",
                "trafficRouting": {"plugins": {"serin/wasm": {}}},
            }},
        },
    })
}

/// A release with a header route and this weight.
pub(crate) fn in_flight(namespace: &str, generation: u64, weight_bp: u16) -> Wanted {
    let any = json!([{"all": [{"on": {"header": "x-canary"}, "is": {"exact": "true"}}]}]);
    let rule = json!({
        "rollout": "shop", "namespace": namespace, "service": "shop",
        "names": ["shop"], "stable": "one",
        "canary": {"revision": "two", "weightBp": weight_bp, "salt": "shop",
            "sticky": [{"header": "x-user-id"}], "routes": [{"name": "beta", "any": any}]},
    });
    Wanted {
        generation,
        rules: vec![serde_json::from_value(rule).expect("a rule")],
    }
}

/// Proxies of one namespace, and where they find the module.
pub(crate) struct Mesh<'c> {
    pub(crate) cluster: &'c Cluster,
    pub(crate) namespace: String,
    pub(crate) code: Value,
}

impl Mesh<'_> {
    pub(crate) async fn tell(&self, wanted: &Wanted) {
        let object = objects::configuration(&Owner::of_all(&self.namespace), 0, wanted, &self.code);
        let object = object.expect("is within the limits").to_string();
        self.cluster.apply(&object, &self.namespace).await;
    }

    pub(crate) async fn until_shown(&self, proxy: &Proxy, generation: u64) {
        wait_for(
            "the proxy shows the generation",
            PATIENCE,
            async || match proxy.statistic("serin_config_generation") {
                Ok(shown) if shown.contains(&(generation as f64)) => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .await;
    }
}

/// How often a listener was made or changed.
pub(crate) fn listeners_changed(proxy: &Proxy) -> Vec<f64> {
    let count = |name: &str| proxy.statistic(name).expect("statistics");
    let names = [
        "listener_manager_listener_added",
        "listener_manager_listener_modified",
    ];
    names.into_iter().flat_map(count).collect()
}

pub(crate) async fn for_a_second(traffic: Traffic, proxy: &Arc<Proxy>) -> Outcome {
    let outcome = traffic.through_for(proxy, Duration::from_secs(1)).await;
    assert!(outcome.answers.len() >= 30, "{outcome:?}");
    outcome
}

pub(crate) async fn until(proxy: &Arc<Proxy>, what: &str, host: &str, version: &str, share: f64) {
    wait_for(what, PATIENCE, async || {
        let short = Duration::from_millis(200);
        let outcome = Traffic::to(host).through_for(proxy, short).await;
        match outcome.share_of(version) == share && outcome.answers.len() > 3 {
            true => Ok(()),
            false => Err(format!("{outcome:?}")),
        }
    })
    .await;
}

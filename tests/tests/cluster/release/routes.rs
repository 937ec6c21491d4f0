//! What is written into VirtualServices, and what is left as it is.

use serde_json::{Value, json};
use serin_tests::cluster::traffic::Traffic;
use serin_tests::cluster::{Cluster, wait_for};

use super::controller::World;
use super::flow::{caller, header_route, host, no_failure, until_answered};
use super::manifests::{by_host, rollout, service};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![
    several_virtual_services_move_together_and_keep_what_is_theirs,
    routes_of_a_release_stay_for_as_long_as_its_steps_say,
    a_header_route_takes_what_the_route_it_stands_before_takes,
];

fn to(host: &str, weight: u32) -> Value {
    json!({"destination": {"host": host}, "weight": weight})
}

/// Named http routes among those of others, with fields of many kinds.
fn named() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "shop"},
        "spec": {"hosts": ["shop", "shop.example"], "http": [
            {"name": "others", "match": [{"uri": {"prefix": "/others"}}],
                "route": [{"destination": {"host": "others"}}],
                "fault": {"abort": {"percentage": {"value": 0.1}, "httpStatus": 418}}},
            {"name": "primary", "match": [{"withoutHeaders": {"x-old": {}}}],
                "route": [to("shop", 100), to("shop-canary", 0)],
                "corsPolicy": {"allowOrigins": [{"exact": "https://shop.example"}]},
                "retries": {"attempts": 0},
                "headers": {"request": {"set": {"x-route": "primary"}}}},
            {"name": "secondary", "route": [to("shop-canary", 0), to("shop", 100)],
                "retries": {"attempts": 0}},
        ]},
    })
}

/// TLS and TCP routes, of which two take part.
fn of_other_protocols() -> Value {
    let tls = |port: u32, hosts: &[&str]| {
        json!({"match": [{"port": port, "sniHosts": hosts}],
            "route": [to("shop", 100), to("shop-canary", 0)]})
    };
    let tcp = |port: u32| json!({"match": [{"port": port}], "route": [to("shop", 100), to("shop-canary", 0)]});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "other"},
        "spec": {"hosts": ["other.example"],
            "tls": [tls(443, &["other.example"]), tls(444, &["other.example"])],
            "tcp": [tcp(3306), tcp(3307)]},
    })
}

fn with_weights(mut object: Value, paths: &[&str], canary: u32) -> Value {
    for path in paths {
        let route = object.pointer_mut(path).and_then(Value::as_array_mut);
        for destination in route.expect("a route") {
            let is_canary = destination["destination"]["host"] == "shop-canary";
            destination["weight"] = json!(if is_canary { canary } else { 100 - canary });
        }
    }
    object["spec"].take()
}

async fn several_virtual_services_move_together_and_keep_what_is_theirs(cluster: &Cluster) {
    let world = World::new(cluster, "several").await;
    let canary = json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"istio": {"virtualServices": [
            {"name": "shop", "routes": ["primary", "secondary"]},
            {"name": "other", "tlsRoutes": [{"port": 443, "sniHosts": ["other.example"]}],
                "tcpRoutes": [{"port": 3306}]},
        ]}},
        "scaleDownDelaySeconds": 1,
        "steps": [{"setWeight": 30}, {"pause": {}}],
    });
    let ground = [
        service("shop"),
        service("shop-canary"),
        named(),
        of_other_protocols(),
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    let http = ["/spec/http/1/route", "/spec/http/2/route"];
    let others = ["/spec/tls/0/route", "/spec/tcp/0/route"];
    for (phase, weight) in [("Paused", 30), ("Healthy", 0)] {
        world.until_phase(phase).await;
        until_specs_are(
            &world,
            &with_weights(named(), &http, weight),
            &with_weights(of_other_protocols(), &others, weight),
        )
        .await;
        if phase == "Paused" {
            world.plugin(&["promote", "shop"]);
        }
    }
    until_answered(&world, &proxy, false, "v2").await;
    no_failure(sending);
}

async fn until_specs_are(world: &World<'_>, shop: &Value, other: &Value) {
    wait_for("both are as they should", PATIENCE, async || {
        let seen = [
            world.virtual_service().await["spec"].clone(),
            world.virtual_service_of("other").await["spec"].clone(),
        ];
        match [&seen[0], &seen[1]] == [shop, other] {
            true => Ok(()),
            false => Err(format!("{seen:#?}\n{}", world.log())),
        }
    })
    .await;
}

/// Lost header routes are what users of Argo Rollouts complain about (#4486, #4561, #4716, #2463).
async fn routes_of_a_release_stay_for_as_long_as_its_steps_say(cluster: &Cluster) {
    let mut world = World::alone(cluster, "routes").await;
    let mirror = json!({"setMirrorRoute": {"name": "shadow", "percentage": 50,
        "match": [{"method": {"exact": "GET"}, "path": {"prefix": "/mirrored"}}]}});
    let canary = json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {
            "managedRoutes": [{"name": "shadow"}],
            "istio": {"virtualService": {"name": "shop"}}},
        "scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1,
        "steps": [
            {"setCanaryScale": {"replicas": 1}}, header_route(), mirror, {"pause": {}},
            {"setWeight": 40}, {"pause": {}},
            {"setHeaderRoute": {"name": "beta"}}, {"pause": {}},
        ],
    });
    let ground = [
        service("shop"),
        service("shop-canary"),
        by_host(),
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;
    let proxy = caller(&world, "v1").await;
    let sending = Traffic::to(&host(&world)).through(&proxy);
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    world.until_paused_at(3).await;
    // A name that only a step has comes after the listed ones, and somebody is told.
    assert_eq!(names(&world).await, ["shadow", "beta", ""]);
    wait_for("somebody is told", PATIENCE, async || {
        let told = world.get("/apis/events.k8s.io/v1", "events").await;
        let events = told["items"].as_array().cloned().unwrap_or_default();
        let noticed = |event: &Value| {
            let note = event["note"].as_str().unwrap_or_default();
            event["reason"] == "SpecNotice" && note.contains("route \"beta\" is not in")
        };
        let any = events.iter().any(noticed);
        any.then_some(()).ok_or_else(|| told.to_string())
    })
    .await;
    until_answered(&world, &proxy, true, "v2").await;
    until_answered(&world, &proxy, false, "v1").await;

    // Through the end of a controller, and whoever applies what is in git meanwhile.
    world.kill().await;
    world.apply(&by_host().to_string()).await;
    world.start().await;
    until_names_are(&world, &["shadow", "beta", ""]).await;
    until_answered(&world, &proxy, true, "v2").await;

    world.plugin(&["promote", "shop"]);
    world.until_paused_at(5).await;
    until_names_are(&world, &["shadow", "beta", ""]).await;
    until_answered(&world, &proxy, true, "v2").await;
    world.plugin(&["abort", "shop"]);
    world.until_phase("Degraded").await;
    until_names_are(&world, &[""]).await;
    until_answered(&world, &proxy, true, "v1").await;
    world.plugin(&["retry", "rollout", "shop"]);
    world.until_paused_at(3).await;
    until_names_are(&world, &["shadow", "beta", ""]).await;
    until_answered(&world, &proxy, true, "v2").await;

    for (pause, left) in [(5, &["shadow", "beta", ""][..]), (7, &["shadow", ""])] {
        world.plugin(&["promote", "shop"]);
        world.until_paused_at(pause).await;
        until_names_are(&world, left).await;
    }
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    until_names_are(&world, &[""]).await;
    assert_eq!(world.virtual_service().await["spec"], by_host()["spec"]);
    until_answered(&world, &proxy, false, "v2").await;
    no_failure(sending);
}

/// Users of Argo Rollouts miss the rewrites of their routes (#3088, #3155), and find requests of
/// other routes at the canary (#3879).
async fn a_header_route_takes_what_the_route_it_stands_before_takes(cluster: &Cluster) {
    let world = World::new(cluster, "like").await;
    let mirror = json!({"setMirrorRoute": {"name": "shadow", "percentage": 100,
        "match": [{"path": {"prefix": "/api/c"}}]}});
    let canary = json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "shop", "routes": ["api"]}}},
        "steps": [{"setCanaryScale": {"replicas": 1}}, header_route(), mirror, {"pause": {}}],
    });
    let mut object = by_host();
    object["spec"]["http"] = json!([
        {"name": "api", "match": [{"uri": {"prefix": "/api/"}}], "rewrite": {"uri": "/"},
            "route": [to("shop", 100), to("shop-canary", 0)]},
        {"name": "rest", "route": [{"destination": {"host": "shop"}}]},
    ]);
    let ground = [
        service("shop"),
        service("shop-canary"),
        object,
        rollout("v1", 1, &canary),
    ];
    world.stand(&ground).await;
    let proxy = caller(&world, "v1").await;
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    world.until_paused_at(3).await;
    // What the app counts is at `/counts`, as JSON with its version.
    for (path, headers, expected) in [
        (
            "/api/counts",
            &[("x-canary", "true")][..],
            "\"version\":\"v2\"",
        ),
        ("/api/counts", &[], "\"version\":\"v1\""),
        ("/api/", &[], "v1\n"),
        ("/api", &[("x-canary", "true")], "v1\n"),
    ] {
        wait_for(&format!("{path} {headers:?}"), PATIENCE, async || {
            let answer = proxy.get_with(80, &host(&world), path, headers);
            match answer {
                Ok(answer) if answer.body.contains(expected) => Ok(()),
                other => Err(format!("{other:?}\n{}", world.virtual_service().await)),
            }
        })
        .await;
    }
}

/// The names of the http routes in their order.
async fn names(world: &World<'_>) -> Vec<String> {
    let object = world.virtual_service().await;
    let routes = object["spec"]["http"].as_array().cloned();
    let name = |route: &Value| route["name"].as_str().unwrap_or_default().to_string();
    routes.iter().flatten().map(name).collect()
}

async fn until_names_are(world: &World<'_>, expected: &[&str]) {
    wait_for("the routes are in place", PATIENCE, async || {
        let names = names(world).await;
        match names == expected {
            true => Ok(()),
            false => Err(format!("{names:?}\n{}", world.log())),
        }
    })
    .await;
}

//! Where the filter sends a request.

use serde_json::{Value, json};
use serin_tests::wasm_host::{Fields, Proxy, fields, get, value};

const HEADER: &str = "x-serin-variant";

/// A configuration with one release in flight.
fn config(canary: Value) -> String {
    let mut release = json!({"revision": "bbb", "weightBp": 0, "salt": "shop/checkout/bbb"});
    release
        .as_object_mut()
        .expect("is an object")
        .extend(canary.as_object().expect("is an object").clone());
    json!({
        "version": 1, "generation": 1, "name": "gateway", "role": "source",
        "proxy": {"workload": "gateway", "namespace": "shop"},
        "rules": [{
            "rollout": "checkout", "namespace": "shop", "service": "checkout",
            "hosts": ["checkout.shop", "[::1]"], "stable": "aaa", "canary": release,
        }],
    })
    .to_string()
}

/// A route of one alternative.
fn route(all: Value) -> Value {
    json!({"routes": [{"name": "trial", "any": [{"all": all}]}]})
}

#[track_caller]
fn check(canary: Value, request: Fields, want: Option<&str>) {
    let (mut proxy, root) = Proxy::with(&config(canary));
    let seen = proxy.send(root, request);
    assert_eq!(value(&seen, HEADER), want.map(str::as_bytes));
}

#[test]
fn a_header_route_wins_at_weight_0() {
    let canary = || route(json!([{"on": {"header": "x-canary"}, "is": {"exact": "true"}}]));
    let with = |header: &str| get("checkout.shop", "/", &[("x-canary", header)]);
    check(canary(), with("true"), Some("canary"));
    check(canary(), with("yes"), None);
    check(canary(), get("checkout.shop", "/", &[]), None);
}

#[test]
fn a_host_is_found_in_any_case_and_with_any_port() {
    let all = || json!({"weightBp": 10_000});
    check(all(), get("checkout.shop", "/", &[]), Some("canary"));
    check(all(), get("Checkout.SHOP:8080", "/", &[]), Some("canary"));
    check(all(), get("[::1]:8080", "/", &[]), Some("canary"));
    check(all(), get("[::1]", "/", &[]), Some("canary"));
    check(all(), get("checkout.shop.evil", "/", &[]), None);
    check(all(), get("", "/", &[]), None);
    check(all(), get("[::1", "/", &[]), None);
    check(all(), fields(&[(":path", "/")]), None);
}

#[test]
fn conditions_of_an_alternative_hold_together_and_alternatives_apart() {
    let canary = || {
        json!({"routes": [
            {"name": "one", "any": [
                {"all": [
                    {"on": {"header": "x-team"}, "is": {"prefix": "pay"}},
                    {"on": "method", "is": {"exact": "GET"}},
                ]},
                {"all": [{"on": {"cookie": "beta"}, "is": {"exact": "1"}}]},
            ]},
            {"name": "two", "any": [{"all": [{"on": {"query": "v"}, "is": {"suffix": "2"}}]}]},
        ]})
    };
    let with = |path, headers: &[(&str, &str)]| get("checkout.shop", path, headers);
    check(
        canary(),
        with("/", &[("x-team", "payments")]),
        Some("canary"),
    );
    check(canary(), with("/", &[("x-team", "search")]), None);
    check(
        canary(),
        with("/", &[("cookie", "a=b; beta=1")]),
        Some("canary"),
    );
    check(canary(), with("/?v=2", &[]), Some("canary"));
    check(canary(), with("/?v=3", &[]), None);
    let mut post = with("/", &[("x-team", "payments")]);
    post[2].1 = b"POST".to_vec();
    check(canary(), post, None);
}

#[test]
fn a_client_that_sends_the_routing_header_gets_no_canary() {
    let spoofed = |host| get(host, "/", &[(HEADER, "canary"), (HEADER, "stable")]);
    check(json!({}), spoofed("checkout.shop"), None);
    check(json!({}), spoofed("elsewhere.shop"), None);
    let mut calm: Value = serde_json::from_str(&config(json!({}))).expect("is JSON");
    calm["rules"][0]
        .as_object_mut()
        .expect("is one")
        .remove("canary");
    let (mut proxy, root) = Proxy::with(&calm.to_string());
    assert_eq!(
        value(&proxy.send(root, spoofed("checkout.shop")), HEADER),
        None
    );
}

#[test]
fn the_canary_header_replaces_all_that_a_client_sent() {
    let (mut proxy, root) = Proxy::with(&config(json!({"weightBp": 10_000})));
    let seen = proxy.send(
        root,
        get("checkout.shop", "/", &[(HEADER, "a"), (HEADER, "b")]),
    );
    let sent: Vec<_> = seen
        .iter()
        .filter(|(name, _)| name == HEADER.as_bytes())
        .collect();
    assert_eq!(sent, [&(HEADER.as_bytes().to_vec(), b"canary".to_vec())]);
}

#[test]
fn a_sticky_user_gets_the_side_that_core_says() {
    let canary = json!({"weightBp": 1_390, "sticky": [{"header": "x-user"}, {"cookie": "id"}],
        "salt": "shop/checkout/6f7c9d"});
    let user = |headers: &[(&str, &str)]| get("checkout.shop", "/", headers);
    // Buckets 1,389 and 3,027, as in core's known answers.
    check(canary.clone(), user(&[("x-user", "alice")]), Some("canary"));
    check(canary.clone(), user(&[("x-user", "bob")]), None);
    check(
        canary.clone(),
        user(&[("cookie", "id=alice")]),
        Some("canary"),
    );
    check(
        canary.clone(),
        user(&[("x-user", ""), ("cookie", "id=alice")]),
        Some("canary"),
    );
    check(
        canary,
        user(&[("x-user", "bob"), ("cookie", "id=alice")]),
        None,
    );
}

#[test]
fn a_random_draw_has_the_weight_as_its_share() {
    let (mut proxy, root) = Proxy::with(&config(json!({"weightBp": 500})));
    let requests = 20_000;
    let mut canary = 0;
    for i in 0..requests {
        proxy.world().now += 1_000 + i % 7;
        let seen = proxy.send(root, get("checkout.shop", "/", &[]));
        canary += i32::from(value(&seen, HEADER).is_some());
    }
    let expected = f64::from(i32::try_from(requests).expect("fits")) * 0.05;
    let error = (expected * 0.95).sqrt();
    assert!(
        (f64::from(canary) - expected).abs() < 4.0 * error,
        "{canary}"
    );
}

#[test]
fn workers_whose_vms_are_copies_do_not_draw_alike() {
    let draws = |now: u64| {
        let (mut proxy, root) = Proxy::with(&config(json!({"weightBp": 5_000})));
        proxy.world().now = now;
        let sides = (0..64).map(|_| {
            let seen = proxy.send(root, get("checkout.shop", "/", &[]));
            value(&seen, HEADER).is_some()
        });
        sides.collect::<Vec<_>>()
    };
    assert_ne!(draws(1_000_000), draws(1_000_001));
}

#[test]
fn two_configurations_in_one_vm_do_not_mix() {
    let (mut proxy, none) = Proxy::with(&config(json!({})));
    let all = proxy
        .configure(config(json!({"weightBp": 10_000})).as_bytes())
        .expect("is accepted");
    let request = || get("checkout.shop", "/", &[]);
    assert_eq!(value(&proxy.send(none, request()), HEADER), None);
    assert_eq!(
        value(&proxy.send(all, request()), HEADER),
        Some(&b"canary"[..])
    );
    assert_eq!(value(&proxy.send(none, request()), HEADER), None);
}

#[test]
fn a_refused_configuration_changes_nothing() {
    let (mut proxy, root) = Proxy::with(&config(json!({"weightBp": 10_000})));
    assert!(!proxy.reconfigure(root, b"{}"));
    assert!(!proxy.reconfigure(root, b"\xff"));
    assert!(!proxy.reconfigure(root, config(json!({"weightBp": 10_001})).as_bytes()));
    let logs = proxy.world().logs.join("\n");
    assert!(
        logs.contains("rules[0].canary.weightBp: is 10001, expected 0 to 10000"),
        "{logs}"
    );
    let seen = proxy.send(root, get("checkout.shop", "/", &[]));
    assert_eq!(value(&seen, HEADER), Some(&b"canary"[..]));
}

#[test]
fn a_request_with_no_release_in_flight_costs_no_host_call() {
    let mut idle: Value = serde_json::from_str(&config(json!({}))).expect("is JSON");
    idle["rules"] = json!([]);
    let (mut proxy, root) = Proxy::with(&idle.to_string());
    proxy.world().calls.clear();
    for _ in 0..100 {
        proxy.send(root, get("checkout.shop", "/", &[]));
    }
    assert_eq!(proxy.world().calls, [].into());
}

#[test]
fn a_routed_request_costs_five_host_calls_and_a_stable_one_four() {
    let count = |weight: u16| {
        let (mut proxy, root) = Proxy::with(&config(json!({"weightBp": weight})));
        proxy.world().calls.clear();
        proxy.send(root, get("checkout.shop", "/", &[]));
        proxy.world().calls.values().sum::<u64>()
    };
    assert_eq!(count(10_000), 5);
    assert_eq!(count(0), 4);
}

/// The configuration of this generation, with this much for the canary.
fn generation(number: u64, weight_bp: u16) -> String {
    config(json!({"weightBp": weight_bp}))
        .replace("\"generation\":1", &format!("\"generation\":{number}"))
}

#[test]
fn an_older_configuration_that_arrives_late_does_not_come_into_force() {
    let (mut proxy, newest) = Proxy::with(&generation(5, 0));
    let late = proxy.configure(generation(4, 10_000).as_bytes());
    let late = late.expect("is taken");
    for root in [newest, late] {
        let seen = proxy.send(root, get("checkout.shop", "/", &[]));
        assert_eq!(value(&seen, HEADER), None);
    }
    let next = proxy.configure(generation(6, 10_000).as_bytes());
    let seen = proxy.send(next.expect("is taken"), get("checkout.shop", "/", &[]));
    assert_eq!(value(&seen, HEADER), Some(&b"canary"[..]));
}

#[test]
fn what_an_older_configuration_has_still_to_decide_the_newest_decides() {
    let (mut proxy, older) = Proxy::with(&generation(5, 0));
    let newest = proxy.configure(generation(6, 10_000).as_bytes());
    for root in [older, newest.expect("is taken")] {
        let seen = proxy.send(root, get("checkout.shop", "/", &[]));
        assert_eq!(value(&seen, HEADER), Some(&b"canary"[..]));
    }
}

#[test]
fn generations_in_quick_succession_take_the_memory_of_two() {
    let many: Vec<String> = (0..1_000)
        .map(|host| format!("host-{host}.example"))
        .collect();
    let large = |number| {
        let mut config: Value = serde_json::from_str(&generation(number, 0)).expect("is JSON");
        config["rules"][0]["hosts"] = json!(many);
        config.to_string()
    };
    let (mut proxy, _) = Proxy::with(&large(1));
    for number in 2..4 {
        proxy.configure(large(number).as_bytes());
    }
    let memory = proxy.memory();
    for number in 4..40 {
        proxy.configure(large(number).as_bytes());
    }
    assert_eq!(proxy.memory(), memory);
}

#[test]
fn what_the_filter_before_this_one_wrote_stays_where_no_rule_is_about_it() {
    let second = |host: &str, sent: &[(&str, &str)]| {
        let config = config(json!({})).replace("\"role\"", "\"afterAnother\":true,\"role\"");
        let (mut proxy, root) = Proxy::with(&config);
        let seen = proxy.send(root, get(host, "/", sent));
        value(&seen, HEADER).map(<[u8]>::to_vec)
    };
    let sent = [(HEADER, "canary")];
    assert_eq!(second("elsewhere", &sent), Some(b"canary".to_vec()));
    assert_eq!(second("checkout.shop", &sent), None);
}

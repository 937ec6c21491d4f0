//! What the filter counts.

use serde_json::{Value, json};
use serin_core::metric::BUCKETS;
use serin_core::wire::{MAX_CODES, MAX_LABEL_SETS, MAX_STREAMS};
use serin_tests::wasm_host::{Proxy, get};

const REQUESTS: &str = "serin_requests_total";
const DURATION: &str = "serin_request_duration_milliseconds";
const MILLISECOND: u64 = 1_000_000;

fn source() -> Value {
    json!({
        "version": 1, "generation": 4, "name": "gateway", "role": "source",
        "proxy": {"workload": "gateway", "namespace": "shop"},
        "rules": [{
            "rollout": "checkout", "namespace": "shop", "service": "checkout-stable",
            "hosts": ["checkout.shop"], "stable": "aaa",
            "canary": {"revision": "bbb", "weightBp": 0, "salt": "", "routes": [
                {"name": "trial", "any": [{"all": [
                    {"on": {"header": "x-canary"}, "is": "present"}]}]}]},
        }],
    })
}

fn destination() -> Value {
    json!({
        "version": 1, "generation": 2, "name": "pod", "role": "destination",
        "istioMetrics": true,
        "proxy": {"workload": "checkout-canary", "namespace": "shop", "pod":
            {"rollout": "checkout", "revision": "bbb", "variant": "canary", "service": "checkout"}},
    })
}

/// Sends one request and answers it after a time.
fn exchange(proxy: &mut Proxy, root: u32, canary: bool, status: Option<&str>, nanoseconds: u64) {
    let header: &[_] = if canary { &[("x-canary", "")] } else { &[] };
    let (context, _) = proxy.begin(root, get("checkout.shop", "/", header));
    proxy.world().now += nanoseconds;
    proxy.end(context, status);
}

#[test]
fn every_request_is_counted_once_under_its_version_and_answer() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    for (canary, status, times) in [
        (false, Some("200"), 7),
        (true, Some("200"), 5),
        (true, Some("503"), 3),
        (false, None, 2),
    ] {
        for _ in 0..times {
            exchange(&mut proxy, root, canary, status, MILLISECOND);
        }
        proxy.tick(root);
    }
    let mut count = |variant, revision, code| {
        let labels = [
            ("rollout", "checkout"),
            ("namespace", "shop"),
            ("reporter", "source"),
            ("variant", variant),
            ("revision", revision),
            ("response_code", code),
        ];
        proxy.sum(REQUESTS, &labels)
    };
    assert_eq!(count("stable", "aaa", "200"), 7);
    assert_eq!(count("canary", "bbb", "200"), 5);
    assert_eq!(count("canary", "bbb", "503"), 3);
    assert_eq!(count("stable", "aaa", "0"), 2);
    assert_eq!(proxy.sum(REQUESTS, &[]), 17);
    assert_eq!(proxy.sum(&format!("{DURATION}_count"), &[]), 17);
}

#[test]
fn nothing_is_added_before_a_tick_and_nothing_twice() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    exchange(&mut proxy, root, true, Some("200"), MILLISECOND);
    assert_eq!(proxy.sum(REQUESTS, &[]), 0);
    for _ in 0..3 {
        proxy.tick(root);
        assert_eq!(proxy.sum(REQUESTS, &[]), 1);
    }
}

#[test]
fn what_an_ended_root_counted_is_flushed_by_its_successor() {
    let (mut proxy, old) = Proxy::with(&source().to_string());
    exchange(&mut proxy, old, false, Some("200"), MILLISECOND);
    let new = proxy
        .configure(source().to_string().as_bytes())
        .expect("is accepted");
    proxy.tick(new);
    assert_eq!(proxy.sum(REQUESTS, &[]), 1);
}

#[test]
fn buckets_are_cumulative_and_the_sum_loses_no_fraction() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    for _ in 0..10 {
        exchange(&mut proxy, root, false, Some("200"), MILLISECOND / 2);
        proxy.tick(root);
    }
    exchange(&mut proxy, root, false, Some("200"), 100 * MILLISECOND);
    exchange(&mut proxy, root, false, Some("200"), 100 * MILLISECOND + 1);
    exchange(
        &mut proxy,
        root,
        false,
        Some("200"),
        3_600_000 * MILLISECOND,
    );
    proxy.tick(root);
    let mut bucket = |le| proxy.sum(&format!("{DURATION}_bucket"), &[("le", le)]);
    assert_eq!(bucket("1"), 10);
    assert_eq!(bucket("75"), 10);
    assert_eq!(bucket("100"), 11);
    assert_eq!(bucket("150"), 12);
    assert_eq!(bucket("60000"), 12);
    assert_eq!(bucket("+Inf"), 13);
    assert_eq!(
        proxy.sum(&format!("{DURATION}_sum"), &[]),
        5 + 200 + 3_600_000
    );
}

#[test]
fn a_metric_is_defined_once_whatever_comes_and_goes() {
    let (mut proxy, mut root) = Proxy::with(&source().to_string());
    for generation in 5..25 {
        exchange(&mut proxy, root, true, Some("200"), MILLISECOND);
        let mut next = source();
        next["generation"] = json!(generation);
        root = proxy
            .configure(next.to_string().as_bytes())
            .expect("is accepted");
        proxy.tick(root);
    }
    assert_eq!(proxy.defined_again(), [""; 0]);
    assert_eq!(proxy.sum(REQUESTS, &[]), 20);
    assert_eq!(
        proxy.sum("serin_config_generation", &[("config", "gateway")]),
        24
    );
}

#[test]
fn a_definition_that_failed_is_not_repeated_for_those_before_it() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    exchange(&mut proxy, root, true, Some("200"), MILLISECOND);
    proxy.world().failing.insert("proxy_define_metric", 10);
    proxy.tick(root);
    proxy.world().failing.clear();
    proxy.tick(root);
    assert_eq!(proxy.defined_again(), [""; 0]);
    assert_eq!(proxy.sum(REQUESTS, &[]), 1);
    assert_eq!(proxy.sum("serin_host_errors_total", &[]), 1);
}

#[test]
fn the_generation_is_shown_by_the_first_tick_and_not_before() {
    let mut proxy = Proxy::start();
    let root = proxy
        .configure(source().to_string().as_bytes())
        .expect("is accepted");
    assert_eq!(proxy.world().metrics, []);
    assert_eq!(proxy.world().ticks[&root], 50);
    proxy.tick(root);
    assert_eq!(
        proxy.sum("serin_config_generation", &[("config", "gateway")]),
        4
    );
    assert_eq!(proxy.world().ticks[&root], 1_000);
}

#[test]
fn an_older_configuration_does_not_show_its_generation_again() {
    let (mut proxy, old) = Proxy::with(&source().to_string());
    let mut next = source();
    next["generation"] = json!(5);
    let new = proxy
        .configure(next.to_string().as_bytes())
        .expect("is accepted");
    for root in [new, old, new, old] {
        proxy.tick(root);
    }
    assert_eq!(proxy.sum("serin_config_generation", &[]), 5);
}

#[test]
fn in_front_of_the_pod_everything_is_counted_for_its_version() {
    let (mut proxy, root) = Proxy::with(&destination().to_string());
    proxy.world().calls.clear();
    exchange(&mut proxy, root, false, Some("500"), MILLISECOND);
    let calls = proxy.world().calls.clone();
    assert_eq!(
        calls.values().sum::<u64>(),
        3,
        "two times and the status: {calls:?}"
    );
    proxy.tick(root);
    let serin = [
        ("variant", "canary"),
        ("revision", "bbb"),
        ("reporter", "destination"),
    ];
    assert_eq!(proxy.sum(REQUESTS, &serin), 1);
    let istio = [
        ("reporter", "destination"),
        ("destination_workload", "checkout-canary"),
        ("destination_workload_namespace", "shop"),
        ("destination_service", "checkout.shop.svc.cluster.local"),
        ("destination_service_name", "checkout"),
        ("source_workload", "unknown"),
        ("response_code", "500"),
    ];
    assert_eq!(proxy.sum("istio_requests_total", &istio), 1);
}

#[test]
fn istio_sees_the_caller_and_the_version_it_was_sent_to() {
    let mut config = source();
    config["istioMetrics"] = json!(true);
    let (mut proxy, root) = Proxy::with(&config.to_string());
    exchange(&mut proxy, root, false, Some("200"), MILLISECOND);
    exchange(&mut proxy, root, true, Some("200"), MILLISECOND);
    proxy.send(root, get("payments.shop", "/", &[]));
    proxy.tick(root);
    let mut to = |workload| {
        let labels = [
            ("reporter", "source"),
            ("source_workload", "gateway"),
            ("source_workload_namespace", "shop"),
            ("destination_workload", workload),
        ];
        proxy.sum("istio_requests_total", &labels)
    };
    assert_eq!(
        (to("checkout"), to("checkout-canary"), to("unknown")),
        (1, 1, 1)
    );
    assert_eq!(
        proxy.sum(REQUESTS, &[]),
        2,
        "a host without a rule has no version"
    );
    let fast = [("le", BUCKETS[0].1)];
    assert_eq!(
        proxy.sum("istio_request_duration_milliseconds_bucket", &fast),
        3
    );
}

#[test]
fn label_sets_are_bounded_and_the_rest_is_counted_under_one_name() {
    let mut config = source();
    config["rules"] = (0..100)
        .map(|i| {
            let mut rule = source()["rules"][0].clone();
            rule["rollout"] = json!(format!("r{i}"));
            rule["hosts"] = json!([format!("h{i}.shop")]);
            rule
        })
        .collect();
    let (mut proxy, root) = Proxy::with(&config.to_string());
    let mut sent = 0;
    for rule in 0..100 {
        for code in 200..224 {
            let (context, _) = proxy.begin(root, get(&format!("h{rule}.shop"), "/", &[]));
            proxy.end(context, Some(&code.to_string()));
            sent += 1;
        }
    }
    proxy.tick(root);
    let sets = u64::try_from(MAX_LABEL_SETS).expect("fits");
    assert_eq!(proxy.sum(REQUESTS, &[]), sets);
    assert_eq!(proxy.sum("serin_label_overflow_total", &[]), sent - sets);
}

#[test]
fn a_version_that_answers_with_every_code_takes_no_more_than_its_share() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    for code in 100..600 {
        let (context, _) = proxy.begin(root, get("checkout.shop", "/", &[]));
        proxy.end(context, Some(&code.to_string()));
    }
    proxy.tick(root);
    let apart = MAX_CODES as u64 - 1;
    assert_eq!(proxy.sum(REQUESTS, &[]), 500);
    assert_eq!(
        proxy.sum(REQUESTS, &[("response_code", "other")]),
        500 - apart
    );
    assert_eq!(proxy.sum("serin_label_overflow_total", &[]), 0);
}

#[test]
fn requests_end_in_any_order_and_each_is_its_own() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    let begun: Vec<u32> = (0..5_000)
        .map(|_| {
            proxy
                .begin(root, get("checkout.shop", "/", &[("x-canary", "")]))
                .0
        })
        .collect();
    for context in begun.iter().rev() {
        proxy.end(*context, Some("200"));
    }
    for context in begun {
        proxy.end(context, Some("200")); // over already
    }
    proxy.tick(root);
    assert_eq!(proxy.sum(REQUESTS, &[("variant", "canary")]), 5_000);
    assert_eq!(proxy.sum(REQUESTS, &[]), 5_000);
}

#[test]
fn requests_without_end_are_bounded_and_the_newest_counted() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    let more = 1_000;
    for _ in 0..MAX_STREAMS + more {
        proxy.context(root);
    }
    exchange(&mut proxy, root, true, Some("200"), MILLISECOND);
    proxy.tick(root);
    assert_eq!(proxy.sum(REQUESTS, &[]), 1);
    assert!(proxy.sum("serin_label_overflow_total", &[]) >= 1_000);
}

#[test]
fn memory_does_not_grow_with_requests() {
    let (mut proxy, root) = Proxy::with(&source().to_string());
    let header = "v".repeat(20_000); // above the scratch memory
    let some = |proxy: &mut Proxy| {
        for _ in 0..2_000 {
            let request = get("checkout.shop", "/?a=%20", &[("x-canary", &header)]);
            proxy.send(root, request);
            exchange(proxy, root, false, Some("200"), MILLISECOND);
        }
        proxy.tick(root);
        proxy.memory()
    };
    let before = some(&mut proxy);
    for _ in 0..5 {
        assert_eq!(some(&mut proxy), before);
    }
}

#[test]
fn memory_does_not_grow_with_configurations() {
    let hosts: Vec<String> = (0..2_000).map(|i| format!("host-{i}.shop")).collect();
    let mut config = source();
    config["rules"][0]["hosts"] = json!(hosts);
    let config = config.to_string();
    let mut proxy = Proxy::start();
    let flip = |proxy: &mut Proxy| {
        for _ in 0..40 {
            let root = proxy.configure(config.as_bytes()).expect("is accepted");
            proxy.tick_later(root); // the timers of those before are gone
        }
        proxy.memory()
    };
    for _ in 0..12 {
        flip(&mut proxy); // until the allocator has found its layout
    }
    let before = flip(&mut proxy);
    for _ in 0..3 {
        assert_eq!(flip(&mut proxy), before);
    }
}

#[test]
fn a_root_that_ticks_late_does_not_hide_a_newer_generation() {
    let config = |generation: u64| {
        let mut config = source();
        config["generation"] = json!(generation);
        config.to_string()
    };
    let (mut proxy, old) = Proxy::with(&config(6));
    let new = proxy.configure(config(8).as_bytes()).expect("is accepted");
    proxy.tick(new);
    proxy.tick(old);
    assert_eq!(proxy.sum("serin_config_generation", &[]), 8);
}

#[test]
fn two_roots_that_both_tick_are_both_kept() {
    let (mut proxy, first) = Proxy::with(&source().to_string());
    let second = proxy
        .configure(source().to_string().as_bytes())
        .expect("is accepted");
    for _ in 0..500 {
        proxy.tick_later(first);
        proxy.tick(second);
    }
    exchange(&mut proxy, first, true, Some("200"), MILLISECOND);
    exchange(&mut proxy, second, true, Some("200"), MILLISECOND);
    proxy.tick(first);
    assert_eq!(proxy.sum(REQUESTS, &[("variant", "canary")]), 2);
}

/// A configuration for many proxies, of which each knows what it is.
fn for_all(role: &str) -> String {
    let rules = match role {
        "source" => json!([{
            "rollout": "checkout", "namespace": "shop", "service": "checkout",
            "hosts": ["checkout"], "stable": "aaa",
        }]),
        _ => json!([]),
    };
    json!({
        "version": 1, "generation": 1, "name": "mesh", "role": role, "istioMetrics": true,
        "pods": [{"namespace": "shop", "rollout": "checkout", "stable": "aaa", "canary": "bbb"}],
        "rules": rules,
    })
    .to_string()
}

/// What a proxy's node says, by the parts of the metadata's paths.
fn at_node(metadata: &[(&[&str], &[u8])], config: &str) -> (Proxy, u32) {
    let mut proxy = Proxy::start();
    for (path, value) in metadata {
        let path = [&["xds", "node", "metadata"][..], path].concat().join("\0");
        let properties = &mut proxy.world().properties;
        properties.insert(path.into_bytes(), value.to_vec());
    }
    let root = proxy.configure(config.as_bytes()).expect("is accepted");
    proxy.tick(root);
    (proxy, root)
}

/// A request to a host that is answered well, and counted.
fn one_request(proxy: &mut Proxy, root: u32, host: &str) {
    let (context, _) = proxy.begin(root, get(host, "/", &[]));
    proxy.end(context, Some("200"));
    proxy.tick(root);
}

const HASH: &[&str] = &["LABELS", "rollouts-pod-template-hash"];

#[test]
fn a_proxy_finds_out_whose_pod_is_behind_it() {
    let node: &[(&[&str], &[u8])] = &[
        (&["WORKLOAD_NAME"], b"checkout"),
        (&["NAMESPACE"], b"shop"),
        (HASH, b"bbb"),
    ];
    let (mut proxy, root) = at_node(node, &for_all("destination"));
    one_request(&mut proxy, root, "checkout");
    let served = [
        ("variant", "canary"),
        ("revision", "bbb"),
        ("rollout", "checkout"),
    ];
    assert_eq!(proxy.sum("serin_requests_total", &served), 1);
    let workload = [("destination_workload", "checkout-canary")];
    assert_eq!(proxy.sum("istio_requests_total", &workload), 1);
}

#[test]
fn a_caller_of_no_release_has_its_own_name() {
    let node: &[(&[&str], &[u8])] = &[
        (&["WORKLOAD_NAME"], b"cart"),
        (&["NAMESPACE"], b"other"),
        // The same hash in another namespace is another's.
        (HASH, b"bbb"),
    ];
    let (mut proxy, root) = at_node(node, &for_all("source"));
    one_request(&mut proxy, root, "checkout");
    let source = [
        ("source_workload", "cart"),
        ("source_workload_namespace", "other"),
    ];
    assert_eq!(proxy.sum("istio_requests_total", &source), 1);
    // In front of a pod of no release nothing of a release is counted.
    let (mut proxy, root) = at_node(node, &for_all("destination"));
    one_request(&mut proxy, root, "cart");
    assert_eq!(proxy.sum("serin_requests_total", &[]), 0);
    assert_eq!(
        proxy.sum("istio_requests_total", &[("destination_workload", "cart")]),
        1
    );
}

#[test]
fn what_a_node_does_not_say_or_says_badly_is_unknown() {
    let bad: &[(&[&str], &[u8])] = &[
        (&["WORKLOAD_NAME"], b"a;.;b=.=c"),
        (&["NAMESPACE"], b"\xff\xfe"),
    ];
    for node in [&[][..], bad] {
        let (mut proxy, root) = at_node(node, &for_all("source"));
        one_request(&mut proxy, root, "checkout");
        let source = [
            ("source_workload", "unknown"),
            ("source_workload_namespace", "unknown"),
        ];
        assert_eq!(proxy.sum("istio_requests_total", &source), 1, "{node:?}");
    }
}

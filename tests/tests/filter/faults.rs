//! Hosts and clients that mean the filter ill. Every call of an export fails the test if it traps.

use proptest::prelude::*;
use serde_json::{Value, json};
use serin_core::wire::FilterConfig;
use serin_tests::wasm_host::{Fields, Proxy, encode, fields, get, value};

const HEADER: &str = "x-serin-variant";

const HOST_CALLS: &[&str] = &[
    "clock_time_get",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// Matches on everything a request has, so that each value is looked at.
fn config(weight: u16) -> Value {
    let subjects = [
        json!({"header": "x-h"}),
        json!({"cookie": "c"}),
        json!({"query": "q"}),
        json!("path"),
        json!("method"),
    ];
    let any: Vec<Value> = subjects
        .iter()
        .flat_map(|on| {
            [
                json!({"all": [{"on": on, "is": {"regex": "(?i)never-[a-z]+x"}}]}),
                json!({"all": [{"on": on, "is": {"exact": "never"}}]}),
            ]
        })
        .collect();
    json!({
        "version": 1, "generation": 1, "name": "g", "role": "source", "istioMetrics": true,
        "pods": [{"namespace": "n", "rollout": "r", "service": "s", "stable": "a"}],
        "rules": [{
            "rollout": "r", "namespace": "n", "service": "s", "hosts": ["h"], "stable": "a",
            "canary": {"revision": "b", "weightBp": weight, "salt": "s",
                "sticky": [{"header": "x-h"}, {"cookie": "c"}],
                "routes": [{"name": "all", "any": any}]},
        }],
    })
}

/// All callbacks in their order, with a host that is as it is set up to be.
fn live(proxy: &mut Proxy, root: u32, request: Fields) -> Fields {
    let (context, seen) = proxy.begin(root, request);
    proxy.end(context, Some("200"));
    proxy.tick(root);
    seen
}

#[test]
fn each_failing_host_call_means_stable_and_is_counted() {
    for call in HOST_CALLS {
        for status in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 999, u32::MAX] {
            let mut config = config(10_000);
            // Beside Istio's own metrics they get the names that are left with a request.
            config["istioMetrics"] = json!(*call != "proxy_set_property");
            let config = config.to_string();
            let (mut proxy, root) = Proxy::with(&config);
            proxy.world().failing.insert(call, status);
            proxy.world().calls.clear();
            let request = get("h", "/", &[(HEADER, "canary")]);
            let seen = live(&mut proxy, root, request.clone());
            if call.ends_with("_map_pairs") {
                assert_eq!(value(&seen, HEADER), None, "{call} {status}");
            }
            live(
                &mut proxy,
                root,
                get("elsewhere", "/", &[(HEADER, "canary")]),
            );
            live(&mut proxy, root, Fields::new());
            proxy.reconfigure(root, config.as_bytes());
            proxy.configure(config.as_bytes());
            proxy.configure(b"{}"); // refused, which is logged
            proxy.tick(root);
            proxy.world().failing.clear();
            proxy.tick(root);
            assert!(proxy.world().calls[call] > 0, "{call} is made");
            let counted = proxy.sum("serin_host_errors_total", &[]) > 0;
            let expected = !is_an_answer(call, status) && *call != "proxy_log";
            assert_eq!(counted, expected, "{call} {status}");
            let well = live(&mut proxy, root, request);
            assert_eq!(
                value(&well, HEADER),
                Some(&b"canary"[..]),
                "{call} {status}"
            );
        }
    }
}

/// Whether a host that does all well answers this too: nothing is there, or another VM was faster.
fn is_an_answer(call: &str, status: u32) -> bool {
    match call {
        "proxy_get_header_map_value" | "proxy_get_property" | "proxy_get_shared_data" => {
            status == 1
        }
        "proxy_set_shared_data" => status == 8,
        _ => false,
    }
}

#[test]
fn a_canary_whose_header_cannot_be_written_is_counted_as_stable() {
    let (mut proxy, root) = Proxy::with(&config(10_000).to_string());
    proxy
        .world()
        .failing
        .insert("proxy_replace_header_map_value", 10);
    let seen = live(&mut proxy, root, get("h", "/", &[(HEADER, "canary")]));
    assert_eq!(value(&seen, HEADER), None);
    assert_eq!(
        proxy.sum("serin_requests_total", &[("variant", "stable")]),
        1
    );
    assert_eq!(proxy.sum("serin_host_errors_total", &[]), 1);
}

#[test]
fn an_answer_that_is_not_where_memory_was_handed_out_is_an_error() {
    for lie in [
        (0, 1),
        (1, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
        (1_000, 4_000_000),
        (0, 0),
    ] {
        let (mut proxy, root) = Proxy::with(&config(10_000).to_string());
        proxy.world().lie = Some(lie);
        let seen = live(&mut proxy, root, get("h", "/", &[(HEADER, "canary")]));
        assert_eq!(value(&seen, HEADER), None, "{lie:?}");
        proxy.configure(config(1).to_string().as_bytes());
    }
}

#[test]
fn huge_and_foreign_values_are_values_like_any_other() {
    let (mut proxy, root) = Proxy::with(&config(10_000).to_string());
    let values: [&[u8]; 8] = [
        b"",
        &[0xff; 1 << 20],
        &[b'a'; 1 << 20],
        b"\xff\xfe\x00",
        &[b';'; 4_096],
        &[b'%'; 4_096],
        b"=;=;c=;c",
        b"/?q=%&q=%f&q=%ff&&=&q#q=?",
    ];
    for place in ["x-h", "cookie", ":path", ":method", HEADER, "\0", ""] {
        for bytes in values {
            let mut request = fields(&[(":authority", "h")]);
            request.push((place.as_bytes().to_vec(), bytes.to_vec()));
            let seen = live(&mut proxy, root, request);
            assert_eq!(value(&seen, HEADER), Some(&b"canary"[..]));
        }
    }
    for bytes in values {
        let request = vec![(b":authority".to_vec(), bytes.to_vec())];
        assert_eq!(value(&live(&mut proxy, root, request), HEADER), None);
        proxy
            .world()
            .answers
            .insert("proxy_get_header_map_value", bytes.to_vec());
        live(&mut proxy, root, get("h", "/", &[]));
        proxy.world().answers.clear();
    }
}

#[test]
fn a_status_that_is_none_is_no_response() {
    let (mut proxy, root) = Proxy::with(&config(0).to_string());
    for status in ["", "2", "20", "2000", "abc", "-12", "2 0"] {
        let (context, _) = proxy.begin(root, get("h", "/", &[]));
        proxy.end(context, Some(status));
    }
    proxy.tick(root);
    assert_eq!(
        proxy.sum("serin_requests_total", &[("response_code", "0")]),
        7
    );
    assert_eq!(proxy.sum("serin_requests_total", &[]), 7);
}

#[test]
fn contexts_that_do_not_exist_are_nothing() {
    let (mut proxy, root) = Proxy::with(&config(10_000).to_string());
    for context in [0, root, 77, u32::MAX] {
        proxy.call::<_, u32>("proxy_on_request_headers", (context, 0u32, 1u32));
        proxy.call::<_, ()>("proxy_on_log", context);
        proxy.tick(context);
        proxy.call::<_, ()>("proxy_on_context_create", (context, 99u32));
        proxy.call::<_, ()>("proxy_on_context_create", (context, root));
        proxy.call::<_, ()>("proxy_on_log", context);
        proxy.call::<_, u32>("proxy_on_vm_start", (context, u32::MAX));
    }
    for size in [0, 1, u32::MAX] {
        proxy.call::<_, u32>("proxy_on_configure", (root, size));
        proxy.call::<_, u32>("proxy_on_configure", (99u32, size));
    }
    let seen = live(&mut proxy, root, get("h", "/", &[]));
    assert_eq!(value(&seen, HEADER), Some(&b"canary"[..]));
}

#[test]
fn memory_that_is_not_to_be_had_is_no_trap() {
    let mut proxy = Proxy::start();
    let at: u32 = proxy.call("proxy_on_memory_allocate", u32::MAX / 2 + 2);
    assert_eq!(at, 0);
    for size in [0, 1, 16_384, 16_385, 1 << 20] {
        let at: u32 = proxy.call("proxy_on_memory_allocate", size);
        assert_ne!(at, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_corrupt_map_is_an_error_and_a_client_gets_no_canary_by_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut proxy, root) = Proxy::with(&config(0).to_string());
        let good = encode(&get("h", "/?q=1", &[("cookie", "c=1"), (HEADER, "canary")]));
        let mut flipped = good.clone();
        for (index, byte) in flips {
            let at = index.index(flipped.len());
            flipped[at] = byte;
        }
        let mut cut_off = good.clone();
        cut_off.truncate(cut.index(good.len()));
        let counted: Vec<u8> = 3u32.to_le_bytes().into_iter().chain(bytes.clone()).collect();
        for answer in [bytes, flipped, cut_off, counted] {
            proxy.world().answers.insert("proxy_get_header_map_pairs", answer);
            let seen = live(&mut proxy, root, get("h", "/", &[]));
            prop_assert_eq!(value(&seen, HEADER), None);
        }
    }

    #[test]
    fn whatever_is_sent_as_a_configuration_is_accepted_as_core_accepts_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        put in "[\\[\\]{}\",:0-9a-z\\\\ -]{0,4}",
    ) {
        let mut proxy = Proxy::start();
        let mut changed = config(1).to_string();
        let at = at.index(changed.len());
        if changed.is_char_boundary(at) {
            changed.insert_str(at, &put);
        }
        for json in [bytes, changed.into_bytes()] {
            let core = FilterConfig::from_json(&json);
            let filter = proxy.configure(&json);
            prop_assert_eq!(filter.is_some(), core.is_ok(), "{:?}", core);
        }
    }
}

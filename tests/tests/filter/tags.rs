//! The names that the filter leaves with a request for Istio's own metrics.

use serde_json::{Value, json};
use serin_tests::wasm_host::{Proxy, get, value};
use std::collections::BTreeMap;

const CALL: &str = "proxy_set_property";
const SOURCE: &str = "serin_source_workload";
const DESTINATION: &str = "serin_destination_workload";

/// A mesh's configuration, in which cart's release is in flight too and everybody is sent to the
/// canary who has a header that says so.
fn config(role: &str) -> Value {
    let rules = match role {
        "source" => json!([{
            "rollout": "shop", "namespace": "web", "service": "shop", "hosts": ["shop"],
            "stable": "s1",
            "canary": {"revision": "s2", "weightBp": 0, "salt": "", "routes": [{"name": "trial",
                "any": [{"all": [{"on": {"header": "x-canary"}, "is": "present"}]}]}]},
        }]),
        _ => json!([]),
    };
    json!({
        "version": 1, "generation": 1, "name": "mesh", "role": role, "rules": rules,
        "pods": [{"namespace": "web", "rollout": "cart", "stable": "c1", "canary": "c2"}],
    })
}

/// A proxy beside a pod with this hash.
fn at(hash: &str, config: &Value) -> (Proxy, u32) {
    let mut proxy = Proxy::start();
    let node = [
        ("WORKLOAD_NAME", "cart"),
        ("NAMESPACE", "web"),
        ("LABELS\0rollouts-pod-template-hash", hash),
    ];
    for (path, value) in node {
        let path = format!("xds\0node\0metadata\0{path}").into_bytes();
        let properties = &mut proxy.world().properties;
        properties.insert(path, value.as_bytes().to_vec());
    }
    let root = proxy.configure(config.to_string().as_bytes());
    (proxy, root.expect("is accepted"))
}

/// What is left with a request.
fn left(hash: &str, config: &Value, host: &str, canary: bool) -> BTreeMap<String, String> {
    let (mut proxy, root) = at(hash, config);
    let header: &[_] = if canary { &[("x-canary", "")] } else { &[] };
    let (_, seen) = proxy.begin(root, get(host, "/", header));
    assert_eq!(
        value(&seen, "x-serin-variant").is_some(),
        canary && host == "shop"
    );
    let left = proxy.world().left.clone();
    let calls = proxy.world().calls.get(CALL).copied().unwrap_or_default();
    assert_eq!(calls, left.len() as u64, "each is left once");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("is text");
    left.into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn names(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn a_request_to_the_canary_has_its_name() {
    let to = |canary| left("", &config("source"), "shop", canary);
    assert_eq!(to(true), names(&[(DESTINATION, "shop-canary")]));
    assert_eq!(to(false), names(&[]));
}

#[test]
fn a_canary_that_calls_has_its_name_whomever_it_calls() {
    let of = |hash, host, canary| left(hash, &config("source"), host, canary);
    let source = (SOURCE, "cart-canary");
    assert_eq!(of("c2", "elsewhere", false), names(&[source]));
    assert_eq!(of("c2", "shop", false), names(&[source]));
    assert_eq!(
        of("c2", "shop", true),
        names(&[source, (DESTINATION, "shop-canary")])
    );
    assert_eq!(of("c1", "shop", false), names(&[]));
    assert_eq!(of("c1", "elsewhere", false), names(&[]));
}

#[test]
fn in_front_of_its_own_pod_a_canary_is_the_destination() {
    let at = |hash| left(hash, &config("destination"), "cart", false);
    assert_eq!(at("c2"), names(&[(DESTINATION, "cart-canary")]));
    assert_eq!(at("c1"), names(&[]));
    assert_eq!(at("of nobody"), names(&[]));
}

#[test]
fn where_the_filter_counts_for_istio_nothing_is_left() {
    for role in ["source", "destination"] {
        let mut counts_itself = config(role);
        counts_itself["istioMetrics"] = json!(true);
        assert_eq!(
            left("c2", &counts_itself, "shop", role == "source"),
            names(&[])
        );
    }
    let mut named = config("source");
    named["proxy"] = json!({"workload": "gateway", "namespace": "web"});
    named["pods"] = json!([]);
    assert_eq!(left("c2", &named, "shop", true), names(&[]));
}

#[test]
fn a_name_that_cannot_be_left_changes_nothing_else() {
    let (mut proxy, root) = at("c2", &config("source"));
    proxy.world().failing.insert(CALL, 2);
    let seen = proxy.send(root, get("shop", "/", &[("x-canary", "")]));
    assert_eq!(value(&seen, "x-serin-variant"), Some(&b"canary"[..]));
    proxy.tick(root);
    assert_eq!(
        proxy.sum("serin_requests_total", &[("variant", "canary")]),
        1
    );
    assert_eq!(proxy.sum("serin_host_errors_total", &[]), 2);
}

#[test]
fn stables_name_is_left_where_nobody_answered_and_nowhere_else() {
    let left = |status: Option<&str>, host: &str| {
        let (mut proxy, root) = at("", &config("source"));
        let (context, _) = proxy.begin(root, get(host, "/", &[]));
        proxy.end(context, status);
        let left = proxy.world().left.clone();
        left.get(DESTINATION.as_bytes()).cloned()
    };
    assert_eq!(left(Some("503"), "shop"), Some(b"shop".to_vec()));
    assert_eq!(left(None, "shop"), Some(b"shop".to_vec()));
    assert_eq!(left(Some("404"), "shop"), None);
    assert_eq!(left(Some("503"), "elsewhere"), None);
}

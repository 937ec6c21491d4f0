//! The names that Istio's own metrics are to have: the real Envoy evaluates the expressions of the
//! Telemetry resource over what the filter left with a request, or did not.

use serde_json::{Value, json};
use serin::mesh::telemetry;
use serin_core::wire::FilterConfig;
use serin_tests::client::Client;
use serin_tests::envoy::{Envoy, Setup};

/// shop's release is in flight, and the proxy may be beside a pod of cart's.
fn config(role: &str) -> FilterConfig {
    let rules = match role {
        "source" => json!([{
            "rollout": "shop", "namespace": "web", "service": "shop", "hosts": ["shop"],
            "stable": "s1",
            "canary": {"revision": "s2", "weightBp": 0, "salt": "", "routes": [{"name": "trial",
                "any": [{"all": [{"on": {"header": "x-canary"}, "is": "present"}]}]}]},
        }]),
        _ => json!([]),
    };
    let document = json!({
        "version": 1, "generation": 3, "name": "mesh", "role": role, "rules": rules,
        "pods": [{"namespace": "web", "rollout": "cart", "stable": "c1", "canary": "c2"}],
    });
    FilterConfig::from_json(document.to_string().as_bytes()).expect("is accepted")
}

/// A tag's expression for the proxies of this mode.
fn expression(mode: &str, tag: &str) -> String {
    let object = telemetry::telemetry("istio-system");
    let overrides = object["spec"]["metrics"][0]["overrides"].as_array();
    let mut overrides = overrides.expect("overrides").iter();
    let one = overrides.find(|one| one["match"]["mode"] == mode);
    let value = &one.expect("of this mode")["tagOverrides"][tag]["value"];
    value.as_str().expect("an expression").to_string()
}

/// Sends requests with these headers through a proxy beside a pod of cart's with this hash, and has
/// what `format` makes of each.
fn logged(
    hash: &str,
    config: &FilterConfig,
    format: &str,
    requests: &[&[(&str, &str)]],
) -> Vec<String> {
    let setup = Setup {
        metadata: json!({"WORKLOAD_NAME": "cart", "NAMESPACE": "web",
            "LABELS": {"rollouts-pod-template-hash": hash}}),
        filters: vec![peer(), failing()],
        log: &format!("%REQ(:PATH)% {format}"),
        ..Setup::default()
    };
    let envoy = Envoy::start_with(config, &setup);
    if !config.is_idle() {
        envoy.until("the filter runs", || {
            envoy.statistic("serin_filter_threads") == [3.0]
        });
    }
    let mut client = Client::connect(envoy.listener).expect("it listens");
    for headers in requests {
        client.get("shop", "/logged", headers).expect("is answered");
    }
    let lines = || {
        let lines = envoy.requests();
        let lines = lines
            .iter()
            .filter_map(|line| line.strip_prefix("/logged "));
        lines.map(str::to_string).collect::<Vec<String>>()
    };
    envoy.until("all are logged", || lines().len() == requests.len());
    lines()
}

/// Puts an object in the place where Istio's Envoy has what it knows of the pod behind a request. It
/// has no field `workload`, but `ip`.
fn peer() -> Value {
    json!({"name": "peer", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
        "on_request_headers": [{
            "object_key": "upstream_peer",
            "factory_key": "envoy.filters.listener.original_dst.local_ip",
            "skip_if_empty": true,
            "format_string": {"text_format_source": {"inline_string": "%REQ(x-peer)%"},
                "omit_empty_values": true},
        }],
    }})
}

/// Fails requests that ask for it, as a pod that cannot be reached.
fn failing() -> Value {
    json!({"name": "failing", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"header_abort": {}, "percentage": {"numerator": 100}},
    }})
}

const FAILS: &[(&str, &str)] = &[("x-envoy-fault-abort-request", "503")];

const PEER: &[(&str, &str)] = &[("x-peer", "10.1.2.3:80")];
const CANARY: &[(&str, &str)] = &[("x-canary", "1"), ("x-peer", "10.1.2.3:80")];

/// At a caller: its own name and the one behind it.
fn at_caller(hash: &str, config: &FilterConfig) -> Vec<String> {
    let destination = expression("CLIENT", "destination_workload");
    let destination = destination.replace("upstream_peer.workload", "upstream_peer.ip");
    let source = expression("CLIENT", "source_workload");
    let format = format!("%CEL({source})% %CEL({destination})%");
    logged(hash, config, &format, &[CANARY, PEER, &[]])
}

#[test]
fn a_canary_at_either_end_has_a_name_of_its_own() {
    let seen = at_caller("c2", &config("source"));
    assert_eq!(
        seen,
        [
            "cart-canary shop-canary",
            "cart-canary 10.1.2.3",
            "cart-canary -"
        ]
    );
    let seen = at_caller("c1", &config("source"));
    assert_eq!(seen, ["cart shop-canary", "cart 10.1.2.3", "cart -"]);
}

#[test]
fn a_request_that_nobody_answers_has_stables_name() {
    let destination = expression("CLIENT", "destination_workload");
    let format = format!("%CEL({destination})%");
    let seen = logged("c1", &config("source"), &format, &[FAILS, &[]]);
    assert_eq!(seen, ["shop", "-"]);
}

#[test]
fn without_the_filter_every_name_is_istios() {
    let mut at_rest = config("source");
    at_rest.rules.clear();
    let seen = at_caller("c2", &at_rest);
    assert_eq!(seen, ["cart 10.1.2.3", "cart 10.1.2.3", "cart -"]);
}

#[test]
fn a_pods_own_proxy_names_it_and_a_waypoint_the_pod_behind_it() {
    let destination = expression("SERVER", "destination_workload");
    let destination = destination.replace("upstream_peer.workload", "upstream_peer.ip");
    let format = format!("%CEL({destination})%");
    let seen = |hash| logged(hash, &config("destination"), &format, &[&[], PEER]);
    assert_eq!(seen("c2"), ["cart-canary", "cart-canary"]);
    assert_eq!(seen("c1"), ["cart", "10.1.2.3"]);
}

#[test]
fn the_names_are_filter_state_of_a_module() {
    let format = "%FILTER_STATE(wasm.serin_source_workload:PLAIN)% \
        %FILTER_STATE(wasm.serin_destination_workload:PLAIN)%";
    let seen = logged("c2", &config("source"), format, &[CANARY, PEER]);
    assert_eq!(seen, ["cart-canary shop-canary", "cart-canary -"]);
    let seen = logged("c1", &config("source"), format, &[CANARY, PEER]);
    assert_eq!(seen, ["- shop-canary", "- -"]);
}

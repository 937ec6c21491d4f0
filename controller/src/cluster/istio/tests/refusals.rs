//! What a user reads of an object that is not as the Rollout says.

use serde_json::json;
use serin_core::plan::{TcpRoute, TlsRoute};
use serin_core::wire::{Subject, Test};

use super::{Case, header_route, to_hosts, to_subsets};

#[test]
fn a_virtual_service_is_named_with_its_namespace() {
    let told = "spec has no routes, expected http, tls or tcp";
    let mut case = Case::hosts(0);
    assert_eq!(
        case.refusal(json!({"hosts": ["shop"], "http": []})),
        format!("VirtualService web/shop: {told}")
    );
    case.reference.namespace = Some("edge".into());
    assert_eq!(
        case.refusal(json!({})),
        format!("VirtualService edge/shop: {told}")
    );
}

#[test]
fn a_route_that_is_named_must_be_there() {
    let case = Case::hosts(0).routes(&["main"]);
    let spec = json!({"http": [{"name": "a", "route": []}, {"route": []}]});
    assert_eq!(
        case.refusal(spec),
        r#"VirtualService web/shop: spec.http has routes ["a", ""], expected "main" among them"#
    );
    let only_tls = json!({"tls": [{"route": to_hosts(100, 0)}]});
    assert_eq!(
        case.refusal(only_tls),
        r#"VirtualService web/shop: spec.http has routes [], expected "main" among them"#
    );
}

#[test]
fn a_users_route_is_none_that_is_managed() {
    let case = Case::hosts(0).routes(&["first"]);
    let spec = json!({"http": [{"name": "first", "route": to_hosts(100, 0)}]});
    let told = "VirtualService web/shop: spec.http has route \"first\", which managedRoutes names too, \
                expected it in routes only (managed routes are removed)";
    assert_eq!(case.refusal(spec), told);
}

#[test]
fn of_several_routes_the_rollout_must_name_those_it_means() {
    let http = json!({"http": [{"route": to_hosts(100, 0)}, {"name": "b"}, {"name": "first"}]});
    let only_managed = json!({"http": [{"name": "first", "route": to_hosts(100, 0)}]});
    let tls = json!({"tls": [{}, {}]});
    let tcp = json!({"tcp": [{}, {}, {}]});
    for (spec, told) in [
        (
            http,
            "spec.http has 2 routes that are not managed, expected one, or those meant in routes",
        ),
        (
            only_managed,
            "spec.http has 0 routes that are not managed, expected one, or those meant in routes",
        ),
        (
            tls,
            "spec.tls has 2 routes that are not managed, expected one, or those meant in tlsRoutes",
        ),
        (
            tcp,
            "spec.tcp has 3 routes that are not managed, expected one, or those meant in tcpRoutes",
        ),
    ] {
        assert_eq!(
            Case::hosts(0).refusal(spec),
            format!("VirtualService web/shop: {told}")
        );
    }
}

#[test]
fn a_route_that_is_described_must_be_there() {
    let mut case = Case::hosts(0);
    case.reference.tls_routes = vec![TlsRoute {
        port: Some(443),
        sni_hosts: vec!["a".into()],
    }];
    assert_eq!(
        case.refusal(json!({"tls": [{"match": [{"sniHosts": ["a"]}]}]})),
        "VirtualService web/shop: spec.tls has no route whose matches have port 443 and SNI hosts \
         {\"a\"}, expected one"
    );
    let mut case = Case::hosts(0);
    case.reference.tcp_routes = vec![TcpRoute { port: None }];
    assert_eq!(
        case.refusal(json!({"tcp": [{"match": [{"port": 1}]}]})),
        "VirtualService web/shop: spec.tcp has no route whose matches have no port, expected one"
    );
}

#[test]
fn each_version_is_one_destination() {
    let spec = |destinations| json!({"http": [{"route": destinations}]});
    let host = "VirtualService web/shop: spec.http[0].route has";
    let only_stable = json!([{"destination": {"host": "shop"}}]);
    let mut twice = to_hosts(100, 0).as_array().unwrap().clone();
    twice.push(twice[0].clone());
    for (case, destinations, told) in [
        (
            Case::hosts(0),
            only_stable,
            r#"0 destinations with host "shop-canary", expected one"#,
        ),
        (
            Case::hosts(0),
            twice.into(),
            r#"2 destinations with host "shop", expected one"#,
        ),
        (
            Case::subsets(0),
            to_hosts(100, 0),
            r#"0 destinations with subset "canary", expected one"#,
        ),
        (
            Case::hosts(0),
            to_subsets(100, 0),
            r#"0 destinations with host "shop-canary", expected one"#,
        ),
    ] {
        assert_eq!(case.refusal(spec(destinations)), format!("{host} {told}"));
    }
    let mut split = Case::hosts(0);
    split.reference.tcp_routes = vec![TcpRoute { port: Some(1) }];
    let tcp = json!({"tcp": [{}, {"match": [{"port": 1}], "route": [{"destination": "?"}]}]});
    assert_eq!(
        split.refusal(tcp),
        "VirtualService web/shop: spec.tcp[1].route has 0 destinations with host \"shop-canary\", \
         expected one"
    );
}

#[test]
fn a_service_that_the_rollout_does_not_name_is_told() {
    let case = Case::hosts(0);
    let mut split = case.split();
    split.canary_service = None;
    let object = json!({"spec": {"http": [{"route": to_hosts(100, 0)}]}});
    let refused = super::virtual_service(&object, &case.reference, &split).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "VirtualService web/shop: spec.http[0].route has 0 destinations with the host of \
         canaryService, which the Rollout does not name, expected one"
    );
}

#[test]
fn a_managed_route_needs_requests_to_take() {
    let case = Case::hosts(0).header(header_route("first", "yes"));
    assert_eq!(
        case.refusal(json!({"tcp": [{"route": to_hosts(100, 0)}]})),
        "VirtualService web/shop: spec.http has no routes, expected one beside managed route \
         \"first\""
    );
}

#[test]
fn a_condition_that_istio_does_not_know_is_told() {
    let spec = || json!({"http": [{"route": to_hosts(100, 0)}]});
    let told = "VirtualService web/shop: managed route \"first\" has a condition that is not possible \
                with router istio, expected headers, each once, with exact, prefix or regex";
    let route = || header_route("first", "yes");
    let mut cookie = route();
    cookie.any[0].all[0].on = Subject::Cookie("user".into());
    let mut suffix = route();
    suffix.any[0].all[0].is = Test::Suffix("x".into());
    let mut not = route();
    not.any[0].all[0].not = true;
    let mut twice = route();
    let again = twice.any[0].all[0].clone();
    twice.any[0].all.push(again);
    for route in [cookie, suffix, not, twice] {
        assert_eq!(Case::hosts(0).header(route).refusal(spec()), told);
    }
}

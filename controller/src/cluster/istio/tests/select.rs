//! Which routes carry the weights.

use serde_json::{Value, json};
use serin_core::plan::{TcpRoute, TlsRoute};

use super::{Case, header_route, to_hosts, to_subsets};

fn http(routes: &[(&str, Value)]) -> Value {
    let route = |(name, route): &(&str, Value)| json!({"name": name, "route": route});
    json!({"http": routes.iter().map(route).collect::<Vec<_>>()})
}

#[test]
fn routes_that_are_named_are_meant() {
    let routes = |a, b, c| http(&[("a", a), ("b", b), ("c", c)]);
    let before = to_hosts(100, 0);
    let written = Case::hosts(30).routes(&["c", "a"]).spec(routes(
        before.clone(),
        before.clone(),
        before.clone(),
    ));
    let after = to_hosts(70, 30);
    assert_eq!(written, routes(after.clone(), before, after));
}

#[test]
fn the_only_route_is_meant_with_a_name_or_without() {
    let unnamed = |stable, canary| json!({"http": [{"route": to_hosts(stable, canary)}]});
    assert_eq!(Case::hosts(30).spec(unnamed(100, 0)), unnamed(70, 30));
    let named = |stable, canary| http(&[("main", to_hosts(stable, canary))]);
    assert_eq!(Case::hosts(30).spec(named(100, 0)), named(70, 30));
}

#[test]
fn beside_managed_routes_the_only_other_one_is_meant() {
    let case = Case::hosts(30).header(header_route("first", "yes"));
    let managed = json!([{"destination": {"host": "shop-canary"}, "weight": 100}]);
    let before = http(&[("first", managed), ("main", to_hosts(100, 0))]);
    let written = case.spec(before);
    assert_eq!(written["http"][1]["route"], to_hosts(70, 30));
}

#[test]
fn every_kind_of_route_gets_the_weights() {
    let all = |stable, canary| {
        let tls_match = json!([{"port": 443, "sniHosts": ["shop"]}]);
        json!({
            "http": [{"name": "main", "route": to_hosts(stable, canary)}],
            "tls": [{"match": tls_match, "route": to_hosts(stable, canary)}],
            "tcp": [{"match": [{"port": 5432}], "route": to_hosts(stable, canary)}],
        })
    };
    let case = Case::hosts(30).routes(&["main"]);
    assert_eq!(case.spec(all(100, 0)), all(70, 30));
}

#[test]
fn a_tls_route_is_found_by_its_port_and_all_its_hosts() {
    let tls = |meant: Value| {
        let other = to_subsets(100, 0);
        json!({"tls": [
            {"match": [{"port": 443, "sniHosts": ["a"]}], "route": other},
            {"match": [{"port": 443, "sniHosts": ["b"]}, {"port": 443, "sniHosts": ["a", "b"]}],
             "route": meant},
            {"match": [{"port": 443, "sniHosts": ["a"]}, {"port": 444, "sniHosts": ["b"]}],
             "route": other},
            {"match": [{"sniHosts": ["a", "b"]}], "route": other},
        ]})
    };
    let mut case = Case::subsets(30);
    case.reference.tls_routes = vec![TlsRoute {
        port: Some(443),
        sni_hosts: vec!["a".into(), "b".into()],
    }];
    assert_eq!(case.spec(tls(to_subsets(100, 0))), tls(to_subsets(70, 30)));
}

#[test]
fn a_tcp_route_is_found_by_its_port() {
    let tcp = |with_port: Value, without: Value| {
        json!({"tcp": [
            {"match": [{"port": 1}, {"port": 2}], "route": to_hosts(100, 0)},
            {"match": [{"port": 1}, {"port": 1, "gateways": ["mesh"]}], "route": with_port},
            {"match": [{"gateways": ["mesh"]}], "route": without},
        ]})
    };
    let before = || to_hosts(100, 0);
    let mut case = Case::hosts(30);
    case.reference.tcp_routes = vec![TcpRoute { port: Some(1) }];
    let written = case.spec(tcp(before(), before()));
    assert_eq!(written, tcp(to_hosts(70, 30), before()));
    case.reference.tcp_routes = vec![TcpRoute { port: None }];
    let written = case.spec(tcp(before(), before()));
    assert_eq!(written, tcp(before(), to_hosts(70, 30)));
}

//! Which destination gets which weight.

use serde_json::{Value, json};

use super::{Case, to_hosts, to_subsets};

fn route(destinations: Value) -> Value {
    json!({"http": [{"route": destinations}]})
}

#[test]
fn services_get_their_weights() {
    for percent in [0, 1, 50, 99, 100] {
        let (canary, stable) = (u64::from(percent), u64::from(100 - percent));
        let written = Case::hosts(percent).spec(route(to_hosts(7, 3)));
        assert_eq!(written, route(to_hosts(stable, canary)));
    }
}

#[test]
fn subsets_get_their_weights() {
    let written = Case::subsets(30).spec(route(to_subsets(100, 0)));
    assert_eq!(written, route(to_subsets(70, 30)));
}

#[test]
fn without_a_canary_stable_gets_everything() {
    let mut case = Case::hosts(40);
    case.traffic.canary = None;
    let written = case.spec(route(to_hosts(60, 40)));
    assert_eq!(written, route(to_hosts(100, 0)));
}

#[test]
fn a_host_may_be_written_in_full() {
    let full = |stable: u64, canary: u64| {
        route(json!([
            {"destination": {"host": "shop.web.svc.cluster.local"}, "weight": stable},
            {"destination": {"host": "shop-canary.web"}, "weight": canary},
        ]))
    };
    assert_eq!(Case::hosts(10).spec(full(100, 0)), full(90, 10));
}

#[test]
fn destinations_may_stand_in_any_order() {
    let turned = |destinations: Value| {
        let mut list = destinations.as_array().unwrap().clone();
        list.reverse();
        route(list.into())
    };
    let written = Case::hosts(10).spec(turned(to_hosts(100, 0)));
    assert_eq!(written, turned(to_hosts(90, 10)));
}

#[test]
fn an_absent_weight_is_none() {
    let written = Case::hosts(0).spec(route(json!([
        {"destination": {"host": "shop"}},
        {"destination": {"host": "shop-canary"}},
    ])));
    let expected = route(json!([
        {"destination": {"host": "shop"}, "weight": 100},
        {"destination": {"host": "shop-canary"}},
    ]));
    assert_eq!(written, expected);
}

#[test]
fn a_weight_with_a_decimal_point_is_a_weight() {
    let floats = route(json!([
        {"destination": {"host": "shop"}, "weight": 80.0},
        {"destination": {"host": "shop-canary"}, "weight": 20.0},
    ]));
    assert_eq!(Case::hosts(20).spec(floats.clone()), floats);
}

#[test]
fn what_other_destinations_send_is_taken_from_stable() {
    let mut case = Case::subsets(20);
    case.rule.as_mut().unwrap().additional_subsets = vec!["beta".into()];
    let with_beta = |stable: u64, canary: u64| {
        route(json!([
            {"destination": {"host": "shop", "subset": "beta"}, "weight": 30},
            {"destination": {"host": "shop", "subset": "stable"}, "weight": stable},
            {"destination": {"host": "shop", "subset": "canary"}, "weight": canary},
        ]))
    };
    assert_eq!(case.spec(with_beta(70, 0)), with_beta(50, 20));
    let by_host = |stable: u64, canary: u64| {
        let mut list = to_hosts(stable, canary).as_array().unwrap().clone();
        list.push(json!({"destination": {"host": "legacy"}, "weight": 5}));
        route(list.into())
    };
    assert_eq!(Case::hosts(20).spec(by_host(100, 0)), by_host(75, 20));
}

#[test]
fn no_weight_falls_below_nothing() {
    let greedy = |stable: u64, canary: u64| {
        let mut list = to_hosts(stable, canary).as_array().unwrap().clone();
        list.push(json!({"destination": {"host": "legacy"}, "weight": 90}));
        route(list.into())
    };
    assert_eq!(Case::hosts(20).spec(greedy(10, 0)), greedy(0, 20));
}

#[test]
fn a_weight_is_called_as_the_rollout_calls_it() {
    let case = Case::hosts(25);
    let mut split = case.split();
    split.max_weight = 1_000;
    let object = json!({"spec": route(to_hosts(1_000, 0))});
    let written = super::virtual_service(&object, &case.reference, &split).unwrap();
    assert_eq!(written["spec"], route(to_hosts(750, 250)));
    // A third of three is 3,333 basis points.
    let mut case = Case::hosts(0);
    case.traffic.canary.as_mut().unwrap().weight_bp = 3_333;
    let mut split = case.split();
    split.max_weight = 3;
    let written = super::virtual_service(&object, &case.reference, &split).unwrap();
    assert_eq!(written["spec"], route(to_hosts(2, 1)));
}

#[test]
fn what_is_nobodys_business_stays() {
    let object = |stable: u64, canary: u64| {
        let mut destinations = to_hosts(stable, canary);
        destinations[1]["headers"] = json!({"response": {"set": {"x-version": "canary"}}});
        destinations[1]["destination"]["port"] = json!({"number": 8080});
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "shop", "annotations": {"team": "a"}, "managedFields": [{"x": 1}]},
            "spec": {
                "hosts": ["shop"], "gateways": ["mesh"], "exportTo": ["."], "new": {"unknown": []},
                "http": [
                    {"name": "old", "redirect": {"uri": "/new"}, "match": [{"uri": {"exact": "/old"}}]},
                    {"name": "main", "retries": {"attempts": 3}, "timeout": "5s",
                     "corsPolicy": {"allowOrigins": [{"exact": "*"}]},
                     "match": [{"withoutHeaders": {"x": {}}}], "route": destinations},
                    {"route": [{"destination": {"host": "other"}}]},
                ],
            },
            "status": {"observedGeneration": 3},
        })
    };
    let case = Case::hosts(5).routes(&["main"]);
    assert_eq!(case.write(&object(100, 0)).unwrap(), object(95, 5));
}

#[test]
fn the_canarys_weight_is_its_share_of_what_is_sent() {
    let case = Case::hosts(0);
    assert_eq!(case.sends(route(to_hosts(80, 20))), Some(2_000));
    assert_eq!(case.sends(route(to_hosts(3, 1))), Some(2_500));
    assert_eq!(case.sends(route(to_hosts(0, 0))), None);
    assert_eq!(case.sends(json!({})), None);
    let several = json!({"http": [
        {"name": "a", "route": to_hosts(100, 0)}, {"name": "b", "route": to_hosts(90, 10)},
    ]});
    assert_eq!(case.routes(&["a", "b"]).sends(several), Some(1_000));
}

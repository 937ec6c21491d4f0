use proptest::prelude::*;
use serde_json::{Value, json};
use serin_core::plan::{MirrorMatch, MirrorRoute, TcpRoute, TextMatch, TlsRoute};
use serin_core::revision::HASH_LABEL;
use serin_core::step::CanaryTraffic;
use serin_core::wire::{AllOf, HeaderRoute, Match, Subject, Test};

use super::*;

fn reference() -> VirtualServiceRef {
    VirtualServiceRef {
        name: "shop".into(),
        namespace: None,
        routes: Vec::new(),
        tls_routes: Vec::new(),
        tcp_routes: Vec::new(),
    }
}

fn rule() -> DestinationRuleRef {
    DestinationRuleRef {
        name: "shop".into(),
        canary_subset: "canary".into(),
        stable_subset: "stable".into(),
        additional_subsets: vec!["other".into()],
    }
}

fn traffic(weight_bp: u16, routes: Vec<HeaderRoute>, mirrors: Vec<MirrorRoute>) -> Traffic {
    let canary = CanaryTraffic {
        revision: "two".into(),
        weight_bp,
        routes,
        mirrors,
    };
    Traffic {
        stable: "one".into(),
        canary: Some(canary),
    }
}

fn split<'a>(traffic: &'a Traffic, managed: &'a [String]) -> Split<'a> {
    Split {
        stable_service: Some("shop"),
        canary_service: Some("shop-canary"),
        rule: None,
        managed_routes: managed,
        max_weight: 100,
        traffic,
    }
}

fn host(name: &str, weight: u64) -> Value {
    json!({"destination": {"host": name, "port": {"number": 80}}, "weight": weight})
}

fn object(http: Value) -> Value {
    json!({
        "metadata": {"name": "shop", "resourceVersion": "7"},
        "spec": {"hosts": ["shop"], "http": http, "unknown": {"kept": true}},
    })
}

fn header_route(name: &str) -> HeaderRoute {
    let one = Match {
        on: Subject::Header("x-canary".into()),
        is: Test::Exact("true".into()),
        not: false,
    };
    HeaderRoute {
        name: name.into(),
        any: vec![AllOf { all: vec![one] }],
    }
}

fn mirror(name: &str) -> MirrorRoute {
    MirrorRoute {
        name: name.into(),
        any: vec![MirrorMatch {
            path: Some(TextMatch::Prefix("/".into())),
            ..MirrorMatch::default()
        }],
        percentage: 20,
    }
}

fn weights(object: &Value, route: usize) -> Vec<u64> {
    let list = object["spec"]["http"][route]["route"].as_array().unwrap();
    list.iter()
        .map(|one| one["weight"].as_u64().unwrap_or(0))
        .collect()
}

#[test]
fn weights_are_written_and_all_else_is_kept() {
    let route = json!({
        "route": [host("shop.web.svc.cluster.local", 100), host("shop-canary", 0)],
        "retries": {"attempts": 3}, "theirs": 1,
    });
    let before = object(json!([route]));
    let traffic = traffic(2500, vec![], vec![]);
    let after = virtual_service(&before, &reference(), &split(&traffic, &[])).unwrap();
    assert_eq!(weights(&after, 0), [75, 25]);
    let patch = patch(&before, &after).unwrap();
    let paths: Vec<String> = patch.0.iter().map(|one| one.path().to_string()).collect();
    assert_eq!(
        paths,
        [
            "/metadata/resourceVersion",
            "/spec/http/0/route/0/weight",
            "/spec/http/0/route/1/weight"
        ]
    );
    assert_eq!(
        canary_weight(&after, &reference(), &split(&traffic, &[])),
        Some(2500)
    );
}

#[test]
fn what_is_as_it_should_be_is_not_written() {
    let before =
        object(json!([{"route": [host("shop", 100), {"destination": {"host": "shop-canary"}}]}]));
    let without = Traffic {
        stable: "one".into(),
        canary: None,
    };
    let after = virtual_service(&before, &reference(), &split(&without, &[])).unwrap();
    assert_eq!(patch(&before, &after), None, "an absent weight is none");
}

#[test]
fn subsets_are_versions_and_those_of_others_keep_their_weight() {
    let subset = |name: &str, weight: u64| json!({"destination": {"host": "shop", "subset": name}, "weight": weight});
    let before = object(json!([{"route": [
        subset("stable", 90), subset("canary", 0), subset("other", 10)]}]));
    let (traffic, rule) = (traffic(3000, vec![], vec![]), rule());
    let split = Split {
        rule: Some(&rule),
        ..split(&traffic, &[])
    };
    let after = virtual_service(&before, &reference(), &split).unwrap();
    assert_eq!(weights(&after, 0), [60, 30, 10]);
}

#[test]
fn routes_are_those_named_or_the_only_one_or_the_first_without_a_name() {
    let route = |name: Option<&str>| {
        let mut route = json!({"route": [host("shop", 100), host("shop-canary", 0)]});
        if let Some(name) = name {
            route["name"] = json!(name);
        }
        route
    };
    let traffic = traffic(1000, vec![], vec![]);
    let split = split(&traffic, &[]);
    let changed = |before: &Value, reference: &VirtualServiceRef| {
        let after = virtual_service(before, reference, &split).unwrap();
        let many = before["spec"]["http"].as_array().unwrap().len();
        (0..many)
            .filter(|at| weights(&after, *at) == [90, 10])
            .collect::<Vec<_>>()
    };
    let three = object(json!([route(Some("a")), route(None), route(Some("b"))]));
    assert_eq!(changed(&three, &reference()), [1]);
    let both = VirtualServiceRef {
        routes: vec!["a".into(), "b".into()],
        ..reference()
    };
    assert_eq!(changed(&three, &both), [0, 2]);
    assert_eq!(
        changed(&object(json!([route(Some("a"))])), &reference()),
        [0]
    );
}

#[test]
fn tls_and_tcp_routes_are_found_by_port_and_name() {
    let route = |fits: Value| json!({"match": [fits], "route": [host("shop", 100), host("shop-canary", 0)]});
    let before = json!({"metadata": {}, "spec": {
        "tls": [route(json!({"port": 443, "sniHosts": ["a"]})), route(json!({"port": 443, "sniHosts": ["b"]}))],
        "tcp": [route(json!({"port": 1})), route(json!({"port": 2}))],
    }});
    let named = VirtualServiceRef {
        tls_routes: vec![TlsRoute {
            port: Some(443),
            sni_hosts: vec!["b".into()],
        }],
        tcp_routes: vec![TcpRoute { port: Some(1) }],
        ..reference()
    };
    let traffic = traffic(4000, vec![], vec![]);
    let after = virtual_service(&before, &named, &split(&traffic, &[])).unwrap();
    assert_eq!(after["spec"]["tls"][1]["route"][1]["weight"], 40);
    assert_eq!(after["spec"]["tcp"][0]["route"][1]["weight"], 40);
    assert_eq!(after["spec"]["tls"][0], before["spec"]["tls"][0]);
    assert_eq!(after["spec"]["tcp"][1], before["spec"]["tcp"][1]);
}

#[test]
fn managed_routes_stand_first_in_their_order_and_go_with_the_canary() {
    let before = object(json!([
        {"name": "old", "match": [], "route": []},
        {"route": [host("shop", 100), host("shop-canary", 0)], "timeout": "3s"},
    ]));
    let managed: Vec<String> = ["copy", "beta", "old"].map(String::from).into();
    let during = traffic(1000, vec![header_route("beta")], vec![mirror("copy")]);
    let after = virtual_service(&before, &reference(), &split(&during, &managed)).unwrap();
    let names: Vec<_> = after["spec"]["http"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].clone())
        .collect();
    assert_eq!(names, [json!("copy"), json!("beta"), Value::Null]);
    let [copy, beta] = [&after["spec"]["http"][0], &after["spec"]["http"][1]];
    assert_eq!(copy["mirrorPercentage"]["value"], 20);
    assert_eq!(copy["mirror"]["host"], "shop-canary");
    assert_eq!(
        copy["route"], after["spec"]["http"][2]["route"],
        "answered by weight"
    );
    assert_eq!(copy["timeout"], "3s");
    assert_eq!(
        beta["match"],
        json!([{"headers": {"x-canary": {"exact": "true"}}}])
    );
    let canary =
        json!([{"destination": {"host": "shop-canary", "port": {"number": 80}}, "weight": 100}]);
    assert_eq!(beta["route"], canary);

    let over = Traffic {
        stable: "two".into(),
        canary: None,
    };
    let end = virtual_service(&after, &reference(), &split(&over, &managed)).unwrap();
    assert_eq!(end["spec"]["http"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_written_is_told_with_what_would_do() {
    let traffic = traffic(0, vec![], vec![]);
    let told = |http: Value, reference: &VirtualServiceRef| {
        virtual_service(&object(http), reference, &split(&traffic, &[]))
            .unwrap_err()
            .to_string()
    };
    let named = VirtualServiceRef {
        routes: vec!["main".into()],
        ..reference()
    };
    assert_eq!(
        told(json!([{"name": "a", "route": []}]), &named),
        "VirtualService \"shop\" has no http route \"main\", expected one of a"
    );
    assert_eq!(
        told(
            json!([{"name": "a", "route": [host("shop", 100)]}]),
            &reference()
        ),
        "VirtualService \"shop\" has http route \"a\" without a destination of the canary version, \
         expected one with host \"shop-canary\""
    );
    assert!(told(json!([]), &reference()).contains("has no route to write weights to"));
}

#[test]
fn subsets_get_their_hashes_and_keep_their_labels() {
    let before = json!({"metadata": {"name": "shop"}, "spec": {"host": "shop", "subsets": [
        {"name": "canary", "labels": {"app": "shop"}}, {"name": "stable"}, {"name": "theirs"}]}});
    let after = destination_rule(&before, &rule(), "shop", "one", "two").unwrap();
    let subsets = &after["spec"]["subsets"];
    assert_eq!(
        subsets[0]["labels"],
        json!({"app": "shop", HASH_LABEL: "two"})
    );
    assert_eq!(subsets[1]["labels"], json!({HASH_LABEL: "one"}));
    assert_eq!(
        subsets[2],
        json!({"name": "theirs"}),
        "others' subsets stay"
    );
    let refused = destination_rule(&after, &rule(), "cart", "one", "two").unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("is managed by Rollout \"shop\"")
    );
    let none = json!({"metadata": {}, "spec": {"subsets": []}});
    let refused = destination_rule(&none, &rule(), "shop", "one", "two").unwrap_err();
    assert!(refused.to_string().contains("has no subset \"stable\""));
}

proptest! {
    #[test]
    fn writing_again_changes_nothing(weight in 0u16..=100, beta: bool, copy: bool, own in 0u64..=100) {
        let managed: Vec<String> = vec!["beta".into(), "copy".into()];
        let routes = beta.then(|| header_route("beta")).into_iter().collect();
        let mirrors = copy.then(|| mirror("copy")).into_iter().collect();
        let traffic = traffic(weight * 100, routes, mirrors);
        let split = split(&traffic, &managed);
        let before = object(json!([{"route": [host("shop", 100 - own), host("shop-canary", own)]}]));
        let once = virtual_service(&before, &reference(), &split).unwrap();
        let twice = virtual_service(&once, &reference(), &split).unwrap();
        prop_assert_eq!(patch(&once, &twice), None);
        prop_assert_eq!(canary_weight(&once, &reference(), &split), Some(weight * 100));
    }
}

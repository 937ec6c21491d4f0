//! What holds of every VirtualService and every traffic.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use serin_core::plan::{MirrorMatch, MirrorRoute};

use super::tests::{Case, header_route, rule, to_hosts, to_subsets};
use super::{canary_weight, patch};

/// The names in use: managed ones, others and none.
const MANAGED: [&str; 2] = ["first", "second"];

/// A route's destinations: both versions in any order, among others.
fn destinations(by_host: bool) -> impl Strategy<Value = Value> {
    let own = if by_host {
        to_hosts(0, 0)
    } else {
        to_subsets(0, 0)
    };
    let other = json!({"destination": {"host": "other", "subset": "other"}, "headers": {"x": 1}});
    let mut entries = own.as_array().unwrap().clone();
    entries.push(other.clone());
    entries.push(other);
    let weights = prop::collection::vec(prop::option::of(0_u64..60), entries.len());
    (Just(entries).prop_shuffle(), weights).prop_map(|(mut entries, weights)| {
        for (entry, weight) in entries.iter_mut().zip(weights) {
            let entry = entry.as_object_mut().unwrap();
            match weight {
                Some(weight) => entry.insert("weight".into(), weight.into()),
                None => entry.remove("weight"),
            };
        }
        entries.into()
    })
}

/// A route that may have any name and settings.
fn route(by_host: bool) -> impl Strategy<Value = Value> {
    let names = select(vec!["", "first", "second", "third", "redirect"]);
    let settings = select(vec![
        json!({}),
        json!({"timeout": "5s", "retries": {"attempts": 2}}),
        json!({"match": [{"uri": {"prefix": "/"}}, {"unknown": [null, 1.5]}]}),
    ]);
    (names, settings, destinations(by_host)).prop_map(|(name, mut route, destinations)| {
        route["name"] = name.into();
        match name {
            "redirect" => route["redirect"] = json!({"uri": "/"}),
            _ => route["route"] = destinations,
        }
        route
    })
}

/// A VirtualService with its user's route `main` somewhere among others.
fn object(by_host: bool) -> impl Strategy<Value = Value> {
    let http = prop::collection::vec(route(by_host), 0..5);
    let tcp = prop::option::of(destinations(by_host));
    let parts = (
        http,
        any::<prop::sample::Index>(),
        destinations(by_host),
        tcp,
    );
    parts.prop_map(|(mut http, at, main, tcp)| {
        let main = json!({"name": "main", "fault": {"abort": {}}, "route": main});
        http.insert(at.index(http.len() + 1), main);
        let mut object = json!({
            "metadata": {"name": "shop", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {"hosts": ["shop"], "http": http, "unknown": {"field": [1, {}]}},
        });
        if let Some(tcp) = tcp {
            object["spec"]["tcp"] = json!([{"route": tcp}]);
        }
        object
    })
}

fn case() -> impl Strategy<Value = Case> {
    let parts = (any::<bool>(), any::<bool>(), 0_u16..=100, 0_u8..3, 0_u8..3);
    parts.prop_map(|(by_host, canary, percent, first, second)| {
        let mut case = Case::hosts(percent).routes(&["main"]);
        if !by_host {
            case.rule = Some(rule());
        }
        for (name, kind) in MANAGED.into_iter().zip([first, second]) {
            case = match kind {
                1 => case.header(header_route(name, "yes")),
                2 => case.mirror(MirrorRoute {
                    name: name.into(),
                    any: vec![MirrorMatch::default()],
                    percentage: 10,
                }),
                _ => case,
            };
        }
        if !canary {
            case.traffic.canary = None;
        }
        case
    })
}

fn world() -> impl Strategy<Value = (Case, Value)> {
    case().prop_flat_map(|case| {
        let by_host = case.rule.is_none();
        (Just(case), object(by_host))
    })
}

/// The object without what the router writes: managed routes, and both versions' weights in the
/// routes that are meant.
fn rest(mut object: Value) -> Value {
    let http = object["spec"]["http"].as_array_mut().unwrap();
    http.retain(|route| !MANAGED.iter().any(|name| route["name"] == **name));
    let main = http.iter_mut().filter(|route| route["name"] == "main");
    for route in main {
        strip(&mut route["route"]);
    }
    if let Some(tcp) = object.pointer_mut("/spec/tcp/0/route") {
        strip(tcp);
    }
    object
}

fn strip(destinations: &mut Value) {
    for entry in destinations.as_array_mut().unwrap() {
        if entry["destination"]["host"] != "other" {
            entry.as_object_mut().unwrap().remove("weight");
        }
    }
}

proptest! {
    #[test]
    fn told_twice_is_told_once((case, object) in world()) {
        let once = case.write(&object).unwrap();
        prop_assert_eq!(case.write(&once).unwrap(), once);
    }

    #[test]
    fn only_the_fields_concerned_change((case, object) in world()) {
        let after = case.write(&object).unwrap();
        prop_assert_eq!(rest(after), rest(object));
    }

    #[test]
    fn what_was_asked_for_is_what_is_sent((case, object) in world()) {
        let after = case.write(&object).unwrap();
        let wanted = case.traffic.canary.as_ref().map_or(0, |canary| canary.weight_bp);
        let sent = canary_weight(&after, &case.reference, &case.split()).unwrap();
        let all = after["spec"]["http"].as_array().unwrap();
        let main = all.iter().find(|route| route["name"] == "main").unwrap();
        let entries = main["route"].as_array().unwrap();
        let sum = |of: &dyn Fn(&&Value) -> bool| -> u64 {
            let weights = entries.iter().filter(of);
            weights.filter_map(|entry| entry["weight"].as_u64()).sum()
        };
        let others = sum(&|entry| entry["destination"]["host"] == "other");
        // Others that send more than is left make everybody's share smaller.
        let everything = u64::from(wanted / 100) + others;
        prop_assert_eq!(sum(&|_| true), everything.max(100));
        prop_assert!(sent == wanted || everything > 100 && sent < wanted, "{} of {}", sent, wanted);
    }

    #[test]
    fn managed_routes_are_those_of_the_traffic_and_before_the_users((case, object) in world()) {
        let after = case.write(&object).unwrap();
        let names = after["spec"]["http"].as_array().unwrap().iter();
        let names: Vec<&str> = names.filter_map(|route| route["name"].as_str()).collect();
        let in_force = |name: &&str| case.traffic.canary.as_ref().is_some_and(|canary| {
            canary.routes.iter().any(|route| route.name == **name)
                || canary.mirrors.iter().any(|route| route.name == **name)
        });
        let wanted: Vec<&str> = MANAGED.into_iter().filter(in_force).collect();
        let main = names.iter().position(|name| *name == "main").unwrap();
        prop_assert_eq!(&names[main - wanted.len()..main], &wanted[..]);
        let managed = names.iter().filter(|name| MANAGED.contains(name));
        prop_assert_eq!(managed.count(), wanted.len());
    }

    #[test]
    fn a_patch_makes_one_of_the_other((case, object) in world()) {
        let after = case.write(&object).unwrap();
        let mut patched = object.clone();
        match patch(&object, &after) {
            Some(patch) => json_patch::patch(&mut patched, &patch).unwrap(),
            None => prop_assert_eq!(&object, &after),
        }
        prop_assert_eq!(patched, after);
    }
}

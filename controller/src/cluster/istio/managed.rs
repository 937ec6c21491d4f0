//! Managed routes: those that send or copy matching requests to the canary. They stand before all
//! others, in their order, and go with the canary.

use serde_json::{Map, Value, json};
use serin_core::plan::{MirrorMatch, MirrorRoute, TextMatch, VirtualServiceRef};
use serin_core::wire::{AllOf, HeaderRoute, Subject, Test};

use super::Split;
use super::destinations::Versions;
use super::select;

/// Takes the managed routes out.
pub(super) fn remove(object: &mut Value, managed: &[String]) {
    if let Some(routes) = object
        .pointer_mut("/spec/http")
        .and_then(Value::as_array_mut)
    {
        routes.retain(|route| {
            let name = route.get("name").and_then(Value::as_str);
            !name.is_some_and(|name| managed.iter().any(|managed| managed == name))
        });
    }
}

/// Puts those in force before the others.
pub(super) fn add(
    object: &mut Value,
    reference: &VirtualServiceRef,
    split: &Split<'_>,
    versions: &Versions<'_>,
) {
    let Some(canary) = &split.traffic.canary else {
        return;
    };
    // What is copied from: the first of the routes that have the weights.
    let routes = select::routes(object, reference).unwrap_or_default();
    let Some(at) = routes.iter().find(|at| at.protocol == "http") else {
        return;
    };
    let user = object["spec"]["http"][at.index].clone();
    let Some(destination) = versions.canary_of(&user) else {
        return;
    };
    let made = |name: &String| {
        let header = canary.routes.iter().find(|route| route.name == *name);
        let mirror = canary.mirrors.iter().find(|route| route.name == *name);
        let header = header.map(|route| header_route(route, &destination));
        header.or_else(|| mirror.map(|route| mirror_route(route, &user, &destination)))
    };
    let made: Vec<Value> = split.managed_routes.iter().filter_map(made).collect();
    if let Some(routes) = object
        .pointer_mut("/spec/http")
        .and_then(Value::as_array_mut)
    {
        routes.splice(0..0, made);
    }
}

/// Sends everything that matches one of the alternatives to the canary.
fn header_route(route: &HeaderRoute, destination: &Value) -> Value {
    json!({
        "name": route.name,
        "match": route.any.iter().map(alternative).collect::<Vec<_>>(),
        "route": [{"destination": destination, "weight": 100}],
    })
}

/// Conditions on headers; a plan for Istio has no others.
fn alternative(all: &AllOf) -> Value {
    let headers = all.all.iter().filter_map(|one| {
        let Subject::Header(name) = &one.on else {
            return None;
        };
        let test = match &one.is {
            Test::Exact(text) => json!({"exact": text}),
            Test::Prefix(text) => json!({"prefix": text}),
            Test::Regex(text) => json!({"regex": text}),
            Test::Suffix(_) | Test::Present => json!({"regex": ".*"}),
        };
        Some((name.clone(), test))
    });
    json!({"headers": headers.collect::<Map<_, _>>()})
}

/// Answers what matches as the user's route does, and copies it to the canary.
fn mirror_route(route: &MirrorRoute, user: &Value, destination: &Value) -> Value {
    let mut mirror = user.clone();
    mirror["name"] = json!(route.name);
    mirror["match"] = route.any.iter().map(mirrored).collect();
    mirror["mirror"] = destination.clone();
    mirror["mirrorPercentage"] = json!({"value": route.percentage});
    mirror
}

fn mirrored(one: &MirrorMatch) -> Value {
    let mut all = Map::new();
    if let Some(method) = &one.method {
        all.insert("method".to_string(), text(method));
    }
    if let Some(path) = &one.path {
        all.insert("uri".to_string(), text(path));
    }
    if !one.headers.is_empty() {
        let headers = one
            .headers
            .iter()
            .map(|(name, test)| (name.clone(), text(test)));
        all.insert("headers".to_string(), Value::Object(headers.collect()));
    }
    Value::Object(all)
}

fn text(test: &TextMatch) -> Value {
    match test {
        TextMatch::Exact(text) => json!({"exact": text}),
        TextMatch::Prefix(text) => json!({"prefix": text}),
        TextMatch::Regex(text) => json!({"regex": text}),
    }
}

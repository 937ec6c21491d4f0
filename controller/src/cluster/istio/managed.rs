//! Managed routes: header routes and mirror routes, which stand before all others.

use serde_json::{Map, Value, json};
use serin_core::plan::{MirrorMatch, MirrorRoute, TextMatch};
use serin_core::wire::{AllOf, HeaderRoute, Match, Subject, Test, Variant};

use super::Split;
use super::place::{Kind, Place};
use super::refusal::Cause;
use super::weights;

/// Puts the managed routes that are in force first, in their order, and removes all others. They
/// are written anew each time, so whatever was made of them is undone.
pub(super) fn set(object: &mut Value, places: &[Place], split: &Split<'_>) -> Result<(), Cause> {
    let first = places.iter().find(|place| place.kind == Kind::Http);
    let wanted = split.managed_routes.iter();
    let wanted: Vec<Value> = wanted
        .filter_map(|name| route(object, name, first.copied(), split).transpose())
        .collect::<Result<_, _>>()?;
    if let Some(routes) = Kind::Http.list(object) {
        routes.retain(|route| !is_managed(route, split.managed_routes));
        routes.splice(0..0, wanted);
    }
    Ok(())
}

/// Whether the route has a managed one's name.
pub(super) fn is_managed(route: &Value, managed: &[String]) -> bool {
    managed.iter().any(|name| route["name"] == **name)
}

/// The managed route of this name, if it is in force. It sends to where `first`, a route of the
/// user's, sends: host, subset and port are as the user wrote them there.
fn route(
    object: &Value,
    name: &str,
    first: Option<Place>,
    split: &Split<'_>,
) -> Result<Option<Value>, Cause> {
    let Some(traffic) = &split.traffic.canary else {
        return Ok(None);
    };
    let header = traffic.routes.iter().find(|route| route.name == name);
    let mirror = traffic.mirrors.iter().find(|route| route.name == name);
    if header.is_none() && mirror.is_none() {
        return Ok(None);
    }
    let first = first.ok_or_else(|| Cause::NoHttpRoutes { route: name.into() })?;
    let canary = weights::destination(object, first, split, Variant::Canary)?;
    match (header, mirror) {
        (Some(header), _) => header_route(header, canary, split.max_weight).map(Some),
        (None, Some(mirror)) => {
            let destinations = first.destinations(object);
            Ok(Some(mirror_route(mirror, canary, destinations)))
        }
        (None, None) => Ok(None),
    }
}

fn header_route(route: &HeaderRoute, canary: &Value, all: u32) -> Result<Value, Cause> {
    let matches: Option<Vec<Value>> = route.any.iter().map(header_match).collect();
    let matches = matches.ok_or_else(|| Cause::NoSuchMatch {
        route: route.name.clone(),
    })?;
    Ok(json!({
        "name": route.name,
        "match": matches,
        "route": [{"destination": canary, "weight": all}],
    }))
}

/// Conditions on headers, one each.
fn header_match(all_of: &AllOf) -> Option<Value> {
    let mut headers = Map::new();
    for Match { on, is, not } in &all_of.all {
        let Subject::Header(name) = on else {
            return None;
        };
        let test = match is {
            Test::Exact(text) => json!({"exact": text}),
            Test::Prefix(text) => json!({"prefix": text}),
            Test::Regex(text) => json!({"regex": text}),
            Test::Suffix(_) | Test::Present => return None,
        };
        if *not || headers.insert(name.clone(), test).is_some() {
            return None;
        }
    }
    Some(json!({"headers": headers}))
}

/// Its requests are answered as those of `destinations`.
fn mirror_route(route: &MirrorRoute, canary: &Value, destinations: &[Value]) -> Value {
    let matches: Vec<Value> = route.any.iter().map(mirror_match).collect();
    json!({
        "name": route.name,
        "match": matches,
        "route": destinations,
        "mirror": canary,
        "mirrorPercentage": {"value": route.percentage},
    })
}

fn mirror_match(conditions: &MirrorMatch) -> Value {
    let mut all = Map::new();
    let parts = [("method", &conditions.method), ("uri", &conditions.path)];
    for (name, part) in parts {
        if let Some(text) = part {
            all.insert(name.into(), text_match(text));
        }
    }
    if !conditions.headers.is_empty() {
        let headers = conditions.headers.iter();
        let headers = headers.map(|(name, text)| (name.clone(), text_match(text)));
        all.insert("headers".into(), headers.collect::<Map<_, _>>().into());
    }
    all.into()
}

fn text_match(text: &TextMatch) -> Value {
    match text {
        TextMatch::Exact(text) => json!({"exact": text}),
        TextMatch::Prefix(text) => json!({"prefix": text}),
        TextMatch::Regex(text) => json!({"regex": text}),
    }
}

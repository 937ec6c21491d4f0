//! Managed routes: header routes and mirror routes, which stand before all others.
//!
//! Each takes requests from a route of the user's, so it is that route with something more to match
//! and something else done: what the user's route does not match it leaves alone, and it rewrites,
//! waits, retries and answers CORS as that one does. (Argo Rollouts' managed routes have none of
//! this, which is its issues #2895, #3088, #3155 and #3879.)

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
    let http = places.iter().filter(|place| place.kind == Kind::Http);
    let http: Vec<Place> = http.copied().collect();
    let mut wanted = Vec::new();
    for name in split.managed_routes {
        wanted.extend(routes(object, name, &http, split)?);
    }
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

/// The managed routes of this name, if it is in force: one before each of the user's routes that
/// carry the weights, and those that are alike once.
fn routes(
    object: &Value,
    name: &str,
    places: &[Place],
    split: &Split<'_>,
) -> Result<Vec<Value>, Cause> {
    let Some(traffic) = &split.traffic.canary else {
        return Ok(Vec::new());
    };
    let header = traffic.routes.iter().find(|route| route.name == name);
    let mirror = traffic.mirrors.iter().find(|route| route.name == name);
    if header.is_none() && mirror.is_none() {
        return Ok(Vec::new());
    }
    if places.is_empty() {
        return Err(Cause::NoHttpRoutes { route: name.into() });
    }
    let mut routes: Vec<Value> = Vec::new();
    for place in places {
        let user = place.route(object);
        let canary = weights::entry(object, *place, split, Variant::Canary)?;
        let route = match (header, mirror) {
            (Some(header), _) => header_route(header, user, canary, split.max_weight)?,
            (None, Some(mirror)) => mirror_route(mirror, user, canary),
            (None, None) => continue,
        };
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    Ok(routes)
}

/// What of the user's route a managed route has too: all but whom it takes and where it sends them.
fn like(user: &Value, but: &[&str]) -> Map<String, Value> {
    let fields = user.as_object().into_iter().flatten();
    let kept = fields.filter(|(field, _)| !but.contains(&field.as_str()));
    kept.map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

/// Sends to the canary as the user's route does: host, subset, port and headers are as written there.
fn header_route(
    route: &HeaderRoute,
    user: &Value,
    canary: &Value,
    all: u32,
) -> Result<Value, Cause> {
    let matches: Option<Vec<Value>> = route.any.iter().map(header_match).collect();
    let matches = matches.ok_or_else(|| Cause::NoSuchMatch {
        route: route.name.clone(),
    })?;
    let mut canary = canary.clone();
    canary["weight"] = all.into();
    let mut object = like(user, &["name", "match", "route"]);
    object.insert("name".into(), json!(route.name));
    object.insert("match".into(), both(&matches, user));
    object.insert("route".into(), json!([canary]));
    Ok(object.into())
}

/// What one of `own` and one of the user's route's matches hold of.
fn both(own: &[Value], user: &Value) -> Value {
    let users = user["match"].as_array().filter(|list| !list.is_empty());
    let Some(users) = users else {
        return own.into();
    };
    let pairs = own
        .iter()
        .flat_map(|own| users.iter().map(move |user| (own, user)));
    pairs.map(|(own, user)| together(own, user)).collect()
}

/// The user's match with a managed route's conditions in addition. There is room for one condition
/// on each thing, and then it is the managed route's: a route that is for all but the header of a
/// header route (`withoutHeaders`) is none the less the one whose requests it takes.
fn together(own: &Value, user: &Value) -> Value {
    let mut all = user.as_object().cloned().unwrap_or_default();
    for (field, condition) in own.as_object().into_iter().flatten() {
        if field != "headers" {
            all.insert(field.clone(), condition.clone());
        }
    }
    let Some(tests) = own["headers"].as_object() else {
        return all.into();
    };
    // Header names are the same in upper and lower case.
    let is_own = |name: &str| tests.keys().any(|own| own.eq_ignore_ascii_case(name));
    for field in ["headers", "withoutHeaders"] {
        let headers = all.remove(field).unwrap_or_default();
        let headers = headers.as_object().into_iter().flatten();
        let mut headers: Map<String, Value> = headers
            .filter(|(name, _)| !is_own(name))
            .map(|(name, test)| (name.clone(), test.clone()))
            .collect();
        if field == "headers" {
            headers.extend(tests.clone());
        }
        if !headers.is_empty() {
            all.insert(field.into(), headers.into());
        }
    }
    all.into()
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

/// Its requests are answered as those of the user's route.
fn mirror_route(route: &MirrorRoute, user: &Value, canary: &Value) -> Value {
    const OWN: [&str; 5] = [
        "name",
        "match",
        "mirror",
        "mirrorPercentage",
        "mirrorPercent",
    ];
    let matches: Vec<Value> = route.any.iter().map(mirror_match).collect();
    let mut object = like(user, &OWN);
    object.insert("name".into(), json!(route.name));
    object.insert("match".into(), both(&matches, user));
    let (canary, percentage) = (&canary["destination"], json!({"value": route.percentage}));
    // Istio takes one mirror or a list of them, and the user's stay.
    match object.get_mut("mirrors").and_then(Value::as_array_mut) {
        Some(mirrors) => mirrors.push(json!({"destination": canary, "percentage": percentage})),
        None => {
            object.insert("mirror".into(), canary.clone());
            object.insert("mirrorPercentage".into(), percentage);
        }
    }
    object.into()
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

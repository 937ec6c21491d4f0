//! Managed routes: header routes and mirror routes, which stand before the route whose requests they
//! take.
//!
//! Each is that route of the user's with something more to match and something else done: what the
//! user's route does not match it leaves alone, as what a route before that one takes, and it
//! rewrites, waits, retries and answers CORS as that one does. (Argo Rollouts' managed routes stand
//! before all others and have none of this, which is its issues #2895, #3088, #3155 and #3879.)

use serde_json::{Map, Value, json};
use serin_core::plan::{MirrorMatch, MirrorRoute, TextMatch};
use serin_core::wire::{AllOf, HeaderRoute, Match, Subject, Test, Variant};

use super::Split;
use super::place::{Kind, Place};
use super::refusal::Cause;
use super::weights;

/// Puts the managed routes that are in force where they belong, in their order, and removes all
/// others. They are written anew each time, so whatever was made of them is undone.
pub(super) fn set(object: &mut Value, places: &[Place], split: &Split<'_>) -> Result<(), Cause> {
    let mut http: Vec<Place> = places.to_vec();
    http.retain(|place| place.kind == Kind::Http);
    http.sort_by_key(|place| place.index);
    let mut wanted: Vec<(usize, Value)> = Vec::new();
    for place in &http {
        for name in split.managed_routes {
            let route = route(object, name, *place, split)?;
            // One that is like one before would get no requests.
            let route = route.filter(|route| !wanted.iter().any(|(_, before)| before == route));
            wanted.extend(route.map(|route| (place.index, route)));
        }
    }
    if http.is_empty()
        && let Some(name) = split
            .managed_routes
            .iter()
            .find(|name| in_force(name, split))
    {
        return Err(Cause::NoHttpRoutes {
            route: name.clone(),
        });
    }
    if let Some(routes) = Kind::Http.list(object) {
        let all = std::mem::take(routes);
        let mut wanted = wanted.into_iter().peekable();
        for (index, route) in all.into_iter().enumerate() {
            while let Some((_, managed)) = wanted.next_if(|(at, _)| *at == index) {
                routes.push(managed);
            }
            if !is_managed(&route, split.managed_routes) {
                routes.push(route);
            }
        }
    }
    Ok(())
}

/// Whether the route has a managed one's name.
pub(super) fn is_managed(route: &Value, managed: &[String]) -> bool {
    managed.iter().any(|name| route["name"] == **name)
}

fn in_force(name: &str, split: &Split<'_>) -> bool {
    split.traffic.canary.as_ref().is_some_and(|canary| {
        canary.routes.iter().any(|route| route.name == name)
            || canary.mirrors.iter().any(|route| route.name == name)
    })
}

/// The managed route of this name that takes requests from a route of the user's, if it is in force.
fn route(
    object: &Value,
    name: &str,
    place: Place,
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
    let user = place.route(object);
    let canary = weights::entry(object, place, split, Variant::Canary)?;
    match (header, mirror) {
        (Some(header), _) => header_route(header, user, canary, split.max_weight).map(Some),
        (None, mirror) => Ok(mirror.map(|mirror| mirror_route(mirror, user, canary))),
    }
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

/// The user's match with a managed route's conditions in addition. A path and a method that the
/// user's match has a condition on are matched as pseudo-headers, so both hold and a rewrite still
/// replaces what the user's condition found. There is room for one condition on a header, and then
/// it is the managed route's, which says of this header whose requests are meant.
fn together(own: &Value, user: &Value) -> Value {
    let mut all = user.as_object().cloned().unwrap_or_default();
    let mut tests = own["headers"].as_object().cloned().unwrap_or_default();
    for (field, header) in [("uri", ":path"), ("method", ":method")] {
        if let Some(condition) = own.get(field) {
            match all.contains_key(field) {
                true => tests.insert(header.into(), as_header(header, condition)),
                false => all.insert(field.into(), condition.clone()),
            };
        }
    }
    // Header names are the same in upper and lower case.
    let is_own = |name: &str| tests.keys().any(|own| own.eq_ignore_ascii_case(name));
    let keep = |field: &str, kept: &dyn Fn(&str, &Value) -> bool| -> Map<String, Value> {
        let headers = user[field].as_object().into_iter().flatten();
        let headers = headers.filter(|(name, test)| kept(name, test));
        headers
            .map(|(name, test)| (name.clone(), test.clone()))
            .collect()
    };
    let mut with = keep("headers", &|name, _| !is_own(name));
    // A route for all requests without the header is the one whose requests are meant.
    let without = keep("withoutHeaders", &|name, test| {
        !is_own(name) || !is_any(test)
    });
    with.extend(tests.clone());
    for (field, headers) in [("headers", with), ("withoutHeaders", without)] {
        match headers.is_empty() {
            true => all.remove(field),
            false => all.insert(field.into(), headers.into()),
        };
    }
    all.into()
}

/// A test of a path, which the query is no part of, as one of the header, where it is.
fn as_header(header: &str, test: &Value) -> Value {
    const QUERY: &str = r"(\?.*)?";
    let text = |kind: &str| test[kind].as_str();
    match (header, text("exact"), text("regex")) {
        (":path", Some(path), _) => json!({"regex": regex_lite::escape(path) + QUERY}),
        (":path", None, Some(regex)) => json!({"regex": format!("(?:{regex}){QUERY}")}),
        _ => test.clone(),
    }
}

/// Whether a test is of a header's presence alone.
fn is_any(test: &Value) -> bool {
    let regex = test["regex"].as_str();
    let empty = test.is_null() || test.as_object().is_some_and(Map::is_empty);
    empty || regex.is_some_and(|regex| ["*", ".*", ".+"].contains(&regex))
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
pub(super) fn mirror_route(route: &MirrorRoute, user: &Value, canary: &Value) -> Value {
    // The last two are older names of the one before.
    const OWN: [&str; 6] = [
        "name",
        "match",
        "mirror",
        "mirrorPercentage",
        "mirrorPercent",
        "mirror_percent",
    ];
    let matches: Vec<Value> = route.any.iter().map(mirror_match).collect();
    let mut object = like(user, &OWN);
    object.insert("name".into(), json!(route.name));
    object.insert("match".into(), both(&matches, user));
    let (canary, percentage) = (&canary["destination"], json!({"value": route.percentage}));
    let mut mirrors = mirrors(user);
    if mirrors.is_empty() {
        object.insert("mirror".into(), canary.clone());
        object.insert("mirrorPercentage".into(), percentage);
    } else {
        mirrors.push(json!({"destination": canary, "percentage": percentage}));
        object.insert("mirrors".into(), mirrors.into());
    }
    object.into()
}

/// The mirrors of the user's route as a list, which excludes the single one.
fn mirrors(user: &Value) -> Vec<Value> {
    if !user["mirror"].is_object() {
        return user["mirrors"].as_array().cloned().unwrap_or_default();
    }
    let mut mirror = json!({"destination": user["mirror"]});
    let older = [&user["mirrorPercent"], &user["mirror_percent"]];
    let older = older.into_iter().find(|percent| percent.is_number());
    match (&user["mirrorPercentage"], older) {
        (Value::Null, Some(percent)) => mirror["percentage"] = json!({"value": percent}),
        (Value::Null, None) => {}
        (percentage, _) => mirror["percentage"] = percentage.clone(),
    }
    vec![mirror]
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

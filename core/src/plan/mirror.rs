//! `setMirrorRoute`: which requests the canary gets a copy of.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Step, matches};
use crate::field::Field;

/// A managed route whose requests are answered as all others are, and copied to the canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorRoute {
    /// The managed route's name.
    pub name: String,
    /// The alternatives.
    pub any: Vec<MirrorMatch>,
    /// How many of a hundred such requests are copied.
    pub percentage: u32,
}

/// Conditions that must hold together; without one every request will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MirrorMatch {
    /// Of the method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<TextMatch>,
    /// Of the path without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<TextMatch>,
    /// Of headers by their lower-case names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, TextMatch>,
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextMatch {
    /// Equal to this.
    Exact(String),
    /// Starts with this.
    Prefix(String),
    /// Matched whole by this (RE2).
    Regex(String),
}

/// Reads a step that sets or, without a match, removes a mirror route.
pub(super) fn read(route: &Field<'_>) -> Option<Step> {
    const ALL: u32 = 100;
    route.only(&["name", "match", "percentage"]);
    let name = route.required("name", "a managed route's name")?.name()?;
    let name = name.to_string();
    let percentage = match route.optional("percentage") {
        Some(field) => u32::try_from(field.integer(0, i64::from(ALL))?).ok()?,
        None => ALL,
    };
    let Some(list) = route.optional("match") else {
        return Some(Step::RemoveMirrorRoute(name));
    };
    let entries = list.list();
    if entries.is_empty() {
        // As with header routes; what is no list has been reported.
        return list
            .value()
            .is_array()
            .then_some(Step::RemoveMirrorRoute(name));
    }
    let any: Vec<_> = entries.iter().map(mirror_match).collect();
    Some(Step::AddMirrorRoute(MirrorRoute {
        name,
        any: any.into_iter().collect::<Option<_>>()?,
        percentage,
    }))
}

fn mirror_match(entry: &Field<'_>) -> Option<MirrorMatch> {
    entry.only(&["method", "path", "headers"]);
    let part = |name: &str| match entry.optional(name) {
        Some(field) => text_match(&field).map(Some),
        None => Some(None),
    };
    let (method, path) = (part("method"), part("path"));
    let mut headers = BTreeMap::new();
    if let Some(field) = entry.optional("headers") {
        for name in field.object()?.keys() {
            let value = field.required(name, "exact, prefix or regex")?;
            let name = matches::header_name_of(name);
            if name.is_none() {
                value.refuse("is no header, expected a header's name");
            }
            headers.insert(name?, text_match(&value)?);
        }
    }
    Some(MirrorMatch {
        method: method?,
        path: path?,
        headers,
    })
}

fn text_match(field: &Field<'_>) -> Option<TextMatch> {
    const KINDS: [&str; 3] = ["exact", "prefix", "regex"];
    field.only(&KINDS);
    let mut found = KINDS
        .iter()
        .filter_map(|kind| Some((*kind, field.optional(kind)?)));
    let (Some((kind, text)), None) = (found.next(), found.next()) else {
        field.expected(format_args!("exactly one of {}", KINDS.join(", ")));
        return None;
    };
    let text = text.name()?.to_string();
    Some(match kind {
        "exact" => TextMatch::Exact(text),
        "prefix" => TextMatch::Prefix(text),
        _ => TextMatch::Regex(text),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Plan;
    use super::*;

    fn parse(routing: Value, step: Value) -> Result<Plan, String> {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "strategy": {"canary": {
                    "stableService": "shop", "canaryService": "shop-canary",
                    "trafficRouting": routing, "steps": [{"setMirrorRoute": step}],
                }},
            },
        });
        Plan::parse(&document, "default").map_err(|errors| errors.to_string())
    }

    fn istio() -> Value {
        json!({"istio": {"virtualService": {"name": "shop"}}, "managedRoutes": [{"name": "copy"}]})
    }

    #[test]
    fn conditions_of_an_entry_hold_together_and_entries_are_alternatives() {
        let step = json!({"name": "copy", "percentage": 35, "match": [
            {"method": {"exact": "GET"}, "path": {"prefix": "/api"},
             "headers": {"X-Agent": {"regex": "curl.*"}}},
            {},
        ]});
        let plan = parse(istio(), step).unwrap();
        let Step::AddMirrorRoute(route) = &plan.steps[0] else {
            panic!("{:?}", plan.steps)
        };
        assert_eq!((route.name.as_str(), route.percentage), ("copy", 35));
        let agent = TextMatch::Regex("curl.*".into());
        let first = MirrorMatch {
            method: Some(TextMatch::Exact("GET".into())),
            path: Some(TextMatch::Prefix("/api".into())),
            headers: BTreeMap::from([("x-agent".to_string(), agent)]),
        };
        assert_eq!(route.any, [first, MirrorMatch::default()]);
        assert_eq!(plan.steps[0].to_string(), "setMirrorRoute: copy");
    }

    #[test]
    fn without_a_match_the_route_is_removed() {
        let plan = parse(istio(), json!({"name": "copy"})).unwrap();
        assert_eq!(plan.steps, [Step::RemoveMirrorRoute("copy".into())]);
    }

    #[test]
    fn the_filter_leaves_copies_to_routes_of_the_controllers_own() {
        let step = json!({"name": "copy", "match": [{"path": {"prefix": "/"}}]});
        let plan = parse(json!({"plugins": {"serin/wasm": {}}}), step).unwrap();
        assert!(matches!(&plan.steps[0], Step::AddMirrorRoute(route) if route.name == "copy"));
    }

    #[test]
    fn a_virtual_service_of_the_users_takes_no_copies() {
        let wasm = json!({"plugins": {"serin/wasm": {"virtualService": {"name": "shop"}}}});
        let step = json!({"name": "copy", "match": [{"path": {"prefix": "/"}}]});
        assert_eq!(
            parse(wasm, step).unwrap_err(),
            "spec.strategy.canary: has a step setMirrorRoute \"copy\", and serin/wasm names a \
             VirtualService, which is never written, expected no setMirrorRoute, or no \
             virtualService (the controller then has one of its own)"
        );
    }

    #[test]
    fn all_is_copied_where_no_percentage_says_less() {
        let step = json!({"name": "copy", "match": [{"path": {"prefix": "/"}}]});
        let plan = parse(istio(), step).unwrap();
        assert!(
            matches!(&plan.steps[0], Step::AddMirrorRoute(route) if route.percentage == 100),
            "{:?}",
            plan.steps
        );
    }

    #[test]
    fn what_is_wrong_is_refused_by_its_field() {
        for (routing, step, told) in [
            (
                Value::Null,
                json!({"name": "copy"}),
                ": needs trafficRouting, expected a router in spec.strategy.canary",
            ),
            (
                istio(),
                json!({"name": "copy", "percentage": 101}),
                ".percentage: is 101, expected a whole number from 0 to 100",
            ),
            (
                istio(),
                json!({"name": "copy", "match": [{"path": {"exact": "/", "regex": "/"}}]}),
                ".match[0].path: is {\"exact\":\"/\",\"regex\":\"/\"}, expected exactly one of exact, \
                 prefix, regex",
            ),
            (
                istio(),
                json!({"name": "copy", "match": [{"headers": {"a b": {"exact": "c"}}}]}),
                ".match[0].headers.a b: is no header, expected a header's name",
            ),
        ] {
            let refused = parse(routing, step).unwrap_err();
            let at = "spec.strategy.canary.steps[0].setMirrorRoute";
            assert_eq!(refused, format!("{at}{told}"));
        }
    }

    #[test]
    fn a_copy_needs_a_cluster() {
        let plan = parse(istio(), json!({"name": "copy"})).unwrap();
        assert_eq!(
            plan.without_cluster().unwrap_err().to_string(),
            "spec.strategy.canary.steps[0].setMirrorRoute: needs a cluster, expected it to be absent"
        );
    }
}

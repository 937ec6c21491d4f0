//! The step list.

use super::matches::{self, Matcher};
use super::{CanaryScale, Pause, Step, analysis, mirror};
use crate::field::Field;
use crate::wire::HeaderRoute;

/// What a step may be now; the rest of the API is in [`LATER`].
const KINDS: [&str; 6] = [
    "setWeight",
    "pause",
    "analysis",
    "setHeaderRoute",
    "setMirrorRoute",
    "setCanaryScale",
];

/// Steps of the API that are not acted on yet.
const LATER: [&str; 2] = ["experiment", "plugin"];

const REPLICAS_MAX: i64 = 10_000;

/// What of the strategy the steps depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// What a weight of everything is called.
    pub(super) max_weight: u32,
    /// Who matches requests; none: no router moves the traffic.
    pub(super) matcher: Option<Matcher>,
}

/// Reads the steps.
pub(super) fn read(steps: &Field<'_>, around: Around) -> Option<Vec<Step>> {
    let read: Vec<Option<Step>> = steps.list().iter().map(|step| one(step, around)).collect();
    read.into_iter().collect()
}

fn one(step: &Field<'_>, around: Around) -> Option<Step> {
    let object = step.object()?;
    // Null is absent, but for a pause that stands alone: `pause:` is one without end.
    let alone = object.len() == 1;
    let given = object.iter().filter(|(_, value)| alone || !value.is_null());
    let mut names = given.map(|(name, _)| name.as_str());
    let (Some(name), None) = (names.next(), names.next()) else {
        step.expected(format_args!("exactly one of {}", KINDS.join(", ")));
        return None;
    };
    if LATER.contains(&name) {
        step.refuse(format_args!(
            "{name} is not supported yet, expected one of {}",
            KINDS.join(", ")
        ));
        return None;
    }
    step.only(&KINDS);
    let field = step.optional(name);
    match (name, field) {
        // A pause without fields may be written `pause: {}` or `pause:`.
        ("pause", None) => Some(Step::Pause(Pause::UntilPromoted)),
        ("pause", Some(pause)) => self::pause(&pause),
        ("setWeight", Some(weight)) => set_weight(&weight, around.max_weight),
        ("analysis", Some(field)) => analysis::read(&field, &[]).map(Step::Analysis),
        ("setHeaderRoute", Some(route)) => {
            routed(&route, around).and_then(|matcher| header_route(&route, matcher))
        }
        ("setMirrorRoute", Some(route)) => {
            routed(&route, around)?;
            mirror::read(&route)
        }
        ("setCanaryScale", Some(scale)) => {
            routed(&scale, around).and_then(|_| canary_scale(&scale))
        }
        (name, None) => {
            step.refuse(format_args!("{name} is null, expected a value"));
            None
        }
        // `only` has reported it.
        (_, Some(_)) => None,
    }
}

/// Refuses a step that only makes sense where a router moves the traffic.
fn routed(step: &Field<'_>, around: Around) -> Option<Matcher> {
    if around.matcher.is_none() {
        step.refuse("needs trafficRouting, expected a router in spec.strategy.canary");
    }
    around.matcher
}

fn set_weight(weight: &Field<'_>, max_weight: u32) -> Option<Step> {
    const ALL_BP: i64 = 10_000;
    let weight = weight.integer(0, i64::from(max_weight))?;
    u16::try_from(weight * ALL_BP / i64::from(max_weight))
        .ok()
        .map(Step::SetWeight)
}

fn pause(pause: &Field<'_>) -> Option<Step> {
    pause.object()?;
    pause.only(&["duration"]);
    match pause.optional("duration") {
        Some(duration) => duration.duration().map(|d| Step::Pause(Pause::For(d))),
        None => Some(Step::Pause(Pause::UntilPromoted)),
    }
}

fn header_route(route: &Field<'_>, matcher: Matcher) -> Option<Step> {
    route.only(&["name", "match"]);
    let name = route
        .required("name", "a managed route's name")?
        .name()?
        .to_string();
    let Some(list) = route.optional("match") else {
        return Some(Step::RemoveHeaderRoute(name));
    };
    let entries = list.list();
    if entries.is_empty() {
        // An empty list in place of an absent one removes the route, as with Argo Rollouts.
        return list
            .value()
            .is_array()
            .then_some(Step::RemoveHeaderRoute(name));
    }
    let any: Vec<_> = entries
        .iter()
        .map(|entry| matches::header_match(entry, matcher))
        .collect();
    let any = any.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Step::AddHeaderRoute(HeaderRoute { name, any }))
}

fn canary_scale(scale: &Field<'_>) -> Option<Step> {
    scale.only(&["replicas", "weight", "matchTrafficWeight"]);
    let replicas = scale
        .optional("replicas")
        .map(|f| f.integer(0, REPLICAS_MAX));
    let weight = scale.optional("weight").map(|f| f.integer(0, 100));
    let follows = scale.optional("matchTrafficWeight").map(|f| f.boolean());
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
    match (replicas, weight, follows) {
        (Some(n), None, None) => Some(Step::SetCanaryScale(CanaryScale::Replicas(number(n)?))),
        (None, Some(p), None) => Some(Step::SetCanaryScale(CanaryScale::Percent(number(p)?))),
        (None, None, Some(Some(true))) => {
            Some(Step::SetCanaryScale(CanaryScale::MatchTrafficWeight))
        }
        (None, None, Some(None)) => None,
        _ => {
            scale.expected("exactly one of replicas, weight or matchTrafficWeight: true");
            None
        }
    }
}

//! `spec.strategy`: the canary's services, router, steps and delays.

use super::matches::Matcher;
use super::rollout::whole;
use super::routing::{self, Routing};
use super::scaling::{self, Scaling};
use super::services::{self, Services};
use super::steps::Around;
use super::{AntiAffinity, Background, Metadata, Router, Step, analysis, pods, steps};
use crate::field::Field;

/// What a strategy says, read.
pub(super) struct Strategy {
    pub(super) services: Services,
    pub(super) router: Router,
    pub(super) managed_routes: Vec<String>,
    pub(super) steps: Vec<Step>,
    pub(super) background: Option<Background>,
    pub(super) max_weight: u32,
    pub(super) scaling: Scaling,
    pub(super) anti_affinity: Option<AntiAffinity>,
    pub(super) canary_metadata: Metadata,
    pub(super) stable_metadata: Metadata,
    pub(super) notices: Vec<String>,
}

const SECONDS_MAX: i64 = 10_000_000;

/// What is acted on beside [`services::FIELDS`] and [`scaling::FIELDS`]; the rest of the API is in [`LATER`].
const CANARY: [&str; 6] = [
    "trafficRouting",
    "steps",
    "analysis",
    "antiAffinity",
    "canaryMetadata",
    "stableMetadata",
];

/// Fields of the API that would change what happens and are not acted on yet.
const LATER: [&str; 2] = ["stepPlugin", "experiment"];

/// Reads `spec.strategy`.
pub(super) fn read(spec: &Field<'_>, has_replicas: bool) -> Option<Strategy> {
    let strategy = spec.required("strategy", "canary: {…}")?;
    strategy.only(&["canary", "blueGreen"]);
    if let Some(other) = strategy.optional("blueGreen") {
        other.refuse("is not supported yet, expected strategy canary");
    }
    let canary = strategy.required("canary", "an object with steps")?;
    let known: Vec<&str> = CANARY
        .into_iter()
        .chain(services::FIELDS)
        .chain(scaling::FIELDS)
        .chain(LATER)
        .collect();
    canary.only(&known);
    for name in LATER {
        if let Some(found) = canary.optional(name) {
            found.refuse("is not supported yet, expected it to be absent");
        }
    }
    let mut notices = Vec::new();
    if !has_replicas {
        notices.push("spec.replicas is 0: nothing serves this Rollout".to_string());
    }
    let routing = routing::read(&canary);
    let has_router = canary.optional("trafficRouting").is_some();
    let services = services::read(&canary, &routing);
    let steps = match canary.optional("steps") {
        Some(field) => steps::read(&field, around(routing.as_ref(), has_router)),
        None => Some(Vec::new()),
    };
    let background = background(&canary);
    let anti_affinity = pods::anti_affinity(&canary);
    let canary_metadata = pods::metadata(&canary, "canaryMetadata");
    let stable_metadata = pods::metadata(&canary, "stableMetadata");
    let scaling = scaling::read(&canary, has_router, &mut notices);
    let (routing, mut steps) = (routing?, steps?);
    let managed_routes = routing::managed(&routing.managed, &steps, &mut notices);
    if let Router::Wasm(wasm) = &routing.router {
        routing::use_richer_matches(wasm, &mut steps, &canary, &mut notices);
        routing::refuse_mirrors(wasm, &steps, &canary);
    }
    Some(Strategy {
        services: services?,
        router: routing.router,
        managed_routes,
        steps,
        background: background?,
        max_weight: routing.max_weight,
        scaling: scaling?,
        anti_affinity: anti_affinity?,
        canary_metadata: canary_metadata?,
        stable_metadata: stable_metadata?,
        notices,
    })
}

/// What the steps depend on; a router that could not be read is one all the same.
fn around(routing: Option<&Routing>, has_router: bool) -> Around {
    Around {
        max_weight: routing.map_or(100, |routing| routing.max_weight),
        matcher: match routing.map(|routing| &routing.router) {
            Some(Router::Wasm(_)) => Some(Matcher::Filter),
            Some(Router::Istio(_)) => Some(Matcher::Envoy),
            Some(Router::ReplicaRatio) => None,
            None => has_router.then_some(Matcher::Envoy),
        },
    }
}

fn background(canary: &Field<'_>) -> Option<Option<Background>> {
    let Some(field) = canary.optional("analysis") else {
        return Some(None);
    };
    let starting_step = whole(&field, "startingStep", 0, SECONDS_MAX)?;
    let analysis = analysis::read(&field, &["startingStep"])?;
    Some(Some(Background {
        analysis,
        starting_step: usize::try_from(starting_step).ok()?,
    }))
}

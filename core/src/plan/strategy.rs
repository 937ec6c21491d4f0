//! `spec.strategy`: the canary's services, router, steps and delays.

use std::time::Duration;

use super::matches::Matcher;
use super::rollout::whole;
use super::routing::{self, Routing};
use super::steps::Around;
use super::{Background, Router, Step, analysis, steps};
use crate::field::Field;

/// What a strategy says, read.
pub(super) struct Strategy {
    pub(super) stable_service: Option<String>,
    pub(super) canary_service: Option<String>,
    pub(super) router: Router,
    pub(super) managed_routes: Vec<String>,
    pub(super) steps: Vec<Step>,
    pub(super) background: Option<Background>,
    pub(super) scale_down_delay: Duration,
    pub(super) abort_scale_down_delay: Duration,
    pub(super) notices: Vec<String>,
}

const SECONDS_MAX: i64 = 10_000_000;

/// What is acted on; the rest of the API is in [`LATER`].
const CANARY: [&str; 9] = [
    "stableService",
    "canaryService",
    "trafficRouting",
    "steps",
    "analysis",
    "scaleDownDelaySeconds",
    "abortScaleDownDelaySeconds",
    "maxSurge",
    "maxUnavailable",
];

/// Fields of the API that would change what happens and are not acted on yet.
const LATER: [&str; 10] = [
    "antiAffinity",
    "canaryMetadata",
    "stableMetadata",
    "scaleDownDelayRevisionLimit",
    "dynamicStableScale",
    "minPodsPerReplicaSet",
    "replicaProgressThreshold",
    "pingPong",
    "stepPlugin",
    "experiment",
];

/// Reads `spec.strategy`.
pub(super) fn read(spec: &Field<'_>, has_replicas: bool) -> Option<Strategy> {
    let strategy = spec.required("strategy", "canary: {…}")?;
    strategy.only(&["canary", "blueGreen"]);
    if let Some(other) = strategy.optional("blueGreen") {
        other.refuse("is not supported yet, expected strategy canary");
    }
    let canary = strategy.required("canary", "an object with steps")?;
    let known: Vec<&str> = CANARY.into_iter().chain(LATER).collect();
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
    let service = |name: &str| match canary.optional(name) {
        Some(field) => field.name().map(|name| Some(name.to_string())),
        None => Some(None),
    };
    let (stable_service, canary_service) = (service("stableService"), service("canaryService"));
    let routing = routing::read(&canary);
    let has_router = canary.optional("trafficRouting").is_some();
    services(&canary, &routing);
    for name in ["maxSurge", "maxUnavailable"] {
        if canary.optional(name).is_some() {
            notices.push(format!(
                "spec.strategy.canary.{name} has no effect: traffic is split by request, not by pods"
            ));
        }
    }
    let around = Around {
        max_weight: routing.as_ref().map_or(100, |routing| routing.max_weight),
        matcher: match routing.as_ref().map(|routing| &routing.router) {
            Some(Router::Wasm(_)) => Some(Matcher::Filter),
            Some(Router::Istio(_)) => Some(Matcher::Envoy),
            Some(Router::ReplicaRatio) => None,
            None => has_router.then_some(Matcher::Envoy),
        },
    };
    let steps = match canary.optional("steps") {
        Some(field) => steps::read(&field, around),
        None => Some(Vec::new()),
    };
    let background = background(&canary);
    let scale_down_delay = delay(&canary, "scaleDownDelaySeconds", has_router);
    let abort_scale_down_delay = delay(&canary, "abortScaleDownDelaySeconds", true);
    let (routing, mut steps) = (routing?, steps?);
    let managed_routes = routing::managed(&routing.managed, &steps, &mut notices);
    if let Router::Wasm(wasm) = &routing.router {
        routing::use_richer_matches(wasm, &mut steps, &canary, &mut notices);
    }
    Some(Strategy {
        stable_service: stable_service?,
        canary_service: canary_service?,
        router: routing.router,
        managed_routes,
        steps,
        background: background?,
        scale_down_delay: scale_down_delay?,
        abort_scale_down_delay: abort_scale_down_delay?,
        notices,
    })
}

/// With a router both Services are needed, but where Istio's subsets tell the versions apart.
fn services(canary: &Field<'_>, routing: &Option<Routing>) {
    let needed = match routing.as_ref().map(|routing| &routing.router) {
        Some(Router::Istio(istio)) => istio.destination_rule.is_none(),
        Some(Router::Wasm(_)) => true,
        _ => false,
    };
    if needed {
        canary.required(
            "stableService",
            "a Service's name (trafficRouting needs it)",
        );
        canary.required(
            "canaryService",
            "a Service's name (trafficRouting needs it)",
        );
    }
    let name = |field: &str| canary.optional(field).and_then(|f| f.value().as_str());
    if let (Some(stable), Some(other)) = (name("stableService"), name("canaryService"))
        && stable == other
    {
        canary.refuse(format_args!(
            "canaryService and stableService are both {stable:?}, expected two Services"
        ));
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

/// A delay in seconds, 30 where it is absent; without a router there is none to set.
fn delay(canary: &Field<'_>, name: &str, allowed: bool) -> Option<Duration> {
    const USUAL: u64 = 30;
    if let Some(field) = canary.optional(name).filter(|_| !allowed) {
        field.refuse("needs trafficRouting, expected it to be absent");
        return None;
    }
    whole(canary, name, USUAL, SECONDS_MAX).map(Duration::from_secs)
}

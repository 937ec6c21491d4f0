//! The Services that a Rollout names: stable's and the canary's, or two that take turns.

use super::Router;
use super::routing::Routing;
use crate::field::Field;

/// `pingPong`: two Services that take turns, so that none ever changes its version while requests
/// arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingPongServices {
    /// `pingService`.
    pub ping: String,
    /// `pongService`.
    pub pong: String,
}

/// The Services, read.
pub(super) struct Services {
    pub(super) stable: Option<String>,
    pub(super) canary: Option<String>,
    pub(super) ping_pong: Option<PingPongServices>,
}

/// The fields of `canary` that [`read`] reads.
pub(super) const FIELDS: [&str; 3] = ["stableService", "canaryService", "pingPong"];

/// Reads the Services of `canary`.
pub(super) fn read(canary: &Field<'_>, routing: &Option<Routing>) -> Option<Services> {
    let router = routing.as_ref().map(|routing| &routing.router);
    let name = |field: &str| match canary.optional(field) {
        Some(field) => field.name().map(|name| Some(name.to_string())),
        None => Some(None),
    };
    let (stable, canary_service) = (name("stableService"), name("canaryService"));
    let ping_pong = match canary.optional("pingPong") {
        Some(field) => ping_pong(&field, router).map(Some),
        None => Some(None),
    };
    if both_needed(canary, router) {
        let why = "a Service's name (trafficRouting needs it)";
        canary.required("stableService", why);
        canary.required("canaryService", why);
    }
    let read = Services {
        stable: stable?,
        canary: canary_service?,
        ping_pong: ping_pong?,
    };
    all_different(canary, &read);
    Some(read)
}

/// With a router both Services are needed, but where Istio's subsets tell the versions apart, or
/// two Services take turns.
fn both_needed(canary: &Field<'_>, router: Option<&Router>) -> bool {
    match router {
        Some(Router::Istio(istio)) => {
            istio.destination_rule.is_none() && canary.optional("pingPong").is_none()
        }
        Some(Router::Wasm(_)) => true,
        Some(Router::ReplicaRatio) | None => false,
    }
}

fn ping_pong(field: &Field<'_>, router: Option<&Router>) -> Option<PingPongServices> {
    field.only(&["pingService", "pongService"]);
    if let Some(Router::Wasm(_)) = router {
        field.refuse(
            "takes turns that the filter does not know, expected it to be absent (the filter needs \
             no Service to change its version)",
        );
    }
    let name = |name: &str| {
        let field = field.required(name, "a Service's name")?;
        field.name().map(str::to_string)
    };
    let (ping, pong) = (name("pingService"), name("pongService"));
    Some(PingPongServices {
        ping: ping?,
        pong: pong?,
    })
}

fn all_different(canary: &Field<'_>, services: &Services) {
    let taking_turns = services.ping_pong.as_ref();
    let named = [
        ("stableService", services.stable.as_ref()),
        ("canaryService", services.canary.as_ref()),
        ("pingService", taking_turns.map(|services| &services.ping)),
        ("pongService", taking_turns.map(|services| &services.pong)),
    ];
    let named: Vec<_> = named
        .into_iter()
        .filter_map(|(field, name)| Some((field, name?)))
        .collect();
    for (i, (field, name)) in named.iter().enumerate() {
        if let Some((first, _)) = named.iter().take(i).find(|(_, other)| other == name) {
            canary.refuse(format_args!(
                "{field} and {first} are both {name:?}, expected two Services"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Plan;
    use super::*;

    fn parse(routing: Value, fields: Value) -> Result<Plan, String> {
        let mut canary = json!({ "trafficRouting": routing });
        for (name, value) in fields.as_object().unwrap() {
            canary[name] = value.clone();
        }
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "strategy": {"canary": canary},
            },
        });
        Plan::parse(&document, "default").map_err(|errors| errors.to_string())
    }

    fn istio() -> Value {
        json!({"istio": {"virtualService": {"name": "shop"}}})
    }

    fn taking_turns() -> Value {
        json!({"pingPong": {"pingService": "ping", "pongService": "pong"}})
    }

    #[test]
    fn two_services_take_turns_in_place_of_stables_and_the_canarys() {
        let plan = parse(istio(), taking_turns()).unwrap();
        let services = PingPongServices {
            ping: "ping".into(),
            pong: "pong".into(),
        };
        assert_eq!(plan.ping_pong, Some(services));
        assert_eq!(plan.stable_service, None);
    }

    #[test]
    fn subsets_need_no_services() {
        let mut routing = istio();
        routing["istio"]["destinationRule"] =
            json!({"name": "shop", "canarySubsetName": "b", "stableSubsetName": "a"});
        assert_eq!(parse(routing, json!({})).unwrap().stable_service, None);
    }

    #[test]
    fn what_is_wrong_is_refused_by_its_field() {
        let wasm = json!({"plugins": {"serin/wasm": {}}});
        let both = json!({"stableService": "ping", "canaryService": "b",
            "pingPong": {"pingService": "ping", "pongService": "b"}});
        for (routing, fields, told) in [
            (
                istio(),
                json!({"stableService": "a"}),
                ".canaryService: is missing, expected a Service's name (trafficRouting needs it)",
            ),
            (
                istio(),
                json!({"stableService": "a", "canaryService": "a"}),
                ": canaryService and stableService are both \"a\", expected two Services",
            ),
            (
                istio(),
                json!({"pingPong": {"pingService": "a", "pongService": "a"}}),
                ": pongService and pingService are both \"a\", expected two Services",
            ),
            (
                istio(),
                both,
                ": pingService and stableService are both \"ping\", expected two Services\n\
                 spec.strategy.canary: pongService and canaryService are both \"b\", expected two \
                 Services",
            ),
            (
                istio(),
                json!({"pingPong": {"pingService": "a"}}),
                ".pingPong.pongService: is missing, expected a Service's name",
            ),
            (
                wasm,
                json!({"stableService": "a", "canaryService": "b",
                    "pingPong": {"pingService": "c", "pongService": "d"}}),
                ".pingPong: takes turns that the filter does not know, expected it to be absent \
                 (the filter needs no Service to change its version)",
            ),
        ] {
            let refused = parse(routing, fields).unwrap_err();
            assert_eq!(refused, format!("spec.strategy.canary{told}"));
        }
    }
}

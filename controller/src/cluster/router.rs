//! The objects that move a Rollout's traffic, and what is to be written to them. What was asked for
//! is known to be so once every one of them shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use serde_json::Value;
use serin_core::plan::{DestinationRuleRef, IstioRouter, Plan, Router, Step, VirtualServiceRef};
use serin_core::revision::HASH_LABEL;
use serin_core::step::{CanaryTraffic, Decision, State, Traffic, routed_services};

use super::istio::{self, Split};
use super::memory::Asked;
use super::routes::{OwnRoutes, look_at_routes};
use super::services;
use super::watched::{Holding, Watched};
use crate::api::Rollout;

/// The objects that a plan names.
pub(super) struct Objects {
    /// By name.
    pub services: BTreeMap<String, Arc<Service>>,
    virtual_services: Vec<(VirtualServiceRef, Value)>,
    rule: Option<(DestinationRuleRef, Value)>,
    own_routes: Option<OwnRoutes>,
    /// Why routes do not follow the filter's header.
    pub unfollowed: Vec<String>,
}

/// A change to one of Istio's objects.
pub(super) struct Write {
    /// Which kind of object.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object as it was seen.
    pub before: Value,
    /// The object as it is to be.
    pub after: Value,
    /// The change, which is refused if the object is not the one that was seen.
    pub patch: json_patch::Patch,
}

/// Istio's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Which subsets a host has.
    DestinationRule,
    /// Who gets which requests.
    VirtualService,
}

/// What a decision asks of the objects.
pub(super) fn asked(plan: &Plan, decision: &Decision) -> Asked {
    let (stable, canary) = routed_services(plan, &decision.state);
    Asked {
        traffic: decision.traffic.clone(),
        services: services::wanted(plan, &decision.services),
        routed: (stable.map(str::to_string), canary.map(str::to_string)),
        subsets: (
            decision.services.stable.clone(),
            decision.services.canary.clone(),
        ),
    }
}

impl Objects {
    /// Looks the objects up.
    ///
    /// # Errors
    /// All that is missing or will not do, each with the field that names it.
    pub(super) fn look(
        watched: &Watched,
        rollout: &Rollout,
        plan: &Plan,
    ) -> Result<Objects, Vec<String>> {
        let mut trouble = Vec::new();
        let mut found = BTreeMap::new();
        for (field, name) in services::named(plan) {
            let service = watched.service(&plan.namespace, name);
            trouble.extend(services::trouble(service.as_deref(), plan, &field, name));
            found.extend(service.map(|service| (name.to_string(), service)));
        }
        let mut own_routes = None;
        let mut unfollowed = Vec::new();
        let (virtual_services, rule) = match &plan.router {
            Router::Istio(router) => look_at_istio(watched, plan, router, &mut trouble),
            Router::ReplicaRatio => (Vec::new(), None),
            Router::Wasm(router) => {
                own_routes = look_at_routes(watched, rollout, plan, router, &mut unfollowed);
                (Vec::new(), None)
            }
        };
        if !trouble.is_empty() {
            return Err(trouble);
        }
        Ok(Objects {
            services: found,
            virtual_services,
            rule,
            own_routes,
            unfollowed,
        })
    }

    /// Whether stable's Service selects what stable is to be.
    pub(super) fn lead_to_stable(&self, plan: &Plan, asked: &Asked) -> bool {
        let service = plan.stable_service.as_ref();
        let service = service.and_then(|name| self.services.get(name));
        let selected = service.and_then(|service| services::selected(service));
        selected == Some(&asked.traffic.stable)
    }

    /// The VirtualService of the controller's own as it is to be, if it is not so.
    pub(super) fn own_routes(&self, plan: &Plan, asked: &Asked) -> Option<Value> {
        let own = self.own_routes.as_ref()?;
        own.wanted(plan, &asked.traffic)
    }

    /// Whether every object shows what was asked for.
    pub(super) fn show(&self, plan: &Plan, asked: &Asked) -> bool {
        let selects = |(name, hash): (&String, &String)| {
            let service = self.services.get(name);
            service.and_then(|service| services::selected(service)) == Some(hash)
        };
        asked.services.iter().all(selects)
            && self.own_routes(plan, asked).is_none()
            && self
                .writes(plan, asked)
                .is_ok_and(|writes| writes.is_empty())
    }

    /// What is to be written to Istio's objects, the subsets first.
    ///
    /// # Errors
    /// Why an object cannot say what is asked for.
    pub(super) fn writes(&self, plan: &Plan, asked: &Asked) -> Result<Vec<Write>, String> {
        let mut writes = Vec::new();
        if let Some((reference, rule)) = &self.rule {
            let (stable, canary) = &asked.subsets;
            let after = istio::destination_rule(rule, reference, &plan.name, stable, canary);
            let after = after.map_err(|refusal| refusal.to_string())?;
            writes.extend(istio::patch(rule, &after).map(|patch| Write {
                kind: Kind::DestinationRule,
                namespace: plan.namespace.clone(),
                name: reference.name.clone(),
                before: rule.clone(),
                after,
                patch,
            }));
        }
        let split = self.split(plan, &asked.traffic, &asked.routed);
        for (reference, object) in &self.virtual_services {
            let after = istio::virtual_service(object, reference, &split);
            let after = after.map_err(|refusal| refusal.to_string())?;
            writes.extend(istio::patch(object, &after).map(|patch| Write {
                kind: Kind::VirtualService,
                namespace: namespace_of(reference, plan).to_string(),
                name: reference.name.clone(),
                before: object.clone(),
                after,
                patch,
            }));
        }
        Ok(writes)
    }

    fn split<'a>(
        &'a self,
        plan: &'a Plan,
        traffic: &'a Traffic,
        routed: &'a (Option<String>, Option<String>),
    ) -> Split<'a> {
        Split {
            stable_service: routed.0.as_deref(),
            canary_service: routed.1.as_deref(),
            rule: self.rule.as_ref().map(|(reference, _)| reference),
            namespace: &plan.namespace,
            managed_routes: &plan.managed_routes,
            max_weight: plan.max_weight,
            traffic,
        }
    }

    /// The traffic as another controller left it; none if nothing was asked of the objects yet.
    pub(super) fn left_behind(&self, plan: &Plan, state: &State) -> Option<Traffic> {
        let (stable_service, canary_service) = routed_services(plan, state);
        let selects = |name: Option<&str>| {
            let service = self.services.get(name?)?;
            services::selected(service).map(str::to_string)
        };
        let subset = |name: fn(&DestinationRuleRef) -> &String| {
            let (reference, rule) = self.rule.as_ref()?;
            let subsets = rule["spec"]["subsets"].as_array()?;
            let wanted = name(reference);
            let subset = subsets.iter().find(|subset| subset["name"] == **wanted)?;
            Some(subset["labels"][HASH_LABEL].as_str()?.to_string())
        };
        let stable = subset(|rule| &rule.stable_subset).or_else(|| selects(stable_service))?;
        let canary = subset(|rule| &rule.canary_subset).or_else(|| selects(canary_service));
        let without = Traffic {
            stable: stable.clone(),
            canary: None,
        };
        let routed = (
            stable_service.map(str::to_string),
            canary_service.map(str::to_string),
        );
        let split = self.split(plan, &without, &routed);
        let weight = |(reference, object): &(VirtualServiceRef, Value)| {
            istio::canary_weight(object, reference, &split)
        };
        let weight_bp = self.virtual_services.iter().filter_map(weight).max();
        let canary = canary.filter(|canary| *canary != stable);
        let canary = canary.map(|revision| CanaryTraffic {
            revision,
            weight_bp: weight_bp.unwrap_or(0),
            routes: Vec::new(),
            mirrors: Vec::new(),
        });
        Some(Traffic { stable, canary })
    }
}

/// The namespace of a VirtualService.
pub(super) fn namespace_of<'a>(reference: &'a VirtualServiceRef, plan: &'a Plan) -> &'a str {
    reference.namespace.as_deref().unwrap_or(&plan.namespace)
}

type Found = (
    Vec<(VirtualServiceRef, Value)>,
    Option<(DestinationRuleRef, Value)>,
);

fn look_at_istio(
    watched: &Watched,
    plan: &Plan,
    router: &IstioRouter,
    trouble: &mut Vec<String>,
) -> Found {
    const FIELD: &str = "spec.strategy.canary.trafficRouting.istio";
    if watched.holds_istio() != Holding::Held {
        trouble.push(format!(
            "{FIELD}: VirtualServices and DestinationRules of networking.istio.io/v1 cannot be read \
             here, expected Istio to be installed"
        ));
        return (Vec::new(), None);
    }
    let mut virtual_services = Vec::new();
    for reference in &router.virtual_services {
        let (name, namespace) = (&reference.name, namespace_of(reference, plan));
        match watched.virtual_service(namespace, name) {
            Some(object) => virtual_services.push((reference.clone(), object)),
            None => trouble.push(format!(
                "{FIELD}.virtualService: VirtualService {name:?} is not found in namespace \
                 {namespace:?}, expected one that routes to the stable and the canary version \
                 (create it)"
            )),
        }
    }
    let mut rule = None;
    if let Some(reference) = &router.destination_rule {
        match watched.destination_rule(&plan.namespace, &reference.name) {
            Some(object) => rule = Some((reference.clone(), object)),
            None => trouble.push(format!(
                "{FIELD}.destinationRule: DestinationRule {:?} is not found in namespace {:?}, \
                 expected one with the subsets {:?} and {:?} (create it)",
                reference.name, plan.namespace, reference.stable_subset, reference.canary_subset
            )),
        }
    }
    let found = (virtual_services, rule);
    if trouble.is_empty() {
        check(plan, &found, trouble);
    }
    found
}

/// Traffic with all managed routes that the steps ever ask for.
fn every_route(plan: &Plan) -> Traffic {
    let mut canary = CanaryTraffic {
        revision: String::new(),
        weight_bp: 0,
        routes: Vec::new(),
        mirrors: Vec::new(),
    };
    for step in &plan.steps {
        match step {
            Step::AddHeaderRoute(route) => canary.routes.push(route.clone()),
            Step::AddMirrorRoute(route) => canary.mirrors.push(route.clone()),
            _ => {}
        }
    }
    Traffic {
        stable: String::new(),
        canary: Some(canary),
    }
}

/// Finds out before anything is done whether the objects can say what will be asked for.
fn check(plan: &Plan, found: &Found, trouble: &mut Vec<String>) {
    let traffic = every_route(plan);
    let (stable, canary) = routed_services(plan, &State::default());
    let split = Split {
        stable_service: stable,
        canary_service: canary,
        rule: found.1.as_ref().map(|(reference, _)| reference),
        namespace: &plan.namespace,
        managed_routes: &plan.managed_routes,
        max_weight: plan.max_weight,
        traffic: &traffic,
    };
    let refused = found.0.iter().filter_map(|(reference, object)| {
        let after = istio::virtual_service(object, reference, &split);
        after.err().map(|refusal| refusal.to_string())
    });
    trouble.extend(refused);
    if let Some((reference, rule)) = &found.1 {
        let after = istio::destination_rule(rule, reference, &plan.name, "", "");
        trouble.extend(after.err().map(|refusal| refusal.to_string()));
    }
}

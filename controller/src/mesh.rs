//! A Rollout's part of what the filter is told: names, salts and rules, the same in every world.

pub mod isolation;
pub mod objects;
pub mod proxies;
pub mod routes;
pub mod shards;
pub mod telemetry;

use serin_core::plan::{Plan, WasmRouter};
use serin_core::step::Traffic;
use serin_core::wire::{Canary, Rule, StickyKey};

pub use serin_core::wire::dns_forms;

use crate::manifest::Key;

/// Names that callers use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The name under which requests are counted.
    pub service: String,
    /// Hosts.
    pub hosts: Vec<String>,
    /// Services of the Rollout's namespace, in all their DNS forms.
    pub services: Vec<String>,
}

impl Names {
    /// Those of a Rollout that the filter routes: its stable Service and its own name, beside the
    /// hosts that it lists.
    pub fn of(plan: &Plan, router: &WasmRouter) -> Names {
        let service = plan.stable_service.as_ref().unwrap_or(&plan.name);
        let mut services = vec![service.clone()];
        if plan.name != *service {
            services.push(plan.name.clone());
        }
        let is_form = |host: &String| {
            let mut services = services.iter();
            services.any(|service| dns_forms(service, &plan.namespace).contains(host))
        };
        let mut hosts: Vec<String> = Vec::new();
        for host in router.hosts.iter().map(|host| host.to_lowercase()) {
            if !is_form(&host) && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Names {
            service: service.clone(),
            hosts,
            services,
        }
    }
}

/// How the requests to a Rollout are split.
pub fn rule(key: &Key, names: Names, sticky: &[StickyKey], traffic: &Traffic) -> Rule {
    let Key { namespace, name } = key;
    let canary = traffic.canary.as_ref().map(|canary| Canary {
        revision: canary.revision.clone(),
        weight_bp: canary.weight_bp,
        salt: format!("{namespace}/{name}/{}", canary.revision),
        sticky: sticky.to_vec(),
        routes: canary.routes.clone(),
    });
    Rule {
        rollout: name.clone(),
        namespace: namespace.clone(),
        service: names.service,
        hosts: names.hosts,
        names: names.services,
        stable: traffic.stable.clone(),
        canary,
    }
}

/// The same for a Rollout that the filter routes, by its own plan.
pub fn rule_of(plan: &Plan, router: &WasmRouter, traffic: &Traffic) -> Rule {
    let key = Key {
        namespace: plan.namespace.clone(),
        name: plan.name.clone(),
    };
    rule(&key, Names::of(plan, router), &router.sticky, traffic)
}

/// What tests take for a Rollout's plan.
#[cfg(test)]
pub(crate) mod fixture {
    use serde_json::{Value, json};
    use serin_core::plan::Plan;

    /// Rollout web/shop with its two Services and this traffic routing.
    pub(crate) fn plan(routing: &Value) -> Plan {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}},
                    "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
                "strategy": {"canary": {
                    "stableService": "shop", "canaryService": "shop-canary",
                    "trafficRouting": routing, "steps": [{"setWeight": 10}],
                }},
            },
        });
        Plan::parse(&rollout, "default").expect("a plan")
    }
}

//! A Rollout's part of what the filter is told: names, salts and rules, the same in every world.

pub mod objects;
pub mod telemetry;

use serin_core::step::Traffic;
use serin_core::wire::{Canary, Rule, StickyKey};

use crate::manifest::Key;

/// Every name that DNS in a cluster has for a Service.
pub fn dns_forms(service: &str, namespace: &str) -> Vec<String> {
    let long = format!("{service}.{namespace}");
    vec![
        service.to_string(),
        long.clone(),
        format!("{long}.svc"),
        format!("{long}.svc.cluster.local"),
    ]
}

/// How the requests to a Rollout are split. `service` is the name under which they are counted,
/// `hosts` are the names that callers use.
pub fn rule(
    key: &Key,
    service: &str,
    hosts: Vec<String>,
    sticky: &[StickyKey],
    traffic: &Traffic,
) -> Rule {
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
        service: service.to_string(),
        hosts,
        stable: traffic.stable.clone(),
        canary,
    }
}

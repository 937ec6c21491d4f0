//! Decisions and ReplicaSets in, what the proxies should do out.

use serin_core::plan::Router;

use super::{Decided, World};
use crate::local::envoy::mesh::{Mesh, Routed, Workload};
use crate::local::sets::SetKey;
use crate::manifest::Rollout;

impl World {
    /// What the proxies should do.
    pub(super) fn mesh(&self) -> Mesh {
        let routed = self.manifests.rollouts.iter().filter_map(|rollout| {
            let decided = self.decided.get(&rollout.key)?;
            Some(routed(rollout, decided))
        });
        let workload = |(key, proxy, endpoints): (&SetKey, _, _)| Workload {
            rollout: key.0.clone(),
            hash: key.1.clone(),
            proxy,
            endpoints,
        };
        Mesh {
            gateway: self.place.gateway,
            routed: routed.collect(),
            sets: self.sets.proxied().map(workload).collect(),
        }
    }
}

fn routed(rollout: &Rollout, decided: &Decided) -> Routed {
    let (hosts, sticky) = match &decided.plan.router {
        Router::Wasm(wasm) => (wasm.hosts.clone(), wasm.sticky.clone()),
        Router::Istio(_) | Router::ReplicaRatio => (Vec::new(), Vec::new()),
    };
    let decision = &decided.decision;
    let service = rollout.stable.as_ref().map(|service| service.name.clone());
    Routed {
        key: rollout.key.clone(),
        stable_service: service,
        canary_service: rollout.canary.as_ref().map(|service| service.name.clone()),
        hosts,
        sticky,
        stable: decision.services.stable.clone(),
        canary: decision.services.canary.clone(),
        traffic: decision.traffic.clone(),
    }
}

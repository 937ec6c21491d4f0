//! What the proxies of local mode should do, before it is written as Envoy's configuration: in
//! come Rollouts with what was decided for them, out go hosts and filter configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serin_core::step::Traffic;
use serin_core::wire::{
    FilterConfig, Pod, Proxy, Role, Rule, StickyKey, VERSION, Variant, istio_workload,
};

use crate::manifest::Key;
use crate::mesh::{self, Names};

/// Istio's gateways are workloads with a name and a namespace; so is this one.
const GATEWAY_WORKLOAD: &str = "serin-gateway";
const GATEWAY_NAMESPACE: &str = "serin-system";

/// The instance name of the gateway's filter.
pub(crate) const GATEWAY: &str = "gateway";

/// Everything the proxies should do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mesh {
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// The Rollouts in the manifests' order.
    pub routed: Vec<Routed>,
    /// Their ReplicaSets.
    pub sets: Vec<Workload>,
}

/// How callers reach one Rollout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Routed {
    /// Its namespace and name.
    pub key: Key,
    /// The Service that callers name, if there is one.
    pub stable_service: Option<String>,
    /// The canary's Service.
    pub canary_service: Option<String>,
    /// More names that callers use.
    pub hosts: Vec<String>,
    /// What identifies a user.
    pub sticky: Vec<StickyKey>,
    /// The ReplicaSet that the stable Service selects; empty: none.
    pub stable: String,
    /// The one that the canary Service selects; empty: none.
    pub canary: String,
    /// Who gets which requests.
    pub traffic: Traffic,
}

/// A ReplicaSet behind its own proxy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Workload {
    /// Its Rollout.
    pub rollout: Key,
    /// Its template hash.
    pub hash: String,
    /// The address of its proxy.
    pub proxy: IpAddr,
    /// Its ready replicas.
    pub endpoints: Vec<SocketAddr>,
}

impl Workload {
    /// Where requests to its pods arrive (the port Istio's sidecars use).
    pub(crate) fn inbound(&self) -> SocketAddr {
        (self.proxy, 15006).into()
    }

    /// Where its pods' own requests leave.
    pub(crate) fn outbound(&self) -> SocketAddr {
        (self.proxy, 15001).into()
    }

    /// The name of its inbound listener, cluster and filter. Kubernetes' names have no underscore,
    /// and no dot would end a stat's tag here.
    pub(crate) fn inbound_name(&self) -> String {
        format!(
            "in_{}-{}_{}",
            self.rollout.name, self.hash, self.rollout.namespace
        )
    }

    /// The name of its outbound listener and filter.
    pub(crate) fn outbound_name(&self) -> String {
        format!(
            "out_{}-{}_{}",
            self.rollout.name, self.hash, self.rollout.namespace
        )
    }
}

/// In which turn names are handed out: what exists in a cluster comes before what is only a
/// convenience here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Service,
    CanaryService,
    Hosts,
    Name,
}

impl Turn {
    const ALL: [Turn; 4] = [Turn::Service, Turn::CanaryService, Turn::Hosts, Turn::Name];
}

impl Routed {
    /// The hosts that it asks for in this turn.
    fn names(&self, turn: Turn) -> Vec<String> {
        let forms = |name: &String| mesh::dns_forms(name, &self.key.namespace).to_vec();
        match turn {
            Turn::Service => self.stable_service.iter().flat_map(forms).collect(),
            Turn::CanaryService => self.canary_service.iter().flat_map(forms).collect(),
            Turn::Hosts => self.hosts.iter().map(|host| host.to_lowercase()).collect(),
            Turn::Name => forms(&self.key.name),
        }
    }

    /// The name under which requests to it are counted.
    fn service(&self) -> &str {
        self.stable_service.as_ref().unwrap_or(&self.key.name)
    }

    /// The name of the cluster behind one of its Services.
    pub(crate) fn cluster(&self, variant: Variant) -> String {
        format!(
            "{}_{}_{}",
            variant.as_str(),
            self.key.name,
            self.key.namespace
        )
    }
}

/// Which hosts lead to which Rollout, as seen from one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// Per Rollout in the mesh's order: the hosts whose requests are split.
    pub split: Vec<Vec<String>>,
    /// The same for hosts that name the canary's Service.
    pub canary: Vec<Vec<String>>,
}

impl Mesh {
    /// The hosts of every Rollout as a caller in `namespace` knows them; none: at the gateway,
    /// where the first Rollout also answers to the gateway's own address.
    ///
    /// A host leads to one Rollout: by [`Turn`], then that of the caller's namespace, then the
    /// first.
    pub(crate) fn hosts(&self, namespace: Option<&str>) -> Hosts {
        let mut taken = BTreeSet::new();
        let count = self.routed.len();
        let mut hosts = Hosts {
            split: vec![Vec::new(); count],
            canary: vec![Vec::new(); count],
        };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|i| Some(self.routed[*i].key.namespace.as_str()) != namespace);
        for turn in Turn::ALL {
            for i in order.iter().copied() {
                let free = self.routed[i].names(turn).into_iter();
                let free = free.filter(|host| taken.insert(host.clone()));
                match turn {
                    Turn::CanaryService => hosts.canary[i].extend(free),
                    Turn::Service | Turn::Hosts | Turn::Name => hosts.split[i].extend(free),
                }
            }
        }
        if namespace.is_none()
            && let Some(first) = hosts.split.first_mut()
        {
            let own = [host_of(self.gateway.ip()), "localhost".to_string()];
            first.extend(own.into_iter().filter(|host| taken.insert(host.clone())));
        }
        hosts
    }

    /// The configuration of every filter by its instance name, without generation.
    pub(crate) fn filters(&self) -> BTreeMap<String, FilterConfig> {
        let gateway = FilterConfig {
            version: VERSION,
            generation: 0,
            name: GATEWAY.to_string(),
            role: Role::Source,
            proxy: Proxy {
                workload: GATEWAY_WORKLOAD.to_string(),
                namespace: GATEWAY_NAMESPACE.to_string(),
                pod: None,
            },
            after_another: false,
            istio_metrics: true,
            rules: self.rules(None),
            pods: Vec::new(),
        };
        let sets = self
            .sets
            .iter()
            .flat_map(|set| [self.inbound(set), self.outbound(set)]);
        std::iter::once(gateway)
            .chain(sets)
            .map(|config| (config.name.clone(), config))
            .collect()
    }

    fn inbound(&self, set: &Workload) -> FilterConfig {
        FilterConfig {
            version: VERSION,
            generation: 0,
            name: set.inbound_name(),
            role: Role::Destination,
            proxy: self.proxy(set),
            after_another: false,
            istio_metrics: true,
            rules: Vec::new(),
            pods: Vec::new(),
        }
    }

    fn outbound(&self, set: &Workload) -> FilterConfig {
        FilterConfig {
            name: set.outbound_name(),
            role: Role::Source,
            rules: self.rules(Some(&set.rollout.namespace)),
            ..self.inbound(set)
        }
    }

    fn proxy(&self, set: &Workload) -> Proxy {
        let routed = self.routed.iter().find(|routed| routed.key == set.rollout);
        let canary = routed.and_then(|routed| routed.traffic.canary.as_ref());
        let variant = match canary {
            Some(canary) if canary.revision == set.hash => Variant::Canary,
            _ => Variant::Stable,
        };
        Proxy {
            workload: istio_workload(&set.rollout.name, variant),
            namespace: set.rollout.namespace.clone(),
            pod: Some(Pod {
                rollout: set.rollout.name.clone(),
                revision: set.hash.clone(),
                variant,
                service: routed
                    .map_or(&*set.rollout.name, Routed::service)
                    .to_string(),
            }),
        }
    }

    fn rules(&self, namespace: Option<&str>) -> Vec<Rule> {
        let hosts = self.hosts(namespace).split;
        self.routed
            .iter()
            .zip(hosts)
            // Without a version that serves there is nothing to name, and without a host nobody
            // to ask.
            .filter(|(routed, hosts)| !routed.traffic.stable.is_empty() && !hosts.is_empty())
            .map(|(routed, hosts)| {
                let Routed {
                    key,
                    sticky,
                    traffic,
                    ..
                } = routed;
                let names = Names {
                    service: routed.service().to_string(),
                    hosts,
                    services: Vec::new(),
                };
                mesh::rule(key, names, sticky, traffic)
            })
            .collect()
    }
}

/// An address as the Host header has it.
fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests;

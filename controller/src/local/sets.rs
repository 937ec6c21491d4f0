//! ReplicaSets of processes: how many replicas each should have comes in, replicas are started and
//! stopped, and what is seen of them goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serin_core::revision;
use serin_core::time::Timestamp;
use tokio::sync::Notify;

use super::block::Addresses;
use super::child::{Launch, Ward};
use super::replica::{Job, Replica};
use crate::clock;
use crate::manifest::Key;
use crate::manifest::pod::{Identity, Pod};
use crate::reconcile::PodsSeen;
use crate::view::PodView;

/// What every replica of this instance has in common.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// The manifests' directory, where processes start.
    pub dir: PathBuf,
    /// Where logs go.
    pub logs: PathBuf,
    /// How the guard knows them.
    pub ward: Ward,
    /// PATH, with serin's own directory first: the demo's application lies beside it.
    pub path: String,
}

/// Who a ReplicaSet belongs to: the Rollout and the template hash.
pub(super) type SetKey = (Key, String);

/// All ReplicaSets.
#[derive(Debug)]
pub(super) struct Sets {
    surroundings: Surroundings,
    addresses: Addresses,
    changed: Arc<Notify>,
    sets: BTreeMap<SetKey, Set>,
    started: u64,
}

/// One ReplicaSet.
#[derive(Debug)]
pub(super) struct Set {
    /// The address of its proxy.
    pub proxy: IpAddr,
    pod: Pod,
    port: u16,
    replicas: Vec<Replica>,
    leaving: Vec<Leaving>,
}

/// A replica that no longer gets new requests.
#[derive(Debug)]
struct Leaving {
    replica: Replica,
    since: Timestamp,
    stopped: bool,
}

/// How long a replica that Envoy no longer knows may finish the requests it has.
const DRAIN: Duration = Duration::from_secs(1);

/// How long Envoy may take to forget a replica; it reads its files within milliseconds unless it
/// is down, and then nobody sends requests either.
const FORGET: Duration = Duration::from_secs(5);

impl Sets {
    /// None yet.
    pub(super) fn new(
        surroundings: Surroundings,
        addresses: Addresses,
        changed: Arc<Notify>,
    ) -> Sets {
        Sets {
            surroundings,
            addresses,
            changed,
            sets: BTreeMap::new(),
            started: 0,
        }
    }

    /// Makes sure that a ReplicaSet which wants replicas has a proxy; it keeps it until its last
    /// replica is gone. The port may change while it runs: it is the Service's, not the template's.
    pub(super) fn reserve(&mut self, key: &SetKey, pod: &Pod, port: u16, desired: u32) {
        if let Some(set) = self.sets.get_mut(key) {
            set.port = port;
            return;
        }
        if desired == 0 {
            return;
        }
        let Some(proxy) = self.addresses.take() else {
            tracing::error!("all loopback addresses are taken");
            return;
        };
        let set = Set {
            proxy,
            pod: pod.clone(),
            port,
            replicas: Vec::new(),
            leaving: Vec::new(),
        };
        self.sets.insert(key.clone(), set);
    }

    /// Gives a ReplicaSet `desired` replicas.
    pub(super) fn scale(&mut self, key: &SetKey, desired: u32) {
        let desired = usize::try_from(desired).unwrap_or(usize::MAX);
        while self.count(key) < desired {
            if !self.start(key) {
                break;
            }
        }
        if let Some(set) = self.sets.get_mut(key) {
            set.shrink(desired);
        }
    }

    /// Takes all replicas from a ReplicaSet that nobody asks for any more.
    pub(super) fn empty(&mut self, key: &SetKey) {
        if let Some(set) = self.sets.get_mut(key) {
            set.shrink(0);
        }
    }

    fn count(&self, key: &SetKey) -> usize {
        self.sets.get(key).map_or(0, |set| set.replicas.len())
    }

    fn start(&mut self, key: &SetKey) -> bool {
        let Some(address) = self.addresses.take() else {
            tracing::error!("all loopback addresses are taken");
            return false;
        };
        self.started += 1;
        let (rollout, hash) = key;
        let unique = json!([clock::now().0, self.started, rollout.name]);
        let suffix: String = revision::hash(&unique).chars().rev().take(5).collect();
        let name = format!("{}-{hash}-{suffix}", rollout.name);
        let Some(set) = self.sets.get_mut(key) else {
            return false;
        };
        let invocation = set.pod.invocation(Identity {
            name: &name,
            namespace: &rollout.namespace,
            ip: &address.to_string(),
        });
        let here = &self.surroundings;
        let proxy = format!("http://{}", SocketAddr::new(set.proxy, 15001));
        // The container's own variables come last and win.
        let mut env = vec![
            ("PATH".to_string(), here.path.clone()),
            ("HTTP_PROXY".to_string(), proxy.clone()),
            ("http_proxy".to_string(), proxy),
            ("HOSTNAME".to_string(), name.clone()),
        ];
        env.extend(invocation.env);
        let dir = set
            .pod
            .working_dir
            .as_ref()
            .map_or_else(|| here.dir.clone(), |dir| here.dir.join(dir));
        let job = Job {
            launch: Launch {
                program: program(&invocation.program, &dir, &env),
                args: invocation.args,
                env,
                dir,
                log: here.logs.join(format!("{name}.log")),
                ward: here.ward.clone(),
            },
            probe: set.pod.probe.clone(),
            grace: set.pod.grace.min(LONGEST_GRACE),
            name,
            address,
        };
        set.replicas
            .push(Replica::start(job, Arc::clone(&self.changed)));
        true
    }

    /// Lets replicas go that Envoy no longer sends requests to; `known` are the addresses that it
    /// still knows, none if it does not answer.
    pub(super) fn release(&mut self, known: Option<&BTreeSet<SocketAddr>>, now: Timestamp) {
        for set in self.sets.values_mut() {
            for leaving in &mut set.leaving {
                let waited = now.since(leaving.since);
                let at = SocketAddr::new(leaving.replica.address, set.port);
                let forgotten = known.is_some_and(|known| !known.contains(&at));
                if !leaving.stopped && (forgotten && waited >= DRAIN || waited >= FORGET) {
                    leaving.replica.stop();
                    leaving.stopped = true;
                }
            }
            let addresses = &mut self.addresses;
            set.leaving.retain(|leaving| {
                let gone = leaving.stopped && leaving.replica.gone();
                if gone {
                    addresses.give_back(leaving.replica.address);
                    tracing::info!(replica = leaving.replica.name, "replica gone");
                }
                !gone
            });
        }
        let addresses = &mut self.addresses;
        self.sets.retain(|_, set| {
            let empty = set.replicas.is_empty() && set.leaving.is_empty();
            if empty {
                addresses.give_back(set.proxy);
            }
            !empty
        });
    }

    /// Whether some replica is on its way out.
    pub(super) fn any_leaving(&self) -> bool {
        self.sets.values().any(|set| !set.leaving.is_empty())
    }

    /// The sets that there are.
    pub(super) fn keys(&self) -> Vec<SetKey> {
        self.sets.keys().cloned().collect()
    }

    /// Every set with its ready replicas.
    pub(super) fn proxied(&self) -> impl Iterator<Item = (&SetKey, IpAddr, Vec<SocketAddr>)> {
        self.sets
            .iter()
            .map(|(key, set)| (key, set.proxy, set.ready()))
    }

    /// What is seen of one set.
    pub(super) fn seen(&self, key: &SetKey, min_ready: Duration, now: Timestamp) -> PodsSeen {
        let Some(set) = self.sets.get(key) else {
            return PodsSeen::default();
        };
        let available = |replica: &&Replica| {
            let since = replica.status().ready_since;
            since.is_some_and(|since| now.since(since) >= min_ready)
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        PodsSeen {
            replicas: count(set.replicas.len()),
            available: count(set.replicas.iter().filter(available).count()),
        }
    }

    /// One set's pods as users see them.
    pub(super) fn pods(&self, key: &SetKey) -> Vec<PodView> {
        let Some(set) = self.sets.get(key) else {
            return Vec::new();
        };
        let view = |replica: &Replica, leaving: bool| {
            let status = replica.status();
            let ready = !leaving && status.ready_since.is_some();
            PodView {
                name: replica.name.clone(),
                status: if leaving {
                    "Terminating".to_string()
                } else {
                    status.text
                },
                ready,
                ready_containers: u32::from(ready),
                containers: 1,
                restarts: status.restarts,
                created: replica.created,
                address: SocketAddr::new(replica.address, set.port).to_string(),
            }
        };
        let leaving = set
            .leaving
            .iter()
            .map(|leaving| view(&leaving.replica, true));
        set.replicas
            .iter()
            .map(|replica| view(replica, false))
            .chain(leaving)
            .collect()
    }

    /// Ends every replica and waits for them.
    pub(super) async fn end(self) {
        let all: Vec<Replica> = self
            .sets
            .into_values()
            .flat_map(|set| {
                let leaving = set.leaving.into_iter().map(|leaving| leaving.replica);
                set.replicas.into_iter().chain(leaving)
            })
            .collect();
        for replica in &all {
            replica.stop();
        }
        for replica in all {
            replica.ended().await;
        }
    }
}

/// Kubernetes' default. A template may ask for more, a person at a terminal does not wait longer.
const LONGEST_GRACE: Duration = Duration::from_secs(30);

impl Set {
    fn ready(&self) -> Vec<SocketAddr> {
        self.replicas
            .iter()
            .filter(|replica| replica.status().ready_since.is_some())
            .map(|replica| SocketAddr::new(replica.address, self.port))
            .collect()
    }

    /// Those that are not ready go first, then the youngest.
    fn shrink(&mut self, desired: usize) {
        while self.replicas.len() > desired {
            let idle = self
                .replicas
                .iter()
                .rposition(|replica| replica.status().ready_since.is_none());
            let at = idle.unwrap_or(self.replicas.len() - 1);
            let replica = self.replicas.remove(at);
            self.leaving.push(Leaving {
                replica,
                since: clock::now(),
                stopped: false,
            });
        }
    }
}

/// A program with a slash is relative to the process' directory; one without is looked up on the
/// PATH that the process itself gets, which is not serin's.
fn program(name: &str, dir: &std::path::Path, env: &[(String, String)]) -> PathBuf {
    if name.contains('/') {
        return dir.join(name);
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH");
    let found = path.and_then(|(_, path)| {
        std::env::split_paths(path)
            .map(|dir| dir.join(name))
            .find(|program| program.is_file())
    });
    found.unwrap_or_else(|| PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::block::Block;

    #[test]
    fn a_set_that_runs_follows_its_services_port() {
        let surroundings = Surroundings {
            dir: PathBuf::new(),
            logs: PathBuf::new(),
            ward: Ward::default(),
            path: String::new(),
        };
        let addresses = Addresses::of(Block(16));
        let mut sets = Sets::new(surroundings, addresses, Arc::new(Notify::new()));
        let template = json!({"spec": {"containers": [{"command": ["shop"]}]}});
        let (pod, _) = Pod::parse(&template).unwrap();
        let name = "shop".to_string();
        let key = Key {
            namespace: "default".to_string(),
            name,
        };
        let set = (key, "abc".to_string());
        sets.reserve(&set, &pod, 8080, 1);

        sets.reserve(&set, &pod, 9090, 1);

        assert_eq!(sets.sets[&set].port, 9090);
    }
}

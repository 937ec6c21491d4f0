//! What proxies are told by the router `serin/wasm`: what passes over Rollouts want comes in, one
//! configuration for the whole mesh goes out, and which proxies run it comes back.
//!
//! A pass says what it wants and asks what is shown; it waits for neither. The configuration is
//! written beside the passes, so that those of one moment are one change.

mod acknowledge;
mod isolation;
mod read;
mod state;
mod write;

use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::reflector::{ObjectRef, Store};
use serin_core::wire::Rule;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};

use super::watched::Changes;
use crate::api::Rollout;
use crate::manifest::Key;
use crate::mesh::objects::Owner;
use crate::mesh::proxies::Proxies;
use state::State;

/// How long it may take until the controller's own objects are read.
const LATE: Duration = Duration::from_secs(10);

/// How often they are looked at although nothing is told.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How the mesh is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose objects the controller's are; they are in Istio's root namespace.
    pub owner: Owner,
    /// Where proxies reach a controller, for the filter's module.
    pub module_url: String,
    /// The Prometheus that scrapes the proxies.
    pub prometheus: Option<String>,
    /// The proxies that the filter is in.
    pub proxies: Proxies,
    /// How long proxies may take to run a configuration before they are told by name.
    pub deadline: Duration,
}

/// Whose Rollouts are looked after, and which of them there are.
#[derive(Clone)]
pub(super) struct Scope {
    /// The namespace; none: all.
    pub namespace: Option<String>,
    pub rollouts: Store<Rollout>,
}

impl Scope {
    /// Whether there is such a Rollout.
    fn has(&self, key: &Key) -> bool {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        self.rollouts.get(&reference).is_some()
    }

    /// Whether a release in flight may stay, whose Rollout has not said anything yet.
    fn stays(&self, key: &Key) -> bool {
        let elsewhere = self.namespace.as_ref();
        elsewhere.is_some_and(|own| *own != key.namespace) || self.has(key)
    }
}

/// The mesh as it is told; clones are the same.
#[derive(Clone)]
pub(super) struct Mesh {
    settings: Arc<Settings>,
    state: Arc<Mutex<State>>,
    /// What Prometheus is asked by.
    http: Arc<OnceLock<reqwest::Client>>,
    /// What keeps the versions from being told apart.
    found: Arc<Mutex<Vec<String>>>,
    /// Something is to be written.
    wanted: Arc<Notify>,
    /// Something is to be acknowledged.
    written: Arc<Notify>,
    /// Takes Rollouts for which something changed.
    changed: UnboundedSender<ObjectRef<Rollout>>,
}

impl Mesh {
    pub(super) fn new(settings: Settings, changed: UnboundedSender<ObjectRef<Rollout>>) -> Mesh {
        Mesh {
            settings: Arc::new(settings),
            state: Arc::default(),
            http: Arc::default(),
            found: Arc::default(),
            wanted: Arc::default(),
            written: Arc::default(),
            changed,
        }
    }

    /// Why no traffic can be moved by the filter at all; none if it can.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        self.settings.prometheus.is_none().then_some(
            "no Prometheus is known that scrapes the proxies, so nobody could tell which weights \
             they run, expected the controller's option --prometheus",
        )
    }

    /// What a Rollout's requests are to be. `ran` says that proxies may run something else of it, as
    /// far as its own status tells.
    pub(super) fn want(&self, key: &Key, rule: Rule, ran: bool) {
        if self.with(|state| state.want(key, rule, ran, Instant::now())) {
            self.wanted.notify_one();
        }
    }

    /// A Rollout is gone, or the filter does not route its requests any more.
    pub(super) fn let_go(&self, key: &Key) {
        if self.with(|state| state.let_go(key)) {
            self.wanted.notify_one();
        }
    }

    /// Whether all proxies are known to run a rule.
    pub(super) fn shown(&self, key: &Key, rule: &Rule, ran: bool) -> bool {
        self.with(|state| state.shown(key, rule, ran))
    }

    /// What keeps proxies from running what a Rollout asked for, or from running it still.
    pub(super) fn behind(&self, key: &Key) -> Option<String> {
        self.with(|state| state.behind(key))
    }

    /// Writes what is wanted and finds out who runs it, for ever. `held` are the controller's own
    /// EnvoyFilters, whose changes come in.
    pub(super) async fn keep(
        &self,
        client: Client,
        held: Store<DynamicObject>,
        changes: Changes<DynamicObject>,
        scope: Scope,
        ready: impl Future<Output = ()>,
    ) {
        let seeing = async {
            let listed = held.wait_until_ready();
            let look = || {
                let objects = held.state();
                let objects = objects
                    .iter()
                    .filter_map(|object| serde_json::to_value(&**object).ok());
                let objects: Vec<_> = objects.collect();
                self.with(|state| state.see_all(&self.settings.owner, &objects));
                self.wanted.notify_one();
                self.written.notify_one();
                self.tell_all(&scope);
            };
            let mut listed = pin!(async {
                // An error says that the watch has ended, and with it the controller.
                let _ = listed.await;
                // Until then it is not known whose releases may stay.
                ready.await;
            });
            let beginning = async {
                if timeout(LATE, &mut listed).await.is_err() {
                    let namespace = &self.settings.owner.namespace;
                    self.with(|state| {
                        state.is_in_trouble(format!(
                            "EnvoyFilters cannot be read in namespace {namespace:?}, expected Istio to \
                             be installed, and a role that allows it (deploy/controller.yaml has one)"
                        ))
                    });
                    self.tell_all(&scope);
                    listed.await;
                }
                self.with(State::begin);
                look();
            };
            let mut changes = changes;
            let heeding = async {
                // What a relist has found is not told.
                while !matches!(timeout(LOOK_AGAIN, changes.next()).await, Ok(None)) {
                    look();
                }
            };
            tokio::join!(beginning, heeding);
        };
        let writing = self.write_for_ever(&client, &scope);
        let acknowledging = self.acknowledge_for_ever();
        let looking = self.look_for_ever(&scope);
        tokio::join!(seeing, writing, acknowledging, looking);
    }

    fn with<T>(&self, use_of: impl FnOnce(&mut State) -> T) -> T {
        // The state is whole after each of its methods.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        use_of(&mut state)
    }

    /// Has all Rollouts looked at that have something in flight.
    fn tell_all(&self, scope: &Scope) {
        let mut keys = self.with(|state| state.keys());
        // One that is not there would be taken to be gone.
        keys.retain(|key| scope.has(key));
        self.tell(keys);
    }

    fn tell(&self, keys: Vec<Key>) {
        for key in keys {
            // Nobody listens only when the controller has ended.
            let _ = self
                .changed
                .send(ObjectRef::new(&key.name).within(&key.namespace));
        }
    }
}

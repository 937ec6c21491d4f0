//! The world of local mode: manifests, memory, processes and Envoy, and the loop that keeps them
//! as decided. Each pass observes, decides, stores and acts, in that order.

mod decide;
mod gone;
mod heed;
mod looks;
mod measure;
mod observe;
mod show;
mod source;
mod tell;
mod traffic;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serin_core::analysis::LocalSecrets;
use serin_core::plan::Plan;
use serin_core::step::Decision;
use tokio::sync::{Notify, mpsc};

use gone::Gone;
use looks::Looks;
use measure::{Asked, Taken};
use observe::Proof;
use source::Source;
use tell::tell_notices;
use trouble::Trouble;

use super::desk::Counter;
use super::envoy::Files;
use super::secrets::SecretFile;
use super::sets::Sets;
use super::store::{Memory, Store};
use super::tool::Tool;
use crate::clock;
use crate::manifest::{self, Key, Manifests, Rollout};
use crate::provider::{Asking, Environment, Tokens};

/// Where everything of this world is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The manifests' directory.
    pub dir: PathBuf,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Envoy's admin address.
    pub admin: SocketAddr,
    /// The local Prometheus.
    pub prometheus: SocketAddr,
    /// Ask the Prometheus that a template names instead of the local one.
    pub keep_prometheus_addresses: bool,
    /// The file with Secrets.
    pub secrets: Option<SecretFile>,
}

impl Place {
    fn local_secrets(&self) -> LocalSecrets {
        match self.secrets {
            Some(_) => LocalSecrets::InFile,
            None => LocalSecrets::Nowhere,
        }
    }
}

/// The world.
pub(super) struct World {
    place: Place,
    store: Store,
    memory: Memory,
    files: Files,
    sets: Sets,
    counter: Counter,
    changed: Arc<Notify>,
    /// For Envoy's admin and Prometheus' readiness.
    client: reqwest::Client,
    /// For measurements, which bring their own patience.
    asking: Asking,
    source: Source,
    gone: Gone,
    trouble: Trouble,
    manifests: Manifests,
    decided: BTreeMap<Key, Decided>,
    proof: Proof,
    measuring: Measuring,
}

/// What the last pass came to for one Rollout.
struct Decided {
    plan: Plan,
    decision: Decision,
}

/// Measurements under way.
struct Measuring {
    results: mpsc::UnboundedReceiver<Taken>,
    tell: mpsc::UnboundedSender<Taken>,
    asked: BTreeSet<Asked>,
    /// Whether Prometheus has answered since it was started.
    ready: bool,
}

/// How often the world is looked at although nothing is known to have changed: manifests are read,
/// and pods become available.
const TICK: Duration = Duration::from_millis(500);
/// How often Envoy is asked while an answer is awaited.
const SOON: Duration = Duration::from_millis(50);

impl World {
    /// A world as an earlier serin left it in memory; nothing is started yet.
    pub(super) fn new(
        place: Place,
        store: Store,
        memory: Memory,
        files: Files,
        sets: Sets,
        counter: Counter,
        changed: Arc<Notify>,
    ) -> anyhow::Result<World> {
        let (tell, results) = mpsc::unbounded_channel();
        let client = crate::http::plain()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        Ok(World {
            asking: Asking {
                http: crate::provider::prometheus::client()?,
                prometheus: Some(format!("http://{}", place.prometheus)),
                instead: !place.keep_prometheus_addresses,
                tokens: Tokens::default(),
                aws: Environment::read(|name| std::env::var(name).ok()),
            },
            place,
            store,
            memory,
            files,
            sets,
            counter,
            changed,
            client,
            source: Source::of(Vec::new(), LocalSecrets::Nowhere, Instant::now()),
            gone: Gone::default(),
            trouble: Trouble::default(),
            manifests: Manifests::default(),
            decided: BTreeMap::new(),
            proof: Proof::default(),
            measuring: Measuring {
                results,
                tell,
                asked: BTreeSet::new(),
                ready: false,
            },
        })
    }

    /// Reads the manifests for the first time.
    ///
    /// # Errors
    /// All that is wrong with them, or that there is no Rollout.
    pub(super) fn load(&mut self) -> anyhow::Result<()> {
        let files = manifest::texts(&self.place.dir)?;
        let secrets = self.place.local_secrets();
        self.manifests = manifest::parse(&files, secrets)?;
        let dir = self.place.dir.display();
        anyhow::ensure!(
            !self.manifests.rollouts.is_empty(),
            "{dir} has no Rollout, expected at least one in *.yaml or *.yml"
        );
        tell_notices(&self.manifests);
        self.source = Source::of(files, secrets, Instant::now());
        Ok(())
    }

    /// Keeps the world as decided until it is dropped.
    pub(super) async fn run(&mut self, envoy: &Tool, prometheus: &Tool) -> anyhow::Result<()> {
        loop {
            self.look(envoy, prometheus).await;
            if self.trouble.may_try(Instant::now()) {
                // What was in the way is kept in `trouble`, told, and tried again.
                let _ = self.pass();
            } else {
                self.show();
            }
            let waits = !self.proof.complete() || self.sets.any_leaving();
            let wait = match self.trouble.why() {
                Some(_) => TICK,
                None => self.wait(if waits { SOON } else { TICK }),
            };
            let changed = Arc::clone(&self.changed);
            tokio::select! {
                () = changed.notified() => {}
                Some(order) = self.counter.orders.recv() => self.heed(order),
                Some(taken) = self.measuring.results.recv() => self.measured(taken),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// The name by which callers know this Rollout, or the first.
    ///
    /// # Errors
    /// If there is no Rollout of this name.
    pub(super) fn host_of(&self, name: Option<&str>) -> anyhow::Result<String> {
        let named = |rollout: &&Rollout| name.is_none_or(|name| rollout.key.name == name);
        let rollout = self
            .manifests
            .rollouts
            .iter()
            .find(named)
            .with_context(|| {
                let known = self
                    .manifests
                    .rollouts
                    .iter()
                    .map(|rollout| rollout.key.name.as_str());
                let known = known.collect::<Vec<_>>().join(", ");
                format!(
                    "rollout {} is unknown, expected one of {known}",
                    name.unwrap_or_default()
                )
            })?;
        let service = rollout.stable.as_ref().map(|service| &service.name);
        Ok(service.unwrap_or(&rollout.key.name).clone())
    }

    /// Ends every replica.
    pub(super) async fn end(self) {
        self.sets.end().await;
    }

    /// One pass: observe, decide, store, act, show.
    ///
    /// # Errors
    /// If the state or Envoy's files cannot be written; nothing is done that was not stored.
    pub(super) fn pass(&mut self) -> anyhow::Result<()> {
        let done = self.attempt();
        match &done {
            Ok(()) => self.trouble.end(),
            Err(error) => self.trouble.meet(error, Instant::now()),
        }
        self.show();
        done
    }

    fn attempt(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        let wanted = self.decide_all(now);
        self.reconcile_runs(now);
        for (set, (pod, port, desired)) in &wanted {
            self.sets.reserve(set, pod, *port, *desired);
        }
        let mesh = self.mesh();
        let numbered = self.files.number(&mesh, self.memory.generation);
        if numbered != self.memory.generation {
            self.memory.generation = numbered;
            self.proof.looks = Looks::default();
            self.proof.awaited = Some(now);
        }
        self.store.save(&self.memory)?;

        self.scale(&wanted);
        let written = self.files.write(&self.mesh());
        written.context("write Envoy's configuration")?;
        let asked =
            |(key, decided): (&Key, &Decided)| (key.clone(), decided.decision.traffic.clone());
        self.proof.ask(self.decided.iter().map(asked).collect());
        self.measure(now);
        Ok(())
    }

    /// Until when nothing can change by time alone.
    fn wait(&self, most: Duration) -> Duration {
        let looks = self
            .decided
            .values()
            .filter_map(|decided| decided.decision.look_again);
        looks
            .chain([most])
            .min()
            .unwrap_or(most)
            .max(Duration::from_millis(5))
    }
}

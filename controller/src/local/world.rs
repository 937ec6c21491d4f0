//! The world of local mode: manifests, memory, processes and Envoy, and the loop that keeps them
//! as decided. Each pass observes, decides, stores and acts, in that order.

mod gone;
mod looks;
mod measure;
mod source;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serin_core::analysis::Template;
use serin_core::plan::{Plan, Router};
use serin_core::step::{Decision, Phase, Traffic};
use serin_core::time::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use gone::Gone;
use looks::Looks;
use measure::{Asked, Taken};
use source::Source;
use trouble::Trouble;

use super::desk::{self, Board, Counter, DeskRefusal, Order};
use super::envoy::mesh::{Mesh, Routed, Workload};
use super::envoy::{self, Files};
use super::sets::{SetKey, Sets};
use super::store::{Memory, Store};
use super::tool::Tool;
use crate::clock;
use crate::manifest::pod::Pod;
use crate::manifest::{self, Key, Manifests, Rollout};
use crate::reconcile::record::Record;
use crate::reconcile::view::{Shown, view};
use crate::reconcile::{Seen, decide};
use crate::runs;
use crate::view::RolloutView;

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
    asking: reqwest::Client,
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

/// What is known of the traffic that Envoy runs.
#[derive(Debug, Default)]
struct Proof {
    /// What was written last.
    asked: BTreeMap<Key, Traffic>,
    /// What every filter was seen to run.
    known: BTreeMap<Key, Traffic>,
    /// Looks in a row that showed every filter's generation.
    looks: Looks,
    /// The start of Envoy that the looks belong to.
    start: u32,
    /// Since when the proof is awaited, until somebody was told that it takes long.
    awaited: Option<Timestamp>,
}

impl Proof {
    /// Envoy takes well under a second, a first start with a cold module a few.
    const LONG: Duration = Duration::from_secs(20);

    fn complete(&self) -> bool {
        self.looks.complete()
    }
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
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        Ok(World {
            place,
            store,
            memory,
            files,
            sets,
            counter,
            changed,
            client,
            asking: reqwest::Client::builder().no_proxy().build()?,
            source: Source::of(Vec::new(), Instant::now()),
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
        self.manifests = manifest::parse(&files)?;
        let dir = self.place.dir.display();
        anyhow::ensure!(
            !self.manifests.rollouts.is_empty(),
            "{dir} has no Rollout, expected at least one in *.yaml or *.yml"
        );
        tell_notices(&self.manifests);
        self.source = Source::of(files, Instant::now());
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
        self.proof.asked = self.decided.iter().map(asked).collect();
        self.measure(now);
        Ok(())
    }

    fn decide_all(&mut self, now: Timestamp) -> BTreeMap<SetKey, (Pod, u16, u32)> {
        let mut wanted = BTreeMap::new();
        let mut decided = BTreeMap::new();
        for rollout in &self.manifests.rollouts {
            let key = &rollout.key;
            let record = self.memory.rollouts.entry(key.to_string());
            let record = record.or_insert_with(|| Record::begin(now));
            record.history_limit = rollout.plan.revision_history;
            let plan = record.effective(&rollout.plan);
            let seen = seen(
                &self.sets,
                record,
                &plan,
                key,
                self.proof.known.get(key),
                now,
            );
            let decision = decide(&plan, record, &seen, now);
            tell(
                key,
                self.decided.get(key).map(|before| &before.decision),
                &decision,
            );
            for revision in &record.revisions {
                if let Some((pod, port)) = pod(rollout, &revision.template) {
                    let set = (key.clone(), revision.hash.clone());
                    wanted.insert(set, (pod, port, revision.desired));
                }
            }
            decided.insert(key.clone(), Decided { plan, decision });
        }
        self.decided = decided;
        self.forget();
        wanted
    }

    /// Forgets the Rollouts that nobody has asked for in a while.
    fn forget(&mut self) {
        let asked: BTreeSet<String> = self.decided.keys().map(ToString::to_string).collect();
        let known = self.memory.rollouts.keys();
        let unasked = known.filter(|name| !asked.contains(*name)).cloned();
        for name in self.gone.forget(unasked.collect(), Instant::now()) {
            tracing::info!(rollout = name, "rollout is gone");
            self.memory.rollouts.remove(&name);
        }
    }

    fn scale(&mut self, wanted: &BTreeMap<SetKey, (Pod, u16, u32)>) {
        for (set, (_, _, desired)) in wanted {
            self.sets.scale(set, *desired);
        }
        for set in self.sets.keys() {
            if !wanted.contains_key(&set) {
                self.sets.empty(&set);
            }
        }
    }

    fn reconcile_runs(&mut self, now: Timestamp) {
        for rollout in &self.manifests.rollouts {
            let Some(decided) = self.decided.get(&rollout.key) else {
                continue;
            };
            let Some(record) = self.memory.rollouts.get_mut(&rollout.key.to_string()) else {
                continue;
            };
            let templates: Vec<Template> = self.manifests.templates_for(&rollout.key.namespace);
            let context = runs::Context {
                templates: &templates,
                rollout: &rollout.document,
                latest: &record.state.current,
                stable: &record.state.stable,
                history: rollout.plan.run_history,
            };
            runs::reconcile(&mut record.runs, &decided.decision.runs, context, now);
        }
    }

    /// What the proxies should do.
    fn mesh(&self) -> Mesh {
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

    /// Looks at what may have changed outside: manifests, Envoy, Prometheus.
    async fn look(&mut self, envoy: &Tool, prometheus: &Tool) {
        self.look_at_manifests();
        let now = clock::now();
        let known = if self.sets.any_leaving() {
            envoy::endpoints(&self.client, self.place.admin).await.ok()
        } else {
            None
        };
        self.sets.release(known.as_ref(), now);
        if self.proof.start != envoy.starts() {
            self.proof.start = envoy.starts();
            self.proof.looks = Looks::default();
        }
        if !self.proof.complete() && self.proof.start > 0 {
            self.look_at_generations().await;
        }
        self.measuring.ready &= prometheus.starts() > 0;
        if !self.measuring.ready && prometheus.starts() > 0 {
            let ready = super::prometheus::ready(&self.client, self.place.prometheus);
            self.measuring.ready = timeout(SOON, ready).await.unwrap_or(false);
        }
    }

    async fn look_at_generations(&mut self) {
        let Ok(shown) = envoy::generations(&self.client, self.place.admin).await else {
            return;
        };
        let verified = self.files.verified(&shown);
        self.proof.looks.take(verified, Instant::now());
        let long = |since: &mut Timestamp| clock::now().since(*since) > Proof::LONG;
        if !self.proof.complete() && self.proof.awaited.take_if(long).is_some() {
            tracing::warn!(
                generation = self.memory.generation,
                "filters do not run the configuration, the release waits (logs/envoy.log in the state directory may say why)"
            );
        }
        if self.proof.complete() {
            self.proof.known = self.proof.asked.clone();
            tracing::debug!(
                generation = self.memory.generation,
                "filters run the configuration"
            );
        }
    }

    fn look_at_manifests(&mut self) {
        let read = manifest::texts(&self.place.dir).map_err(|error| format!("{error:#}"));
        let known: Vec<String> = self.decided.keys().map(ToString::to_string).collect();
        if let Some(manifests) = self.source.look(read, &known, Instant::now()) {
            tell_notices(&manifests);
            self.manifests = manifests;
        }
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

    fn heed(&mut self, order: Order) {
        let Order {
            namespace,
            name,
            verb,
            answer,
        } = order;
        let key = Key { namespace, name };
        let rollout = self
            .manifests
            .rollouts
            .iter()
            .find(|rollout| rollout.key == key);
        let before = self.memory.rollouts.get(&key.to_string()).cloned();
        let record = self.memory.rollouts.get_mut(&key.to_string());
        let mut done = match (rollout, record) {
            (Some(rollout), Some(record)) => record
                .heed(verb, &rollout.plan, clock::now())
                .map_err(DeskRefusal::from),
            _ => Err(DeskRefusal::UnknownRollout {
                asked: key.to_string(),
                known: self
                    .manifests
                    .rollouts
                    .iter()
                    .map(|r| r.key.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        };
        // Stored before it is answered: what was promised survives.
        if done.is_ok()
            && let Err(error) = self.store.save(&self.memory)
        {
            let before = before.map(|before| (key.to_string(), before));
            self.memory.rollouts.extend(before);
            done = Err(DeskRefusal::NotStored(format!("{error:#}")));
        }
        match &done {
            Ok(done) => tracing::info!(rollout = %key, done, "verb"),
            Err(refusal) => tracing::warn!(rollout = %key, %refusal, "verb refused"),
        }
        // Whoever asked may have gone.
        let _ = answer.send(done);
    }

    fn show(&self) {
        let views: Vec<RolloutView> = self
            .manifests
            .rollouts
            .iter()
            .filter_map(|rollout| self.view(rollout))
            .collect();
        let board = Board {
            views,
            files: Some(desk::Files {
                dir: self.place.dir.clone(),
                fingerprint: self.source.fingerprint(),
            }),
        };
        self.counter.views.send_if_modified(|shown| {
            let differs = *shown != board;
            *shown = board;
            differs
        });
    }

    fn view(&self, rollout: &Rollout) -> Option<RolloutView> {
        let key = &rollout.key;
        let Decided { plan, decision } = self.decided.get(key)?;
        let mut notices = plan.notices.clone();
        notices.extend(self.manifests.notices.iter().cloned());
        let trouble = self.trouble.why();
        notices.extend(trouble.map(|why| format!("nothing goes on until this is mended: {why}")));
        let stale = self.source.stale(Instant::now());
        let shown = Shown {
            plan,
            decision,
            record: self.memory.rollouts.get(&key.to_string())?,
            traffic: self.proof.known.get(key),
            notices: &notices,
            gateway: &format!("http://{}", self.place.gateway),
            stale: stale.as_ref(),
        };
        Some(view(shown, |hash| {
            self.sets.pods(&(key.clone(), hash.to_string()))
        }))
    }
}

fn seen(
    sets: &Sets,
    record: &Record,
    plan: &Plan,
    key: &Key,
    traffic: Option<&Traffic>,
    now: Timestamp,
) -> Seen {
    let pods = record.revisions.iter().map(|revision| {
        let set = (key.clone(), revision.hash.clone());
        (revision.hash.clone(), sets.seen(&set, plan.min_ready, now))
    });
    Seen {
        pods: pods.collect(),
        traffic: traffic.cloned(),
    }
}

fn tell_notices(manifests: &Manifests) {
    for notice in &manifests.notices {
        tracing::warn!(notice, "notice");
    }
    for rollout in &manifests.rollouts {
        for notice in &rollout.plan.notices {
            tracing::warn!(rollout = %rollout.key, notice, "notice");
        }
    }
}

/// One line for each change of state.
fn tell(key: &Key, before: Option<&Decision>, now: &Decision) {
    for event in &now.events {
        tracing::info!(rollout = %key, reason = event.reason, message = event.message, "event");
    }
    let same = before.is_some_and(|before| {
        before.phase == now.phase && before.why.to_string() == now.why.to_string()
    });
    if !same {
        let why = &now.why;
        match now.phase {
            Phase::Degraded => tracing::warn!(rollout = %key, phase = ?now.phase, %why, "rollout"),
            _ => tracing::info!(rollout = %key, phase = ?now.phase, %why, "rollout"),
        }
    }
}

/// The pod of an older template too; one that was accepted once is accepted again.
fn pod(rollout: &Rollout, template: &serde_json::Value) -> Option<(Pod, u16)> {
    let (pod, _) = Pod::parse(template).ok()?;
    let service = rollout
        .stable
        .as_ref()
        .and_then(|service| service.target(&pod.ports).ok());
    let first = pod.ports.first().map(|port| port.number);
    let port = service.or(first).unwrap_or(80);
    Some((pod, port))
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

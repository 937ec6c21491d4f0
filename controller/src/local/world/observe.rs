//! What may have changed outside: manifests, Envoy and Prometheus come in, and with them the proof of
//! which traffic the proxies run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serin_core::step::Traffic;
use serin_core::time::Timestamp;
use tokio::time::timeout;

use super::looks::Looks;
use super::tell::tell_notices;
use super::{SOON, World};
use crate::clock;
use crate::local::envoy;
use crate::local::prometheus;
use crate::local::tool::Tool;
use crate::manifest::{self, Key};

/// What is known of the traffic that Envoy runs.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// What was written last.
    asked: BTreeMap<Key, Traffic>,
    /// What every filter was seen to run.
    pub(super) known: BTreeMap<Key, Traffic>,
    /// Of whom something else was written since.
    pub(super) overtaken: BTreeSet<Key>,
    /// Looks in a row that showed every filter's generation.
    pub(super) looks: Looks,
    /// The start of Envoy that the looks belong to.
    start: u32,
    /// Since when the proof is awaited, until somebody was told that it takes long.
    pub(super) awaited: Option<Timestamp>,
}

impl Proof {
    /// Envoy takes well under a second, a first start with a cold module a few.
    const LONG: Duration = Duration::from_secs(20);

    pub(super) fn complete(&self) -> bool {
        self.looks.complete()
    }

    /// Takes in what was written. What changes no filter's configuration is run already.
    pub(super) fn ask(&mut self, asked: BTreeMap<Key, Traffic>) {
        let changed = asked
            .iter()
            .filter(|(key, traffic)| self.asked.get(*key) != Some(*traffic));
        self.overtaken.extend(changed.map(|(key, _)| key.clone()));
        self.asked = asked;
        if self.complete() {
            self.note();
        }
    }

    /// Every filter runs what was written last.
    fn note(&mut self) {
        self.known = self.asked.clone();
        self.overtaken.clear();
    }
}

impl World {
    /// Looks at what may have changed outside: manifests, Envoy, Prometheus.
    pub(super) async fn look(&mut self, envoy: &Tool, metrics: &Tool) {
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
        self.measuring.ready &= metrics.starts() > 0;
        if !self.measuring.ready && metrics.starts() > 0 {
            let ready = prometheus::ready(&self.client, self.place.prometheus);
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
            self.proof.note();
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
}

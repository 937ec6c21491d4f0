//! What every pass has at hand: the client, what is held of the cluster, and notes on each Rollout
//! that only save work or tell something once; a controller that starts again does without them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, Shared};
use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::let_go::Name;
use super::memory::Asked;
use super::mesh::Mesh;
use super::metrics::Metrics;
use super::tell::Told;
use super::watched::Watched;
use crate::manifest::Key;

/// What every pass has at hand.
pub(super) struct Context {
    pub client: Client,
    pub watched: Watched,
    /// What proxies are told.
    pub mesh: Mesh,
    /// Ends once everything is held that a pass looks at.
    pub ready: Shared<BoxFuture<'static, ()>>,
    pub outlets: Outlets,
    pub instance_id: Option<String>,
    pub metrics: Metrics,
    notes: Mutex<HashMap<String, Notes>>,
}

/// What is done beside the passes.
pub(super) struct Outlets {
    /// Takes events that are to be published.
    pub events: UnboundedSender<Told>,
    /// Takes the Rollouts that are gone.
    pub gone: UnboundedSender<Name>,
}

/// Notes on one Rollout.
#[derive(Debug, Default)]
struct Notes {
    /// The resource versions that were written last, by object, and when.
    written: HashMap<String, (u64, Instant)>,
    /// Since when the objects show what was asked for.
    shown: Option<(Asked, Instant)>,
    /// What the log was told last.
    told: Option<String>,
    /// What was noticed of its manifest.
    noticed: Vec<String>,
    /// What keeps its ReplicaSets from being as they should.
    failure: Option<String>,
    /// Whether it was told that proxies are behind.
    behind: bool,
    /// When what could wait is to be written.
    postponed: Option<Instant>,
}

/// How long a write may take to be seen.
const SHOWS: Duration = Duration::from_secs(30);

/// The Rollout itself, among the objects that are written.
pub(super) const ROLLOUT: &str = "Rollout";

/// How long a status waits that only counts pods: most such counts are followed by one that matters.
const CAN_WAIT: Duration = Duration::from_millis(500);

/// How long istiod takes to tell every proxy of what is in the API server: it gathers changes for
/// 100 ms (PILOT_DEBOUNCE_AFTER) and then pushes them.
const SPREADING: Duration = Duration::from_secs(1);

impl Context {
    pub(super) fn new(
        client: Client,
        watched: Watched,
        mesh: Mesh,
        ready: Shared<BoxFuture<'static, ()>>,
        outlets: Outlets,
        instance_id: Option<String>,
        metrics: Metrics,
    ) -> Context {
        Context {
            client,
            watched,
            mesh,
            ready,
            outlets,
            instance_id,
            metrics,
            notes: Mutex::new(HashMap::new()),
        }
    }

    /// How long it takes until every proxy can be taken to run what the objects show; zero if they
    /// do, none while the objects show something else.
    pub(super) fn spreading(&self, uid: &str, asked: &Asked, shows: bool) -> Option<Duration> {
        self.note(uid, |notes| {
            if !shows {
                notes.shown = None;
                return None;
            }
            let now = Instant::now();
            let since = match &notes.shown {
                Some((before, since)) if before == asked => *since,
                _ => {
                    notes.shown = Some((asked.clone(), now));
                    now
                }
            };
            let spreading = SPREADING.saturating_sub(now - since);
            Some(spreading.max(self.watched.outage.blind_for(now)))
        })
    }

    /// Takes note of the resource version that a write of an object came to.
    pub(super) fn wrote(&self, uid: &str, object: &str, version: Option<&str>) {
        if let Some(version) = version.and_then(|version| version.parse().ok()) {
            let written = (version, Instant::now());
            self.note(uid, |notes| {
                notes.written.insert(object.to_string(), written)
            });
        }
    }

    /// Whether what is held of an object is older than what was written of it last. A write that is
    /// long ago does not count: versions start anew where a cluster is restored.
    pub(super) fn is_behind(&self, uid: &str, object: &str, version: Option<&str>) -> bool {
        let version: Option<u64> = version.and_then(|version| version.parse().ok());
        self.note(uid, |notes| match (notes.written.get(object), version) {
            (Some((written, at)), Some(version)) => version < *written && at.elapsed() < SHOWS,
            _ => false,
        })
    }

    /// How long a change of the status is still to wait, if it can; none: it is to be written.
    pub(super) fn postponed(&self, uid: &str, can_wait: bool) -> Option<Duration> {
        self.note(uid, |notes| {
            let now = Instant::now();
            let left = can_wait.then(|| {
                let at = *notes.postponed.get_or_insert(now + CAN_WAIT);
                at.saturating_duration_since(now)
            });
            let left = left.filter(|left| !left.is_zero());
            if left.is_none() {
                notes.postponed = None;
            }
            left
        })
    }

    /// Whether this is news for the log; it is told once.
    pub(super) fn is_news(&self, uid: &str, text: &str) -> bool {
        self.note(uid, |notes| {
            let news = notes.told.as_deref() != Some(text);
            notes.told = Some(text.to_string());
            news
        })
    }

    /// Those of these notices that the last ones did not have.
    pub(super) fn news_of(&self, uid: &str, notices: Vec<String>) -> Vec<String> {
        self.note(uid, |notes| {
            let before = std::mem::replace(&mut notes.noticed, notices);
            let news = notes.noticed.iter();
            news.filter(|notice| !before.contains(notice))
                .cloned()
                .collect()
        })
    }

    /// Takes note of whether proxies are behind; whether that is so since now.
    pub(super) fn is_behind_since_now(&self, uid: &str, behind: bool) -> bool {
        self.note(uid, |notes| {
            !std::mem::replace(&mut notes.behind, behind) && behind
        })
    }

    /// What keeps a Rollout's ReplicaSets from being as they should.
    pub(super) fn failure(&self, uid: &str) -> Option<String> {
        self.note(uid, |notes| notes.failure.clone())
    }

    /// Takes note of it; whether it is another than before.
    pub(super) fn fail(&self, uid: &str, failure: Option<String>) -> bool {
        self.note(uid, |notes| {
            let changed = notes.failure != failure;
            notes.failure = failure;
            changed
        })
    }

    /// Forgets a Rollout that is gone, by its reference.
    pub(super) fn forget_gone(&self, gone: &ObjectRef<DynamicObject>) {
        if let Some(uid) = &gone.extra.uid {
            self.forget(uid);
        }
        let name = (
            gone.namespace.clone().unwrap_or_default(),
            gone.name.clone(),
        );
        self.metrics.forget(&name);
        self.mesh.let_go(&Key {
            namespace: name.0.clone(),
            name: name.1.clone(),
        });
        // Nobody listens only when the controller has ended.
        let _ = self.outlets.gone.send(name);
    }

    /// Forgets a Rollout that is gone.
    pub(super) fn forget(&self, uid: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.remove(uid);
    }

    fn note<T>(&self, uid: &str, use_of: impl FnOnce(&mut Notes) -> T) -> T {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        use_of(notes.entry(uid.to_string()).or_default())
    }
}

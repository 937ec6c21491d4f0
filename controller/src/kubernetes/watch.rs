//! Objects as they change: watches of the API server in, views out. Nothing is asked again and
//! again; a watch that breaks is begun anew, and what came in between is not missed.

use std::fmt::Debug;
use std::future::ready;
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll, StreamExt as _, select_all};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::picture::{Objects, outline, picture};
use super::{Cluster, ClusterError, SETS_AND_PODS};
use crate::api::{AnalysisRun, Rollout};
use crate::view::RolloutView;

/// One change of a release is several writes, one soon after the other: only the last is shown.
const SETTLE: Duration = Duration::from_millis(50);

/// This many failures in a row, with growing waits between them, take half a minute.
const FAILURES_MAX: u32 = 5;

/// Watches of several kinds, as one.
struct Watches {
    changes: SelectAll<BoxStream<'static, Change>>,
    /// How many have not yet told all there is.
    unlisted: usize,
    /// Failures since the last change.
    failures: u32,
}

enum Change {
    /// All there is is known.
    Listed,
    /// Something has changed.
    Changed,
    /// The watch is begun anew.
    Failed(watcher::Error),
}

impl Watches {
    fn of(changes: Vec<BoxStream<'static, Change>>) -> Watches {
        Watches {
            unlisted: changes.len(),
            changes: select_all(changes),
            failures: 0,
        }
    }

    /// Returns when all is known and something has changed since the last call.
    async fn changed(&mut self) -> Result<(), watcher::Error> {
        loop {
            let change = self.changes.next().await;
            if self.take(change)? && self.unlisted == 0 {
                break;
            }
        }
        let settled = Instant::now() + SETTLE;
        while let Ok(change) = timeout_at(settled, self.changes.next()).await {
            self.take(change)?;
        }
        Ok(())
    }

    /// Whether there is something to show. A failure is one if it is the first answer, or lasts.
    fn take(&mut self, change: Option<Change>) -> Result<bool, watcher::Error> {
        match change {
            Some(Change::Listed) => self.unlisted -= 1,
            Some(Change::Changed) => {}
            Some(Change::Failed(error)) => {
                self.failures += 1;
                return match self.unlisted > 0 || self.failures > FAILURES_MAX {
                    true => Err(error),
                    false => Ok(false),
                };
            }
            // Watches have no end.
            None => return Ok(false),
        }
        self.failures = 0;
        Ok(true)
    }
}

/// Keeps the objects of one kind, and tells of their changes.
fn follow<K>(api: Api<K>, config: watcher::Config) -> (Store<K>, BoxStream<'static, Change>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher::watcher(api, config)
        .default_backoff()
        .reflect(writer);
    let mut listed = false;
    let changes = events.filter_map(move |event| {
        ready(match event {
            Ok(Event::Init | Event::InitApply(_)) => None,
            Ok(Event::InitDone) if !listed => {
                listed = true;
                Some(Change::Listed)
            }
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => Some(Change::Changed),
            Err(error) => Some(Change::Failed(error)),
        })
    });
    (store, changes.boxed())
}

/// One Rollout and all that may belong to it.
struct One {
    cluster: Cluster,
    namespace: String,
    name: String,
    rollout: Store<Rollout>,
    sets: Store<ReplicaSet>,
    pods: Store<Pod>,
    runs: Store<AnalysisRun>,
    watches: Watches,
    shown: Option<RolloutView>,
}

/// The Rollouts of one namespace, or of all.
struct Many {
    cluster: Cluster,
    rollouts: Store<Rollout>,
    watches: Watches,
    shown: Option<Vec<RolloutView>>,
}

impl Cluster {
    /// One Rollout, now and whenever it changes. After an error nothing more comes.
    pub fn watch_rollout(
        &self,
        namespace: &str,
        name: &str,
    ) -> BoxStream<'static, Result<RolloutView, ClusterError>> {
        let client = &self.client;
        let by_name = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let by_label = watcher::Config::default().labels(SETS_AND_PODS);
        let all = watcher::Config::default();
        let (rollout, one) = follow(Api::namespaced(client.clone(), namespace), by_name);
        let (sets, two) = follow(Api::namespaced(client.clone(), namespace), by_label.clone());
        let (pods, three) = follow(Api::namespaced(client.clone(), namespace), by_label);
        let (runs, four) = follow(Api::namespaced(client.clone(), namespace), all);
        let watched = One {
            cluster: self.clone(),
            namespace: namespace.to_string(),
            name: name.to_string(),
            rollout,
            sets,
            pods,
            runs,
            watches: Watches::of(vec![one, two, three, four]),
            shown: None,
        };
        futures::stream::unfold(watched, |mut watched| async {
            Some((watched.next().await, watched))
        })
        .boxed()
    }

    /// The Rollouts of a namespace, or of all, without their revisions: now and whenever one
    /// changes. After an error nothing more comes.
    pub fn watch_rollouts(
        &self,
        namespace: Option<&str>,
    ) -> BoxStream<'static, Result<Vec<RolloutView>, ClusterError>> {
        let (rollouts, changes) = follow(self.rollouts_api(namespace), watcher::Config::default());
        let watched = Many {
            cluster: self.clone(),
            rollouts,
            watches: Watches::of(vec![changes]),
            shown: None,
        };
        futures::stream::unfold(watched, |mut watched| async {
            Some((watched.next().await, watched))
        })
        .boxed()
    }
}

impl One {
    async fn next(&mut self) -> Result<RolloutView, ClusterError> {
        loop {
            let changed = self.watches.changed().await;
            changed.map_err(|error| ClusterError::of_watch(&self.cluster.url, error))?;
            let Some(rollout) = self.rollout.state().pop() else {
                return Err(match &self.shown {
                    Some(_) => ClusterError::Deleted(format!("{}/{}", self.namespace, self.name)),
                    None => self.cluster.unknown(&self.namespace, &self.name).await,
                });
            };
            let view = picture(&Objects {
                rollout,
                sets: self.sets.state(),
                pods: self.pods.state(),
                runs: self.runs.state(),
            });
            if self.shown.as_ref() != Some(&view) {
                self.shown = Some(view.clone());
                return Ok(view);
            }
        }
    }
}

impl Many {
    async fn next(&mut self) -> Result<Vec<RolloutView>, ClusterError> {
        loop {
            let changed = self.watches.changed().await;
            changed.map_err(|error| ClusterError::of_watch(&self.cluster.url, error))?;
            let rollouts = self.rollouts.state();
            let mut views: Vec<RolloutView> = rollouts.iter().map(|one| outline(one)).collect();
            super::sort(&mut views);
            if self.shown.as_ref() != Some(&views) {
                self.shown = Some(views.clone());
                return Ok(views);
            }
        }
    }
}

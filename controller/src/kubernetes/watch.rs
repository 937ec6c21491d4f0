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
use super::{Cluster, ClusterError, Extent, SETS_AND_PODS};
use crate::api::{AnalysisRun, Rollout};
use crate::view::RolloutView;

/// One change of a release is several writes, one soon after the other: only the last is shown.
const SETTLE: Duration = Duration::from_millis(50);

/// How long a cluster may be out of reach until a watch is given up: longer than its API server
/// takes to start again.
const OUT_OF_REACH: Duration = Duration::from_secs(30);

/// Failures further apart than this have nothing to do with each other: kube waits for 30 seconds
/// at most, and tries for as long. That it has succeeded in between is not told.
const APART: Duration = Duration::from_secs(90);

/// Watches of several kinds, as one.
struct Watches {
    changes: SelectAll<BoxStream<'static, Change>>,
    /// How many have not yet told all there is.
    unlisted: usize,
    failing: Option<Failing>,
}

/// Failures one after the other.
struct Failing {
    since: Instant,
    last: Instant,
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
            failing: None,
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
                return match self.unlisted > 0 || self.failing_for() > OUT_OF_REACH {
                    true => Err(error),
                    false => Ok(false),
                };
            }
            // Watches have no end.
            None => return Ok(false),
        }
        self.failing = None;
        Ok(true)
    }

    /// How long it has failed, now that it fails.
    fn failing_for(&mut self) -> Duration {
        let now = Instant::now();
        let failing = self.failing.take();
        let failing = failing.filter(|failing| now - failing.last < APART);
        let since = failing.map_or(now, |failing| failing.since);
        self.failing = Some(Failing { since, last: now });
        now - since
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

/// One Rollout.
struct One {
    cluster: Cluster,
    namespace: String,
    name: String,
    rollout: Store<Rollout>,
    revisions: Option<Revisions>,
    watches: Watches,
    shown: Option<RolloutView>,
}

/// All that may belong to it.
struct Revisions {
    sets: Store<ReplicaSet>,
    pods: Store<Pod>,
    runs: Store<AnalysisRun>,
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
        extent: Extent,
    ) -> BoxStream<'static, Result<RolloutView, ClusterError>> {
        let by_name = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let (rollout, changes) = follow(self.rollouts_api(Some(namespace)), by_name);
        let mut all = vec![changes];
        let revisions = (extent == Extent::Whole).then(|| {
            let (revisions, changes) = self.follow_revisions(namespace);
            all.extend(changes);
            revisions
        });
        let watched = One {
            cluster: self.clone(),
            namespace: namespace.to_string(),
            name: name.to_string(),
            rollout,
            revisions,
            watches: Watches::of(all),
            shown: None,
        };
        futures::stream::unfold(watched, |mut watched| async {
            Some((watched.next().await, watched))
        })
        .boxed()
    }

    fn follow_revisions(&self, namespace: &str) -> (Revisions, [BoxStream<'static, Change>; 3]) {
        let client = &self.client;
        let by_label = watcher::Config::default().labels(SETS_AND_PODS);
        let all = watcher::Config::default();
        let (sets, one) = follow(Api::namespaced(client.clone(), namespace), by_label.clone());
        let (pods, two) = follow(Api::namespaced(client.clone(), namespace), by_label);
        let (runs, three) = follow(Api::namespaced(client.clone(), namespace), all);
        (Revisions { sets, pods, runs }, [one, two, three])
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
            let view = match &self.revisions {
                None => outline(&rollout),
                Some(revisions) => picture(&Objects {
                    rollout,
                    sets: revisions.sets.state(),
                    pods: revisions.pods.state(),
                    runs: revisions.runs.state(),
                }),
            };
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

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    /// What comes, this many seconds after the one before.
    fn watches(changes: Vec<(u64, Change)>) -> Watches {
        let after = |(seconds, change)| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            change
        };
        let changes = stream::iter(changes).then(after).chain(stream::pending());
        Watches::of(vec![changes.boxed()])
    }

    fn failed() -> Change {
        Change::Failed(watcher::Error::NoResourceVersion)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_may_be_a_failure() {
        let mut watches = watches(vec![(0, failed())]);
        assert!(watches.changed().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_may_be_out_of_reach_for_a_while() {
        let mut watches = watches(vec![
            (0, Change::Listed),
            (1, failed()),
            (14, failed()),
            (14, failed()),
            (1, Change::Changed),
            (1, failed()),
            (14, failed()),
            // Longer than a series of failures goes on: it was within reach in between.
            (600, failed()),
            (14, failed()),
            (1, Change::Changed),
        ]);
        for _ in 0..3 {
            assert!(watches.changed().await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_stays_out_of_reach_is_given_up() {
        let mut watches = watches(vec![
            (0, Change::Listed),
            (1, failed()),
            (16, failed()),
            (16, failed()),
        ]);
        assert!(watches.changed().await.is_ok());
        assert!(watches.changed().await.is_err());
    }
}

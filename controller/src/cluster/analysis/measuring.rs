//! The loop that measures: runs as they change in, a task for each that has not ended out, so that
//! one that waits for an answer keeps no other waiting.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_all};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::life::live;
use super::{Context, seen, ttl};
use crate::api::AnalysisRun;
use crate::cluster::Scope;
use crate::cluster::backoff::backoff;
use crate::cluster::metrics::{Key, Metrics, key};
use crate::cluster::reconcile::INSTANCE_ID;
use crate::provider::prometheus::client as client_of_prometheus;
use crate::provider::{Asking, Environment, Tokens};

/// Measures the runs of a scope until `stop` ends, or this is dropped: nothing goes on after that.
/// `prometheus` is asked by metrics that name none.
///
/// # Errors
/// If providers cannot be asked from here at all.
pub async fn run(
    client: Client,
    scope: Scope,
    prometheus: Option<String>,
    metrics: Metrics,
    stop: impl Future<Output = ()>,
) -> reqwest::Result<()> {
    let api: Api<AnalysisRun> = match &scope.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let own = match &scope.instance_id {
        Some(id) => format!("{INSTANCE_ID}={id}"),
        None => format!("!{INSTANCE_ID}"),
    };
    let mut runs = Runs {
        context: Arc::new(Context {
            client,
            asking: Asking {
                http: client_of_prometheus()?,
                prometheus,
                instead: false,
                tokens: Tokens::default(),
                aws: Environment::read(|name| std::env::var(name).ok()),
            },
            metrics,
        }),
        told: HashMap::new(),
        listed: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let config = watcher::Config::default().labels(&own);
    let mut events = pin!(watch_all(api, config).backoff(backoff()));
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            Some(ended) = runs.tasks.join_next() => match ended {
                Ok(uid) => runs.forget(&uid),
                Err(error) => tracing::error!(%error, "a run's task broke down"),
            },
            event = events.next() => match event {
                Some(Ok(event)) => runs.heed(event),
                Some(Err(error)) => tracing::warn!(%error, "watching AnalysisRuns"),
                None => return Ok(()),
            },
        }
    }
}

/// The runs that have a task, by uid. The tasks end when this is dropped.
struct Runs {
    context: Arc<Context>,
    told: HashMap<String, watch::Sender<AnalysisRun>>,
    /// Those of the list that is being read, by uid.
    listed: HashMap<String, Key>,
    tasks: JoinSet<String>,
}

impl Runs {
    fn heed(&mut self, event: Event<AnalysisRun>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(run) => {
                self.listed.insert(run.uid().unwrap_or_default(), key(&run));
                self.is(run);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.told.retain(|uid, _| listed.contains_key(uid));
                let keys: HashSet<_> = listed.into_values().collect();
                self.context.metrics.keep_runs(|run| keys.contains(run));
            }
            Event::Apply(run) => self.is(run),
            // The task learns of it when nobody is left who could tell it anything.
            Event::Delete(run) => {
                self.told.remove(&run.uid().unwrap_or_default());
                let gone = key(&run);
                self.context.metrics.keep_runs(|run| *run != gone);
            }
        }
    }

    /// Tells the run's task of the object, or begins one.
    fn is(&mut self, run: AnalysisRun) {
        let Some(uid) = run.uid() else { return };
        match self.told.get(&uid) {
            Some(task) if !task.is_closed() => drop(task.send_replace(run)),
            _ if needs_care(&run) => {
                let (tell, told) = watch::channel(run);
                self.told.insert(uid.clone(), tell);
                let context = self.context.clone();
                self.tasks.spawn(async move {
                    live(context, told).await;
                    uid
                });
            }
            _ => {}
        }
    }

    /// Forgets a run whose task has ended, unless another has begun.
    fn forget(&mut self, uid: &str) {
        if self.told.get(uid).is_some_and(watch::Sender::is_closed) {
            self.told.remove(uid);
        }
    }
}

/// Whether there is something to do for a run, now or later.
fn needs_care(run: &AnalysisRun) -> bool {
    let going = run.metadata.deletion_timestamp.is_none();
    going && (!seen(run).phase.completed() || ttl::is_limited(run))
}

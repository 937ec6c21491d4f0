//! One run from its begin to its end: what is due is asked, what comes back is judged and written,
//! and nothing is asked before the answer to the last is in the object. So a controller that is
//! killed loses what was under way, and no more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::{Api, ResourceExt as _};
use serin_core::analysis::{self, Draft, ResolveError, RunSpec, RunStatus};
use serin_core::step::RunPhase;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::job::JobRef;
use super::store::{Stored, Written};
use super::{Context, status, ttl};
use crate::api::AnalysisRun;
use crate::clock;
use crate::cluster::metrics::key;

mod jobs;
mod news;

use news::News;

/// A run under way.
struct Life {
    context: Arc<Context>,
    stored: Stored,
    draft: Draft,
    spec: RunSpec,
    status: RunStatus,
    /// Whether nobody needs it any more.
    terminate: bool,
    /// What is waited for, with the metric.
    waiting: JoinSet<(usize, News)>,
    waited_for: HashMap<usize, AbortHandle>,
    /// The Jobs that the status tells of.
    jobs: BTreeSet<JobRef>,
}

/// Measures a run to its end, and deletes it when its time to live is over. `seen` is the object as
/// it changes; it ends when the object is gone.
pub(super) async fn live(context: Arc<Context>, mut seen: watch::Receiver<AnalysisRun>) {
    let known = seen.borrow_and_update().clone();
    let namespace = known.namespace().unwrap_or_default();
    let api = Api::<AnalysisRun>::namespaced(context.client.clone(), &namespace);
    // What is seen may lag behind what this controller itself wrote.
    let Some(stored) = Stored::read(api, &known).await else {
        return;
    };
    let ended = match begin(context, stored).await {
        Begun::Ended(stored) => Some(*stored),
        Begun::Goes(life) => life.measure(&mut seen).await,
    };
    if let Some(stored) = ended {
        ttl::expire(&stored, &mut seen).await;
    }
}

/// How a run is found.
enum Begun {
    /// To be measured.
    Goes(Box<Life>),
    /// At its end, or unreadable, which is its end.
    Ended(Box<Stored>),
}

async fn begin(context: Arc<Context>, mut stored: Stored) -> Begun {
    let read = status::read(&stored.status());
    if read.as_ref().is_ok_and(|status| status.phase.completed()) {
        return Begun::Ended(Box::new(stored));
    }
    let document = serde_json::to_value(&stored.object.spec).unwrap_or_default();
    let draft = Draft::read(&document).map_err(ResolveError::from);
    let spec = draft.and_then(|draft| Ok((draft.spec()?, draft)));
    let (status, why) = match (read, spec) {
        (Ok(status), Ok((spec, draft))) => {
            let terminate = stored.object.spec.terminate == Some(true);
            return Begun::Goes(Box::new(Life {
                context,
                draft,
                spec,
                terminate,
                jobs: BTreeSet::new(),
                status,
                stored,
                waiting: JoinSet::new(),
                waited_for: HashMap::new(),
            }));
        }
        (Ok(status), Err(error)) => (status, error.message()),
        (Err(error), _) => (RunStatus::default(), format!("status: {error}")),
    };
    tracing::warn!(run = stored.object.name_any(), why, "a run cannot be read");
    context.metrics.failed_turn(key(&stored.object));
    let refused = RunStatus {
        metric_results: status.metric_results,
        ..RunStatus::refused(why, clock::now())
    };
    // What somebody else wrote meanwhile is found when the object is seen next.
    stored.write(&refused).await;
    Begun::Ended(Box::new(stored))
}

impl Life {
    /// Goes on until the run has ended, which is in the object then; none if the object is gone.
    async fn measure(mut self, seen: &mut watch::Receiver<AnalysisRun>) -> Option<Stored> {
        self.jobs = self.jobs();
        let key = key(&self.stored.object);
        loop {
            let began = Instant::now();
            let status = std::mem::take(&mut self.status);
            self.status = analysis::assess(&self.spec, status, self.terminate, clock::now());
            match self.stored.write(&self.status).await {
                Written::Done => {}
                Written::Overtaken(theirs) => {
                    self.status = theirs;
                    continue;
                }
                Written::Gone => return None,
            }
            self.delete_forgotten_jobs().await;
            if self.status.phase.completed() {
                self.tell();
                return Some(self.stored);
            }
            if self.end_what_is_of_no_use().await || self.start_jobs().await {
                continue;
            }
            self.follow_jobs();
            self.ask();
            self.context.metrics.turn(key.clone(), began.elapsed());
            if !self.hear(seen).await {
                return None;
            }
        }
    }

    /// Waits until there is something to do; false if the object is gone, or going.
    async fn hear(&mut self, seen: &mut watch::Receiver<AnalysisRun>) -> bool {
        let now = clock::now();
        // What is asked already is due as well: its answer is waited for.
        let due = analysis::due_times(&self.spec, &self.status, now)
            .filter(|(metric, _)| !self.waited_for.contains_key(metric))
            .map(|(_, at)| at.since(now))
            .min();
        tokio::select! {
            changed = seen.changed() => {
                if changed.is_err() {
                    return false;
                }
                let object = seen.borrow_and_update().clone();
                if object.metadata.deletion_timestamp.is_some() {
                    return false;
                }
                self.heed(object);
            }
            Some(ended) = self.waiting.join_next() => self.take(ended),
            () = sleep(due) => {}
        }
        true
    }

    /// Takes in the object as it is seen. The status in it is this controller's own and may be an
    /// older one.
    fn heed(&mut self, object: AnalysisRun) {
        self.terminate |= object.spec.terminate == Some(true);
        if object.status == self.stored.object.status {
            self.stored.object = object;
        }
    }

    /// Takes in what was waited for.
    fn take(&mut self, ended: Result<(usize, News), JoinError>) {
        match ended {
            Ok((metric, news)) => {
                self.waited_for.remove(&metric);
                news.tell(&self.stored.object.name_any(), metric);
                news.record(&self.spec, &mut self.status, metric);
            }
            Err(error) if error.is_panic() => {
                let broken = self.waited_for.iter();
                let mut broken = broken.filter(|(_, task)| task.id() == error.id());
                let Some(metric) = broken.next().map(|(metric, _)| *metric) else {
                    return;
                };
                self.waited_for.remove(&metric);
                let news = News::broken(clock::now());
                news.record(&self.spec, &mut self.status, metric);
            }
            // It was of no use any more.
            Err(_) => {}
        }
    }

    fn tell(&self) {
        let RunStatus { phase, message, .. } = &self.status;
        let namespace = self.stored.object.namespace().unwrap_or_default();
        let run = format!("{namespace}/{}", self.stored.object.name_any());
        match phase {
            RunPhase::Failed | RunPhase::Error => tracing::warn!(run, ?phase, message, "run ended"),
            _ => tracing::info!(run, ?phase, message, "run ended"),
        }
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

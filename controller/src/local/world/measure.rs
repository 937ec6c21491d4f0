//! Measuring for analysis runs: what is due comes in, tasks ask the provider, and results come back
//! into the runs.

use serin_core::analysis::ticking::Before;
use serin_core::analysis::{Measured, Provider, RunStatus, Secrets};
use serin_core::time::Timestamp;

use super::World;
use crate::clock;
use crate::local::secrets::InFile;
use crate::manifest::Key;
use crate::measure::{Question, measure};
use crate::provider::Asking;
use crate::provider::compare::Subject;

/// A measurement that has been taken.
#[derive(Debug)]
pub(super) struct Taken {
    /// What it is for.
    pub(super) asked: Asked,
    /// What came of it, or what an argument lacks.
    pub(super) measured: Result<Measured, String>,
}

/// A metric of a run of a Rollout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    rollout: Key,
    run: String,
    metric: usize,
}

impl World {
    /// Asks for everything that is due and not asked for already. Before the local Prometheus has
    /// answered once nothing is asked: it would be counted as an error of the release's.
    pub(super) fn measure(&mut self, now: Timestamp) {
        let keep = self.place.keep_prometheus_addresses;
        if !self.measuring.ready && !keep {
            return;
        }
        for rollout in &self.manifests.rollouts {
            let Some(record) = self.memory.rollouts.get(&rollout.key.to_string()) else {
                continue;
            };
            for run in &record.runs {
                for (index, metric) in run.due(now) {
                    let asked = Asked {
                        rollout: rollout.key.clone(),
                        run: run.name.clone(),
                        metric: index,
                    };
                    if !self.measuring.asked.insert(asked.clone()) {
                        continue;
                    }
                    let tell = self.measuring.tell.clone();
                    let asking = self.asking.clone();
                    let provider = metric.provider.clone();
                    let subject = Subject {
                        rollout: Some(rollout.key.name.clone()),
                        namespace: rollout.key.namespace.clone(),
                        revision: Some(run.revision.clone()),
                        blind_queries: rollout.plan.blind_queries(),
                    };
                    let others = record.runs.iter();
                    let others = others.filter(|other| run.of_same_release(other));
                    let others: Vec<&RunStatus> = others.map(|other| &other.status).collect();
                    let before = Before::of(&run.status, &others, &metric.name);
                    let draft = run.draft.clone();
                    let keeper = InFile {
                        file: self.place.secrets.clone(),
                        namespace: rollout.key.namespace.clone(),
                    };
                    tokio::spawn(async move {
                        let measured = match draft {
                            Some(draft) => {
                                let question = Question {
                                    draft: &draft,
                                    metric: index,
                                    subject: &subject,
                                    before: Ok(before),
                                };
                                measure(&keeper, &asking, question).await
                            }
                            None => Ok(plainly(&asking, &provider, &subject).await),
                        };
                        // Nobody is there to be told while local mode stops.
                        let _ = tell.send(Taken { asked, measured });
                    });
                }
            }
        }
    }

    /// Takes a measurement into its run; the run may be gone by now.
    pub(super) fn measured(&mut self, taken: Taken) {
        let Taken { asked, measured } = taken;
        self.measuring.asked.remove(&asked);
        let record = self.memory.rollouts.get_mut(&asked.rollout.to_string());
        let run =
            record.and_then(|record| record.runs.iter_mut().find(|run| run.name == asked.run));
        let Some(run) = run else { return };
        let outcome = measured.as_ref().map(|measured| &measured.outcome);
        match outcome {
            Ok(Ok(outcome)) => {
                tracing::debug!(
                    run = run.name,
                    metric = asked.metric,
                    value = outcome.shown,
                    "measured"
                );
            }
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(
                    run = run.name,
                    metric = asked.metric,
                    error,
                    "cannot measure"
                );
            }
        }
        let now = clock::now();
        let before: Vec<String> = run.status.blind().collect();
        match measured {
            Ok(measured) => run.record(asked.metric, measured),
            Err(why) => run.refuse(asked.metric, why, now),
        }
        for notice in run.status.blind().filter(|now| !before.contains(now)) {
            tracing::warn!(run = run.name, notice, "notice");
        }
        // The next decision reads the verdict, so it is not left to the pass after it.
        run.assess(true, now);
    }
}

/// Asks a provider that needs no Secrets.
async fn plainly(asking: &Asking, provider: &Provider, subject: &Subject) -> Measured {
    let started = clock::now();
    let outcome = asking
        .measure(provider, &Secrets::new(), subject, started)
        .await;
    Measured {
        started,
        finished: clock::now(),
        outcome,
    }
}

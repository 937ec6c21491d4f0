//! What comes back of a measurement, and asking for it.

use serin_core::analysis::ticking::Before;
use serin_core::analysis::{self, Ended, Measured, Provider, RunSpec, RunStatus};
use serin_core::time::Timestamp;

use super::Life;
use crate::clock;
use crate::cluster::analysis::earlier::{before, subject};
use crate::cluster::analysis::secrets::InNamespace;
use crate::measure::{Question, measure};

/// What came back.
pub(super) enum News {
    /// A provider answered, or did not.
    Measured(Measured),
    /// What was under way has ended.
    Ended(Ended),
    /// An argument has no value, which ends the run.
    Unresolved(String),
}

impl News {
    /// Of a measurement that broke down, which is a fault of this program.
    pub(super) fn broken(now: Timestamp) -> News {
        News::Measured(Measured {
            started: now,
            finished: now,
            outcome: Err(
                "the measurement broke down (the controller's log says where)".to_string(),
            ),
        })
    }

    pub(super) fn record(self, spec: &RunSpec, status: &mut RunStatus, metric: usize) {
        match self {
            News::Measured(measured) => analysis::record(spec, status, metric, measured),
            News::Ended(ended) => analysis::finish(spec, status, metric, ended),
            News::Unresolved(why) => analysis::refuse(spec, status, metric, why, clock::now()),
        }
    }

    pub(super) fn tell(&self, run: &str, metric: usize) {
        match self {
            News::Measured(Measured {
                outcome: Ok(outcome),
                ..
            }) => tracing::debug!(run, metric, value = outcome.shown, "measured"),
            News::Measured(Measured {
                outcome: Err(error),
                ..
            }) => tracing::warn!(run, metric, error, "cannot measure"),
            News::Ended(Ended { phase, message, .. }) => {
                tracing::debug!(run, metric, ?phase, message, "measured");
            }
            News::Unresolved(error) => tracing::warn!(run, metric, error, "cannot measure"),
        }
    }
}

impl Life {
    /// Asks all that is due and not asked already.
    pub(super) fn ask(&mut self) {
        for metric in analysis::due(&self.spec, &self.status, clock::now()) {
            let by_job = |metric: &analysis::Metric| matches!(metric.provider, Provider::Job(_));
            let known = self.spec.metrics.get(metric);
            let Some(known) = known.filter(|known| !by_job(known)) else {
                continue;
            };
            if self.waited_for.contains_key(&metric) {
                continue;
            }
            let context = self.context.clone();
            let (ticks, name) = (known.provider.ticks(), known.name.clone());
            let (run, status) = (self.stored.object.clone(), self.status.clone());
            let (draft, subject) = (self.draft.clone(), subject(&run));
            let task = self.waiting.spawn(async move {
                let keeper = InNamespace {
                    client: &context.client,
                    namespace: &subject.namespace,
                };
                let before = match ticks {
                    true => before(&context.client, &run, &status, &name).await,
                    false => Ok(Before::default()),
                };
                let question = Question {
                    draft: &draft,
                    metric,
                    subject: &subject,
                    before,
                };
                let measured = measure(&keeper, &context.asking, question).await;
                let news = measured.map_or_else(News::Unresolved, News::Measured);
                (metric, news)
            });
            self.waited_for.insert(metric, task);
        }
    }
}

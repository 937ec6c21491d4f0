//! What comes back of a measurement, and asking for it.

use serin_core::analysis::{self, Ended, Measured, Provider, RunSpec, RunStatus};
use serin_core::time::Timestamp;

use super::Life;
use crate::clock;
use crate::cluster::analysis::measure::{self, Question};

/// What came back.
pub(super) enum News {
    /// A provider answered, or did not.
    Measured(Measured),
    /// What was under way has ended.
    Ended(Ended),
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
            let question = Question {
                run: self.stored.object.clone(),
                status: self.status.clone(),
                draft: self.draft.clone(),
                metric,
                name: known.name.clone(),
            };
            let task = self.waiting.spawn(async move {
                let measured = measure::ask(&context, &question).await;
                (metric, News::Measured(measured))
            });
            self.waited_for.insert(metric, task);
        }
    }
}

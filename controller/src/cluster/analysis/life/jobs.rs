//! Measurements that Jobs take: they are started and recorded at once, followed to their end, and
//! deleted when the run ends before them or forgets them.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use serin_core::analysis::{self, Ended, Measured, Metric, Provider};
use serin_core::step::RunPhase;

use super::Life;
use super::news::News;
use crate::clock;
use crate::cluster::analysis::job::{self, JobRef, Verdict};
use crate::cluster::analysis::secrets::InNamespace;
use crate::measure::{self, Hindered};
use crate::provider::hide::cut_out;

/// A Job under way: its metric, and where it is if the status says it.
type UnderWay = (usize, Option<JobRef>);

impl Life {
    pub(super) fn namespace(&self) -> String {
        self.stored.object.namespace().unwrap_or_default()
    }

    /// The Jobs that the status tells of.
    pub(super) fn jobs(&self) -> BTreeSet<JobRef> {
        let namespace = self.namespace();
        let results = self.status.metric_results.iter();
        let measurements = results.flat_map(|result| &result.measurements);
        let jobs = measurements.filter_map(|one| JobRef::of(&one.metadata, &namespace));
        jobs.collect()
    }

    /// Starts the Jobs that are due; whether there were any. Each is in the object before it is
    /// waited for.
    pub(super) async fn start_jobs(&mut self) -> bool {
        let now = clock::now();
        let mut any = false;
        for metric in analysis::due(&self.spec, &self.status, now) {
            let Some(Metric {
                provider: Provider::Job(_),
                name,
                ..
            }) = self.spec.metrics.get(metric)
            else {
                continue;
            };
            any = true;
            match self.start_job(metric, name).await {
                Ok(job) => {
                    let found_by = job.metadata();
                    analysis::begin(&self.spec, &mut self.status, metric, now, found_by);
                }
                Err(hindered) => {
                    let news = match hindered {
                        Hindered::Unresolved(why) => News::Unresolved(why),
                        Hindered::Unfit(why) => News::Measured(Measured {
                            started: now,
                            finished: clock::now(),
                            outcome: Err(why),
                        }),
                    };
                    news.tell(&self.stored.object.name_any(), metric);
                    news.record(&self.spec, &mut self.status, metric);
                }
            }
        }
        any
    }

    async fn start_job(&self, metric: usize, name: &str) -> Result<JobRef, Hindered> {
        let namespace = self.namespace();
        let keeper = InNamespace {
            client: &self.context.client,
            namespace: &namespace,
        };
        let (provider, secrets) = measure::provider(&keeper, &self.draft, metric).await?;
        let Provider::Job(template) = provider else {
            return Err(Hindered::Unfit("only a Job is started".to_string()));
        };
        let (run, uid) = (&self.stored.object.name_any(), self.stored.object.uid());
        let before = self.status.result(name);
        let of = job::Measurement {
            run,
            namespace: &namespace,
            uid: &uid.unwrap_or_default(),
            metric: name,
            number: before.map_or(0, |result| result.count + result.error) + 1,
        };
        let job = job::object(&of, &template);
        let started = job::start(&self.context.client, &job).await;
        started.map_err(|why| Hindered::Unfit(cut_out(&why, &secrets)))
    }

    /// Waits for the end of each Job under way that is not waited for already.
    pub(super) fn follow_jobs(&mut self) {
        for (metric, job) in self.under_way() {
            if self.waited_for.contains_key(&metric) {
                continue;
            }
            let client = self.context.client.clone();
            let task = self.waiting.spawn(async move {
                let verdict = match job {
                    Some(job) => job::follow(&client, &job).await,
                    None => Verdict {
                        phase: RunPhase::Error,
                        message: "the measurement does not say which Job takes it".to_string(),
                    },
                };
                (metric, News::Ended(ended(verdict)))
            });
            self.waited_for.insert(metric, task);
        }
    }

    /// Ends the Jobs of a run that is to end; whether there were any.
    pub(super) async fn end_what_is_of_no_use(&mut self) -> bool {
        if !self.terminate && !analysis::no_use(&self.spec, &self.status) {
            return false;
        }
        let under_way = self.under_way();
        for (metric, job) in &under_way {
            if let Some(task) = self.waited_for.remove(metric) {
                task.abort();
            }
            if let Some(job) = job {
                self.delete(job).await;
            }
            let verdict = Verdict {
                phase: RunPhase::Inconclusive,
                message: "Metric Terminated".to_string(),
            };
            let ended = ended(verdict);
            analysis::finish(&self.spec, &mut self.status, *metric, ended);
        }
        !under_way.is_empty()
    }

    /// Deletes the Jobs of measurements that are not remembered any more.
    pub(super) async fn delete_forgotten_jobs(&mut self) {
        let jobs = self.jobs();
        for forgotten in self.jobs.difference(&jobs) {
            self.delete(forgotten).await;
        }
        self.jobs = jobs;
    }

    /// Deletes a Job. One that may not be deleted goes with its run.
    async fn delete(&self, job: &JobRef) {
        if let Err(error) = job::delete(&self.context.client, job).await {
            tracing::warn!(run = self.stored.object.name_any(), error, "a Job stays");
        }
    }

    fn under_way(&self) -> Vec<UnderWay> {
        let namespace = self.namespace();
        let metrics = self.spec.metrics.iter().enumerate();
        let under_way = metrics.filter_map(|(index, metric)| {
            let begun = self.status.result(&metric.name)?.under_way()?;
            if metric.provider.ticks() {
                return None;
            }
            Some((index, JobRef::of(&begun.metadata, &namespace)))
        });
        under_way.collect()
    }
}

fn ended(verdict: Verdict) -> Ended {
    Ended {
        phase: verdict.phase,
        message: verdict.message,
        at: clock::now(),
    }
}

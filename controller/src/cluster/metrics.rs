//! What `/metrics` tells, by the names that Argo Rollouts has for it, and what those lack: the
//! canary's weight, the step and the reason of an abort. Gauges are read off the objects that are
//! held when somebody asks; counts are kept here.

pub(super) mod objects;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use super::watched::Held;
use text::{Histogram, Labels, Metric, metric};

/// An object's namespace and its name.
pub(super) type Key = (String, String);

/// By what is counted for an object.
pub(super) fn key(object: &impl ResourceExt) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// What is counted and told; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    told: Arc<Told>,
}

#[derive(Debug, Default)]
struct Told {
    counts: Mutex<Counts>,
    held: OnceLock<Held>,
}

#[derive(Debug, Default)]
struct Counts {
    /// By kind, verb and status.
    requests: BTreeMap<(String, &'static str, u16), u64>,
    /// By Rollout, then by type and reason.
    events: BTreeMap<Key, BTreeMap<(&'static str, String), u64>>,
    passes: BTreeMap<Key, Histogram>,
    failed_passes: BTreeMap<Key, u64>,
    turns: BTreeMap<Key, Histogram>,
    failed_turns: BTreeMap<Key, u64>,
}

impl Metrics {
    /// Everything as text in the OpenMetrics format.
    ///
    /// # Errors
    /// Never in practice: text is written to memory.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// From now on gauges are read off these objects.
    pub(super) fn hold(&self, held: Held) {
        let _ = self.told.held.set(held);
    }

    /// Counts a request to the API server.
    pub(super) fn request(&self, kind: String, verb: &'static str, status: u16) {
        self.count(|counts| *counts.requests.entry((kind, verb, status)).or_default() += 1);
    }

    /// Counts an event.
    pub(super) fn event(&self, rollout: Key, kind: &'static str, reason: &str) {
        self.count(|counts| {
            let reasons = counts.events.entry(rollout).or_default();
            *reasons.entry((kind, reason.to_string())).or_default() += 1;
        });
    }

    /// Counts a pass over a Rollout.
    pub(super) fn pass(&self, rollout: Key, took: Duration, failed: bool) {
        self.count(|counts| {
            let passes = counts.passes.entry(rollout.clone()).or_default();
            passes.observe(took);
            *counts.failed_passes.entry(rollout).or_default() += u64::from(failed);
        });
    }

    /// Counts a turn of an analysis run's loop.
    pub(super) fn turn(&self, run: Key, took: Duration) {
        self.count(|counts| counts.turns.entry(run).or_default().observe(took));
    }

    /// Counts an analysis run that cannot be measured at all.
    pub(super) fn failed_turn(&self, run: Key) {
        self.count(|counts| *counts.failed_turns.entry(run).or_default() += 1);
    }

    /// Forgets a Rollout that is gone.
    pub(super) fn forget(&self, rollout: &Key) {
        self.count(|counts| {
            counts.events.remove(rollout);
            counts.passes.remove(rollout);
            counts.failed_passes.remove(rollout);
        });
    }

    /// Forgets analysis runs that are gone.
    pub(super) fn keep_runs(&self, is_there: impl Fn(&Key) -> bool) {
        self.count(|counts| {
            counts.turns.retain(|run, _| is_there(run));
            counts.failed_turns.retain(|run, _| is_there(run));
        });
    }

    fn count<T>(&self, in_counts: impl FnOnce(&mut Counts) -> T) -> T {
        let counts = self.told.counts.lock();
        in_counts(&mut counts.unwrap_or_else(PoisonError::into_inner))
    }
}

impl prometheus_client::collector::Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut metrics = vec![version()];
        if let Some(held) = self.told.held.get() {
            metrics.extend(objects::metrics(held));
        }
        metrics.extend(self.count(|counts| counts.metrics()));
        metrics
            .iter()
            .try_for_each(|metric| metric.encode(&mut encoder))
    }
}

impl Counts {
    fn metrics(&self) -> Vec<Metric> {
        let mut events = metric("rollout_events_total", "Events of Rollouts");
        for (rollout, reasons) in &self.events {
            for ((kind, reason), count) in reasons {
                let labels = labels(rollout)
                    .and("type", *kind)
                    .and("reason", reason.as_str());
                events.counts(labels, *count);
            }
        }
        let mut requests = metric(
            "controller_clientset_k8s_request_total",
            "Requests to the API server",
        );
        for ((kind, verb, status), count) in &self.requests {
            let labels = Labels::default().and("kind", kind).and("verb", *verb);
            requests.counts(labels.and("status_code", status.to_string()), *count);
        }
        vec![
            events,
            requests,
            counted(
                metric(
                    "rollout_reconcile_error",
                    "Passes over a Rollout that failed",
                ),
                &self.failed_passes,
            ),
            timed(
                metric(
                    "rollout_reconcile",
                    "Seconds that passes over a Rollout took",
                ),
                &self.passes,
            ),
            counted(
                metric(
                    "analysis_run_reconcile_error",
                    "AnalysisRuns that cannot be measured",
                ),
                &self.failed_turns,
            ),
            timed(
                metric(
                    "analysis_run_reconcile",
                    "Seconds that turns of an AnalysisRun's loop took",
                ),
                &self.turns,
            ),
        ]
    }
}

fn counted(mut metric: Metric, counts: &BTreeMap<Key, u64>) -> Metric {
    for (key, count) in counts {
        metric.counts(labels(key), *count);
    }
    metric
}

fn timed(mut metric: Metric, times: &BTreeMap<Key, Histogram>) -> Metric {
    for (key, histogram) in times {
        metric.times(labels(key), histogram.clone());
    }
    metric
}

fn version() -> Metric {
    let mut metric = metric("argo_rollouts_controller_info", "The controller that runs");
    let version = concat!("serin-", env!("CARGO_PKG_VERSION"));
    metric.gauge(Labels::default().and("version", version), 1.0);
    metric
}

fn labels((namespace, name): &Key) -> Labels {
    Labels::default()
        .and("namespace", namespace.as_str())
        .and("name", name.as_str())
}

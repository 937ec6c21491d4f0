//! How a run stands, as Argo Rollouts writes it into `status`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::step::RunPhase;
use crate::time::Timestamp;

/// How a stored point in time reads: milliseconds. The one place that knows.
pub type Time = Timestamp;

/// The status of an analysis run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunStatus {
    /// How far it is.
    pub phase: RunPhase,
    /// Why, as the user reads it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// The metrics that count, by verdict.
    pub run_summary: RunSummary,
    /// The metrics that are only watched, by verdict; none if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<RunSummary>,
    /// What was measured so far, by metric; a metric not yet measured is absent.
    pub metric_results: Vec<MetricResult>,
}

impl RunStatus {
    /// The status of a run that cannot begin, such as one whose arguments are unknown.
    pub fn refused(message: impl std::fmt::Display, now: Timestamp) -> Self {
        RunStatus {
            phase: RunPhase::Error,
            message: message.to_string(),
            started_at: Some(now),
            completed_at: Some(now),
            ..RunStatus::default()
        }
    }

    /// Ends a run that cannot go on in Error; what was measured stays.
    pub fn refuse(&mut self, message: impl std::fmt::Display, now: Timestamp) {
        if !self.phase.completed() {
            self.phase = RunPhase::Error;
            self.message = message.to_string();
            self.started_at.get_or_insert(now);
            self.completed_at = Some(now);
        }
    }

    /// What was measured of the metric `name`.
    pub fn result(&self, name: &str) -> Option<&MetricResult> {
        self.metric_results
            .iter()
            .find(|result| result.name == name)
    }

    /// Whether a measurement has begun and not ended.
    pub fn under_way(&self) -> bool {
        let mut results = self.metric_results.iter();
        results.any(|result| result.under_way().is_some())
    }

    /// Changes what was measured of the metric `name`; begun if nothing was.
    pub(super) fn update(&mut self, name: &str, change: impl FnOnce(&mut MetricResult)) {
        if let Some(result) = self
            .metric_results
            .iter_mut()
            .find(|result| result.name == name)
        {
            return change(result);
        }
        let mut result = MetricResult {
            name: name.to_string(),
            ..MetricResult::default()
        };
        change(&mut result);
        self.metric_results.push(result);
    }
}

/// How many metrics ended in which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunSummary {
    /// All of them.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u32,
    /// Those that succeeded.
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: u32,
    /// Those that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// Those that could not tell.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: u32,
    /// Those that could not be measured.
    #[serde(skip_serializing_if = "is_zero")]
    pub error: u32,
}

impl RunSummary {
    /// Counts one more verdict; a phase that is none changes nothing.
    pub fn add(&mut self, phase: RunPhase) {
        match phase {
            RunPhase::Successful => self.successful += 1,
            RunPhase::Failed => self.failed += 1,
            RunPhase::Inconclusive => self.inconclusive += 1,
            RunPhase::Error => self.error += 1,
            RunPhase::Pending | RunPhase::Running => {}
        }
    }
}

/// What was measured of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricResult {
    /// The metric.
    pub name: String,
    /// Its verdict.
    pub phase: RunPhase,
    /// The last measurement's message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Measurements that brought a verdict; errors are not among them.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u32,
    /// Good ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: u32,
    /// Bad ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// Those that could not tell.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: u32,
    /// Those that went wrong.
    #[serde(skip_serializing_if = "is_zero")]
    pub error: u32,
    /// Errors in a row up to now.
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_error: u32,
    /// Good ones in a row up to now.
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_success: u32,
    /// Whether it is only watched.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What the provider says of the metric, such as the query as it was sent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The last measurements, oldest first.
    pub measurements: Vec<Measurement>,
}

impl MetricResult {
    /// The measurement that has begun and not ended.
    pub fn under_way(&self) -> Option<&Measurement> {
        let last = self.measurements.last();
        last.filter(|last| !last.phase.completed())
    }
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Measurement {
    /// Its verdict.
    pub phase: RunPhase,
    /// What went wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended; none: it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// When Argo Rollouts would look at it again. Nothing here depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Time>,
    /// What was measured; empty after an error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What the provider says of it, such as warnings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_argo_writes_it() {
        let mut status = RunStatus {
            phase: RunPhase::Running,
            ..RunStatus::default()
        };
        status.started_at = Some(Timestamp(5));
        status.run_summary.count = 1;
        status.update("success-rate", |result| {
            result.consecutive_success = 1;
            result.measurements.push(Measurement {
                phase: RunPhase::Successful,
                value: "[1]".into(),
                ..Measurement::default()
            });
        });
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "phase": "Running", "startedAt": 5, "runSummary": {"count": 1},
                "metricResults": [{
                    "name": "success-rate", "phase": "Pending", "consecutiveSuccess": 1,
                    "measurements": [{
                        "phase": "Successful", "value": "[1]", "startedAt": 0,
                    }],
                }],
            })
        );
        assert_eq!(serde_json::from_value::<RunStatus>(json).unwrap(), status);
    }
}

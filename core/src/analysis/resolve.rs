//! From templates and a Rollout's arguments to the metrics of one run.

use serde::{Deserialize, Serialize};

use super::metric::Metric;
use crate::field::FieldErrors;

/// What a run measures; fixed when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Its metrics, arguments filled in.
    pub metrics: Vec<Metric>,
}

impl RunSpec {
    /// The first metric that goes on until the run is terminated: a run with one cannot be a step.
    pub fn endless(&self) -> Option<&Metric> {
        self.metrics
            .iter()
            .find(|metric| metric.effective_count().is_none())
    }
}

/// Why a run cannot begin; it ends in Error with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A template that is not there.
    #[error("{kind} {name:?} is not there", kind = kind(*.cluster_scope))]
    NoTemplate {
        /// Its name.
        name: String,
        /// Whether it is a ClusterAnalysisTemplate.
        cluster_scope: bool,
    },
    /// Nothing to measure.
    #[error("the templates have no metric, expected at least one")]
    NoMetrics,
    /// Two metrics of one name.
    #[error("metric {0:?} is in two templates, expected a name that no other metric has")]
    MetricTwice(String),
    /// Two templates that disagree about an argument.
    #[error("args.{0} has two different values in the templates, expected one")]
    ArgumentTwice(String),
    /// An argument without a value.
    #[error("args.{0} was not resolved (give it a value in the Rollout's args)")]
    NoValue(String),
    /// An argument whose value cannot be had.
    #[error("args.{name} {why}")]
    NoSource {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// Two rules of one name.
    #[error("{list}: metricName {name:?} is there twice, expected once")]
    RuleTwice {
        /// `dryRun` or `measurementRetention`.
        list: &'static str,
        /// The rule.
        name: String,
    },
    /// A rule for nothing.
    #[error("{list}[{index}]: Rule didn't match any metric name(s)")]
    RuleForNothing {
        /// `dryRun` or `measurementRetention`.
        list: &'static str,
        /// Its place.
        index: usize,
    },
    /// A metric whose text cannot be filled in.
    #[error("metric {metric:?}: {why}")]
    Unfilled {
        /// The metric.
        metric: String,
        /// Why.
        why: String,
    },
    /// A metric that cannot be measured outside a cluster.
    #[error("metric {metric:?}: {why}")]
    NotLocal {
        /// The metric.
        metric: String,
        /// Why.
        why: String,
    },
    /// Fields that are wrong once arguments are filled in.
    #[error(transparent)]
    Fields(#[from] FieldErrors),
}

impl ResolveError {
    /// The message of a run that cannot go on for it.
    pub fn message(&self) -> String {
        let what = match self {
            ResolveError::NoValue(_)
            | ResolveError::NoSource { .. }
            | ResolveError::Unfilled { .. } => "Unable to resolve metric arguments",
            _ => "Analysis spec invalid",
        };
        format!("{what}: {self}")
    }
}

pub(super) fn kind(cluster_scope: bool) -> &'static str {
    if cluster_scope {
        "ClusterAnalysisTemplate"
    } else {
        "AnalysisTemplate"
    }
}

#[cfg(test)]
mod tests;

//! AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::free::{Free, FreeList, Rest, Time};

/// What is measured, and how it is judged.
#[derive(Clone, CustomResource, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "AnalysisTemplate",
    plural = "analysistemplates",
    shortname = "at",
    namespaced,
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since this was created"
    )
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct AnalysisTemplateSpec {
    /// What a Rollout fills in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<FreeList>,
    /// Metrics that are measured without consequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<FreeList>,
    /// How many measurements are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measurement_retention: Option<FreeList>,
    /// The metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<FreeList>,
    /// Other templates, whose metrics are measured too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<FreeList>,
    /// All other fields.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: Rest,
}

/// The same for every namespace.
#[derive(Clone, CustomResource, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "ClusterAnalysisTemplate",
    plural = "clusteranalysistemplates",
    shortname = "cat",
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since this was created"
    )
)]
#[serde(transparent)]
pub struct ClusterAnalysisTemplateSpec {
    /// What the namespaced kind has.
    pub template: AnalysisTemplateSpec,
}

/// A template with everything filled in, being measured.
#[derive(Clone, CustomResource, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "AnalysisRun",
    plural = "analysisruns",
    shortname = "ar",
    namespaced,
    status = "AnalysisRunStatus",
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.phase",
        description = "How the run stands"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since this was created"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct AnalysisRunSpec {
    /// What was filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<FreeList>,
    /// Metrics that are measured without consequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<FreeList>,
    /// How many measurements are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement_retention: Option<FreeList>,
    /// The metrics.
    pub metrics: FreeList,
    /// Whether the run is to end as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminate: Option<bool>,
    /// How long the run is kept once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<Free>,
    /// All other fields.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: Rest,
}

/// How a run stands. Any client may write it, as with Argo Rollouts: it is no subresource there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct AnalysisRunStatus {
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// The measurements without consequence, counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<Free>,
    /// Why the phase is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The metrics, with their measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_results: Option<FreeList>,
    /// Pending, Running, Successful, Failed, Error or Inconclusive.
    pub phase: String,
    /// The measurements, counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_summary: Option<Free>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// All other fields.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: Rest,
}

//! Experiment: stored for the clients that list it, and acted on by nobody yet.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::free::{Free, FreeList, Rest, Time};

/// What is to run side by side for a while.
#[derive(Clone, CustomResource, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "Experiment",
    plural = "experiments",
    shortname = "exp",
    namespaced,
    status = "ExperimentStatus",
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.phase",
        description = "How the experiment stands"
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
pub struct ExperimentSpec {
    /// Which analyses run beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyses: Option<FreeList>,
    /// Labels and annotations of those runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<Free>,
    /// Metrics that are measured without consequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<FreeList>,
    /// How long it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// How many measurements are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement_retention: Option<FreeList>,
    /// Seconds without progress after which it counts as stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    /// Seconds that its pods stay after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    /// The templates of the pods.
    pub templates: FreeList,
    /// Whether it is to end as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminate: Option<bool>,
    /// All other fields.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: Rest,
}

/// How an experiment stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ExperimentStatus {
    /// Its analysis runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_runs: Option<FreeList>,
    /// Since when all its pods are available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Time>,
    /// The conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<FreeList>,
    /// Why the phase is what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Pending, Running, Successful, Failed, Error or Inconclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Its templates' ReplicaSets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_statuses: Option<FreeList>,
    /// All other fields.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: Rest,
}

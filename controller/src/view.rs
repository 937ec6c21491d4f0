//! What users are shown of a Rollout: filled by whoever knows, drawn by the command line.

use serde::{Deserialize, Serialize};
use serin_core::step::{Phase, RunPhase};
use serin_core::time::Timestamp;

/// One Rollout as `serin get` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// How it stands.
    pub phase: Phase,
    /// Why, as the user reads it; empty when Healthy.
    pub message: String,
    /// Since when the Rollout exists.
    pub created: Timestamp,
    /// The steps as a user reads them, such as `setWeight: 20`.
    pub steps: Vec<StepView>,
    /// The step under way, 0-based; the number of steps when all are done.
    pub step_index: usize,
    /// The weight that the steps ask for, in basis points.
    pub set_weight_bp: u16,
    /// The weight that every proxy is known to run, in basis points.
    pub actual_weight_bp: u16,
    /// Names of the header routes in force.
    pub header_routes: Vec<String>,
    /// `spec.replicas`.
    pub desired: u32,
    /// The revisions, newest first.
    pub revisions: Vec<RevisionView>,
    /// Notices about the manifest that its author should read.
    pub notices: Vec<String>,
    /// Where the Rollout's callers reach it, such as `http://127.0.0.1:8080`.
    pub gateway: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// What it does.
    pub text: String,
}

/// One revision: a ReplicaSet and the analysis runs made for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionView {
    /// Its number, 1 for the first.
    pub number: u64,
    /// `<rollout>-<hash>`.
    pub replica_set: String,
    /// The template hash.
    pub hash: String,
    /// The image of the first container.
    pub image: String,
    /// `stable`, `canary`, or neither.
    pub role: Option<String>,
    /// Pods wanted.
    pub desired: u32,
    /// Since when it exists.
    pub created: Timestamp,
    /// When its pods go, if that is decided.
    pub scale_down_at: Option<Timestamp>,
    /// Its pods.
    pub pods: Vec<PodView>,
    /// Its analysis runs, oldest first.
    pub runs: Vec<RunView>,
}

/// One pod: in local mode a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodView {
    /// `<replica set>-<suffix>`.
    pub name: String,
    /// `Running`, `Pending`, `CrashLoopBackOff`, `Terminating`, `Error: …`.
    pub status: String,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it exists.
    pub created: Timestamp,
    /// Where it listens.
    pub address: String,
}

/// One analysis run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub phase: RunPhase,
    /// Why.
    pub message: String,
    /// Since when it exists.
    pub created: Timestamp,
    /// Measurements that were good.
    pub successful: u32,
    /// Measurements that were bad.
    pub failed: u32,
    /// Measurements that were neither.
    pub inconclusive: u32,
    /// Measurements that could not be taken.
    pub error: u32,
}

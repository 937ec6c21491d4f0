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
    /// Why all this is not about the manifests as they are now, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
}

/// The manifests as they are now are not those in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stale {
    /// They have changed and are about to be read; what is awaited.
    Changed(String),
    /// They are refused; why.
    Refused(String),
}

impl Stale {
    /// What became of the files, in a word.
    pub fn state(&self) -> &'static str {
        match self {
            Stale::Changed(_) => "changed",
            Stale::Refused(_) => "refused",
        }
    }

    /// What is awaited, or why they are refused.
    pub fn why(&self) -> &str {
        match self {
            Stale::Changed(why) | Stale::Refused(why) => why,
        }
    }
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

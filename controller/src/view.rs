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
    /// How its releases go.
    pub strategy: Strategy,
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
    /// How many pods there are.
    pub replicas: Replicas,
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

/// How releases go, as a manifest's `spec.strategy` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// In steps.
    Canary,
    /// At once: Argo Rollouts knows it, Serin shows it.
    BlueGreen,
    /// The manifest names none.
    Unknown,
}

/// How many pods a Rollout has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// All of them.
    pub current: u32,
    /// Those with the template asked for.
    pub updated: u32,
    /// Those that are ready.
    pub ready: u32,
    /// Those that have been ready for `minReadySeconds`.
    pub available: u32,
}

impl Replicas {
    /// Counted from the pods of all revisions, newest first.
    pub fn of(revisions: &[RevisionView]) -> Replicas {
        let pods = || revisions.iter().flat_map(|revision| &revision.pods);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let ready = count(pods().filter(|pod| pod.ready).count());
        Replicas {
            current: count(pods().count()),
            updated: count(revisions.first().map_or(0, |newest| newest.pods.len())),
            ready,
            available: ready,
        }
    }
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
    /// `<rollout>-<hash>`; empty if all that is left of the revision are analysis runs.
    pub replica_set: String,
    /// The template hash.
    pub hash: String,
    /// The containers' images.
    pub images: Vec<String>,
    /// `stable`, `canary`, or neither; of a blue-green Rollout `stable,active` or `preview` too.
    pub role: Option<String>,
    /// Pods wanted.
    pub desired: u32,
    /// How its pods stand together.
    pub health: SetHealth,
    /// Since when it exists.
    pub created: Timestamp,
    /// When its pods go, if that is decided.
    pub scale_down_at: Option<Timestamp>,
    /// Its pods.
    pub pods: Vec<PodView>,
    /// Its analysis runs, oldest first.
    pub runs: Vec<RunView>,
}

/// How a ReplicaSet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SetHealth {
    /// All pods wanted are there.
    Healthy,
    /// Some are not yet.
    Progressing,
    /// None is wanted.
    ScaledDown,
    /// One of them cannot run.
    Degraded,
    /// They cannot be created.
    ReplicaFailure,
}

impl SetHealth {
    /// Told from the pods themselves.
    pub fn of(desired: u32, pods: &[PodView]) -> SetHealth {
        let ready = pods.iter().filter(|pod| pod.ready).count();
        if desired == 0 && pods.is_empty() {
            SetHealth::ScaledDown
        } else if ready >= desired as usize && desired > 0 {
            SetHealth::Healthy
        } else if pods.iter().any(PodView::is_broken) {
            SetHealth::Degraded
        } else {
            SetHealth::Progressing
        }
    }
}

/// One pod: in local mode a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodView {
    /// `<replica set>-<suffix>`.
    pub name: String,
    /// `Running`, `Pending`, `CrashLoopBackOff`, `Terminating`, as `kubectl get pods` says it; in
    /// local mode also `Error: …`.
    pub status: String,
    /// Whether it is ready.
    pub ready: bool,
    /// How many of its containers are ready.
    pub ready_containers: u32,
    /// How many containers it has.
    pub containers: u32,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it exists.
    pub created: Timestamp,
    /// Where it listens.
    pub address: String,
}

impl PodView {
    /// Whether it cannot run as it is.
    pub fn is_broken(&self) -> bool {
        const BROKEN: [&str; 5] = [
            "CrashLoopBackOff",
            "Evicted",
            "Failed",
            "InvalidImageName",
            "OOMKilled",
        ];
        let status = self.status.as_str();
        let ended = ["Error: ", "ExitCode:", "Signal:"];
        BROKEN.contains(&status) || ended.iter().any(|start| status.starts_with(start))
    }
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

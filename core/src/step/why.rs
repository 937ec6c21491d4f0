//! Why a release stands as it does.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::PauseReason;

/// The one reason of a decision: condition reason, log field, label and the text users read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// The template asked for serves everybody.
    Done,
    /// The ReplicaSet has fewer pods than it should.
    TooFewPods,
    /// Its pods are not all available yet.
    PodsNotAvailable,
    /// Pods from before `spec.restartAt` are being replaced.
    Restarting,
    /// Pods of another version still get their share.
    OldPodsLeaving,
    /// Not every proxy runs the wanted traffic yet.
    ProxiesNotVerified,
    /// Steps are left.
    StepsLeft,
    /// An analysis has not ended yet.
    AnalysisRunning {
        /// The run.
        run: String,
    },
    /// An analysis wants nothing to change for now.
    Held {
        /// Why.
        why: String,
    },
    /// A pause.
    Paused(PauseReason),
    /// `spec.paused`.
    ManuallyPaused,
    /// Taken back.
    Aborted {
        /// The revision that was taken back.
        revision: u64,
        /// Why.
        why: String,
    },
    /// Nothing got on for `progressDeadlineSeconds`.
    DeadlineExceeded {
        /// The template hash of the ReplicaSet that does not get on.
        set: String,
    },
}

impl Why {
    /// The reason as conditions, events and metric labels carry it; one of a fixed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Why::Done => "RolloutCompleted",
            Why::TooFewPods => "ReplicaSetUpdated",
            Why::PodsNotAvailable => "ReplicaSetNotAvailable",
            Why::Restarting => "RolloutRestarting",
            Why::OldPodsLeaving => "OldReplicasPending",
            Why::ProxiesNotVerified => "WeightNotVerified",
            Why::StepsLeft => "RolloutStepping",
            Why::AnalysisRunning { .. } => "AnalysisRunRunning",
            Why::Held { .. } => "AnalysisRunHolding",
            Why::Paused(PauseReason::CanaryPauseStep) => "CanaryPauseStep",
            Why::Paused(PauseReason::InconclusiveAnalysisRun) => "InconclusiveAnalysisRun",
            Why::ManuallyPaused => "RolloutPaused",
            Why::Aborted { .. } => "RolloutAborted",
            Why::DeadlineExceeded { .. } => "ProgressDeadlineExceeded",
        }
    }
}

impl fmt::Display for Why {
    /// The message of the phase, in Argo Rollouts' words where it has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Done => Ok(()),
            Why::TooFewPods => write!(f, "more replicas need to be updated"),
            Why::PodsNotAvailable => write!(f, "updated replicas are still becoming available"),
            Why::Restarting => write!(f, "rollout is restarting"),
            Why::OldPodsLeaving => write!(f, "old replicas are pending termination"),
            Why::ProxiesNotVerified => {
                write!(f, "waiting for every proxy to run the wanted traffic")
            }
            Why::StepsLeft => write!(f, "waiting for all steps to complete"),
            Why::AnalysisRunning { run } => write!(f, "waiting for analysis run {run}"),
            Why::Held { why } => write!(f, "{why}"),
            Why::Paused(reason) => write!(f, "{reason:?}"),
            Why::ManuallyPaused => write!(f, "manually paused"),
            Why::Aborted { revision, why } => {
                write!(
                    f,
                    "RolloutAborted: Rollout aborted update to revision {revision}: {why}"
                )
            }
            Why::DeadlineExceeded { set } => write!(
                f,
                "ProgressDeadlineExceeded: ReplicaSet \"{set}\" has timed out progressing."
            ),
        }
    }
}

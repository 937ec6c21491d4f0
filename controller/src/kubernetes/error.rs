//! Why a cluster did not do what was asked of it.

use kube::core::Status;
use kube::runtime::watcher;
use serin_core::step::RunPhase;

use super::patches::Refusal;
use super::template::UnknownContainer;

/// Why there is no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The release does not allow it now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An image is for a container that is not there.
    #[error(transparent)]
    UnknownContainer(#[from] UnknownContainer),
    /// There is no such object; which there are.
    #[error("{kind} {asked} is unknown, {expected}")]
    Unknown {
        /// What is meant.
        kind: &'static str,
        /// What was asked for.
        asked: String,
        /// What there is.
        expected: String,
    },
    /// It went while it was watched.
    #[error("rollout {0} is deleted")]
    Deleted(String),
    /// The cluster does not know the kind.
    #[error("{url} knows no Rollouts (`serin crd | kubectl apply -f -` makes it know them)")]
    NoDefinitions {
        /// The cluster.
        url: String,
    },
    /// An analysis run cannot be ended twice.
    #[error("analysis run {run} has ended: {phase:?}")]
    Ended {
        /// Its name.
        run: String,
        /// How.
        phase: RunPhase,
    },
    /// The template is in an object of a kind that has none.
    #[error("spec.workloadRef.kind is {0:?}, expected Deployment, ReplicaSet or PodTemplate")]
    UnknownWorkload(String),
    /// The cluster says no.
    #[error("{url} answers: {message}")]
    Answer {
        /// The cluster.
        url: String,
        /// What it says.
        message: String,
    },
    /// The cluster cannot be asked.
    #[error("ask {url}")]
    Unreachable {
        /// The cluster.
        url: String,
        /// What was met.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ClusterError {
    /// What kube met at this cluster.
    pub(super) fn of(url: &str, error: kube::Error) -> ClusterError {
        let url = url.to_string();
        match error {
            kube::Error::Api(status) => answer(url, &status),
            // Its text is that of its source, which would be printed twice.
            kube::Error::Service(source) => ClusterError::Unreachable { url, source },
            other => ClusterError::Answer {
                url,
                message: other.to_string(),
            },
        }
    }

    /// What a watch met at this cluster.
    pub(super) fn of_watch(url: &str, error: watcher::Error) -> ClusterError {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => ClusterError::of(url, error),
            watcher::Error::WatchError(status) => answer(url.to_string(), &status),
            watcher::Error::NoResourceVersion => ClusterError::Answer {
                url: url.to_string(),
                message: watcher::Error::NoResourceVersion.to_string(),
            },
        }
    }
}

fn answer(url: String, status: &Status) -> ClusterError {
    const UNAUTHORIZED: u16 = 401;
    let message = match status.code {
        UNAUTHORIZED => format!("{} (are the credentials still good?)", status.message),
        // Without a name in it, this is about a path that the API server does not have.
        NOT_FOUND if status.details.as_ref().is_none_or(|of| of.name.is_empty()) => {
            return ClusterError::NoDefinitions { url };
        }
        _ => status.message.clone(),
    };
    ClusterError::Answer { url, message }
}

const NOT_FOUND: u16 = 404;

/// Whether the API server has no such object, or no such path.
pub(super) fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == NOT_FOUND)
}

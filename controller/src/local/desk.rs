//! Where people stand in front of a running local mode: they look at the Rollouts and hand in
//! verbs. In come verbs, out go views; the release itself is decided elsewhere.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serin_core::verb::{Verb, VerbRefusal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::manifest;
use crate::view::{RolloutView, Stale};

/// Where a running local mode listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doors {
    /// Where callers reach the Rollouts.
    pub gateway: SocketAddr,
    /// Prometheus' API and page.
    pub prometheus: SocketAddr,
    /// Envoy's admin interface.
    pub envoy_admin: SocketAddr,
}

/// A handle on a running local mode. Clones share it.
#[derive(Clone, Debug)]
pub struct Desk {
    doors: Doors,
    views: watch::Receiver<Board>,
    orders: mpsc::Sender<Order>,
}

/// The other side of the desk: where the views come from and the verbs go.
#[derive(Debug)]
pub struct Counter {
    /// What is shown.
    pub views: watch::Sender<Board>,
    /// What was asked for.
    pub orders: mpsc::Receiver<Order>,
}

/// What is shown, and the files that it is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// Every Rollout as it stands, in the manifests' order.
    pub views: Vec<RolloutView>,
    /// What was read; none if nothing can change.
    pub files: Option<Files>,
}

/// A directory as it was read last, and taken in or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where it is.
    pub dir: PathBuf,
    /// The [`fingerprint`] of what was read.
    pub fingerprint: u64,
}

impl Files {
    /// What has come since, if anything.
    fn newer(&self) -> Option<Stale> {
        match manifest::texts(&self.dir) {
            Ok(texts) if fingerprint(&texts) == self.fingerprint => None,
            Ok(_) => Some(Stale::Changed("they are being read".to_string())),
            Err(error) => Some(Stale::Changed(format!("they cannot be read: {error:#}"))),
        }
    }
}

/// Tells the contents of a directory apart from others within this process.
pub fn fingerprint(texts: &[(String, String)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}

/// One verb for one Rollout.
#[derive(Debug)]
pub struct Order {
    /// The Rollout's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is asked.
    pub verb: Verb,
    /// Where the answer goes: what was done, as the user reads it, or why it was refused.
    pub answer: oneshot::Sender<Result<String, DeskRefusal>>,
}

/// Why a verb was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskRefusal {
    /// The release does not allow it now.
    #[error(transparent)]
    Verb(#[from] VerbRefusal),
    /// There is no such Rollout.
    #[error("rollout {asked} is unknown, expected one of {known}")]
    UnknownRollout {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// It would not survive a crash.
    #[error("the state cannot be stored: {0}")]
    NotStored(String),
    /// Local mode is on its way out.
    #[error("local mode is stopping")]
    Stopping,
}

impl Desk {
    /// Both sides of a desk of a local mode that listens at `doors`.
    pub fn open(doors: Doors) -> (Desk, Counter) {
        // A person hands in one verb at a time; more than this many waiting is a script gone wild.
        const WAITING: usize = 16;
        let (views, shown) = watch::channel(Board::default());
        let (asked, orders) = mpsc::channel(WAITING);
        let desk = Desk {
            doors,
            views: shown,
            orders: asked,
        };
        (desk, Counter { views, orders })
    }

    /// Every Rollout as it stands, in the manifests' order. The directory is looked at now: whoever
    /// has just edited a file is not shown the version before as if it were the new one.
    pub fn views(&self) -> Vec<RolloutView> {
        let Board { mut views, files } = self.views.borrow().clone();
        if let Some(newer) = files.and_then(|files| files.newer()) {
            for view in &mut views {
                // Why changed files wait is known better where they are read; a refusal is one of
                // files that are no longer there.
                if !matches!(view.stale, Some(Stale::Changed(_))) {
                    view.stale = Some(newer.clone());
                }
            }
        }
        views
    }

    /// Returns when the views have changed since the last call; never again once local mode has ended.
    pub async fn changed(&mut self) {
        if self.views.changed().await.is_err() {
            // The sender is gone for good: whoever watches would spin otherwise.
            std::future::pending::<()>().await;
        }
    }

    /// Where local mode listens.
    pub fn doors(&self) -> Doors {
        self.doors
    }

    /// Hands in a verb and waits for what came of it.
    ///
    /// # Errors
    /// If the verb is refused, the Rollout is unknown, or local mode is stopping.
    pub async fn verb(
        &self,
        namespace: &str,
        name: &str,
        verb: Verb,
    ) -> Result<String, DeskRefusal> {
        let (answer, answered) = oneshot::channel();
        let order = Order {
            namespace: namespace.to_string(),
            name: name.to_string(),
            verb,
            answer,
        };
        self.orders
            .send(order)
            .await
            .map_err(|_| DeskRefusal::Stopping)?;
        answered.await.map_err(|_| DeskRefusal::Stopping)?
    }
}

#[cfg(test)]
mod tests;

//! Where people stand in front of a running local mode: they look at the Rollouts and hand in
//! verbs. In come verbs, out go views; the release itself is decided elsewhere.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serin_core::verb::{Verb, VerbRefusal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::view::RolloutView;

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
    views: watch::Receiver<Vec<RolloutView>>,
    orders: mpsc::Sender<Order>,
}

/// The other side of the desk: where the views come from and the verbs go.
#[derive(Debug)]
pub struct Counter {
    /// What is shown.
    pub views: watch::Sender<Vec<RolloutView>>,
    /// What was asked for.
    pub orders: mpsc::Receiver<Order>,
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
    /// Local mode is on its way out.
    #[error("local mode is stopping")]
    Stopping,
}

impl Desk {
    /// Both sides of a desk of a local mode that listens at `doors`.
    pub fn open(doors: Doors) -> (Desk, Counter) {
        // A person hands in one verb at a time; more than this many waiting is a script gone wild.
        const WAITING: usize = 16;
        let (views, shown) = watch::channel(Vec::new());
        let (asked, orders) = mpsc::channel(WAITING);
        let desk = Desk {
            doors,
            views: shown,
            orders: asked,
        };
        (desk, Counter { views, orders })
    }

    /// Every Rollout as it stands, in the manifests' order.
    pub fn views(&self) -> Vec<RolloutView> {
        self.views.borrow().clone()
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

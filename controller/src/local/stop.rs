//! Asking a task to stop: one side asks, the other waits for it beside its work.

use tokio::sync::watch;

/// The side that asks; dropped, it has asked too.
pub(super) type Ask = watch::Sender<bool>;

/// The side that is asked.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Receiver<bool>);

/// Both sides.
pub(super) fn channel() -> (Ask, Stop) {
    let (ask, asked) = watch::channel(false);
    (ask, Stop(asked))
}

impl Stop {
    /// Returns once it was asked for, at once if it was before.
    pub(super) async fn asked(&mut self) {
        // An error means that nobody is left to ask.
        let _ = self.0.wait_for(|stop| *stop).await.map(drop);
    }

    /// Whether it was asked for.
    pub(super) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

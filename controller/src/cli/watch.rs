//! Looking again and again until nobody wants to see more.

use std::future::Future;
use std::time::Duration;

use super::screen;
use crate::client::ClientError;

/// How often a watcher looks: soon enough for an eye, seldom enough to cost nothing.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a watcher shows of one look: a picture for a terminal, lines for a pipe.
pub(super) struct Shown {
    /// Painted over the last one.
    pub(super) picture: String,
    /// Printed if they were not printed last time.
    pub(super) lines: Vec<String>,
}

/// Shows what `look` sees until interrupted.
pub(super) async fn watch<F>(look: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = Result<Shown, ClientError>>,
{
    let terminal = screen::is_terminal();
    let mut first = true;
    let mut printed = Vec::new();
    loop {
        let shown = look().await?;
        if terminal {
            screen::repaint(&shown.picture, first)?;
        } else {
            for line in shown.lines.iter().filter(|line| !printed.contains(*line)) {
                screen::say(line)?;
            }
            printed = shown.lines;
        }
        first = false;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

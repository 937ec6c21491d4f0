//! Showing what comes until nobody wants to see more.

use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};

use super::screen;
use crate::server::ServerError;

/// What a watcher shows of one look: a picture for a terminal, lines for a pipe.
pub(super) struct Shown {
    /// Painted over the last one.
    pub(super) picture: String,
    /// Printed if they were not printed last time.
    pub(super) lines: Vec<String>,
}

/// Shows what comes until interrupted. A picture is painted anew every second too: its ages grow.
pub(super) async fn watch<V>(
    mut views: BoxStream<'static, Result<V, ServerError>>,
    show: impl Fn(&V) -> Shown,
) -> anyhow::Result<()> {
    const PAINT_AGAIN: Duration = Duration::from_secs(1);
    let terminal = screen::is_terminal();
    let mut ticks = tokio::time::interval(PAINT_AGAIN);
    let mut last = None;
    let mut first = true;
    let mut printed = Vec::new();
    loop {
        tokio::select! {
            next = views.next() => match next {
                Some(view) => last = Some(view?),
                None => return Ok(()),
            },
            _ = ticks.tick(), if terminal => {}
        }
        let Some(shown) = last.as_ref().map(&show) else {
            continue;
        };
        if terminal {
            screen::repaint(&shown.picture, first)?;
        } else {
            let said: Vec<String> = shown.lines.iter().map(|line| words(line)).collect();
            for (line, said) in shown.lines.iter().zip(&said) {
                if !printed.contains(said) {
                    screen::say(line)?;
                }
            }
            printed = said;
        }
        first = false;
    }
}

/// A line apart from how its columns are laid out, which depends on the lines beside it.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

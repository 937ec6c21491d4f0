//! `serin status`: how a Rollout stands, as a line and as an exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::stream::StreamExt as _;
use serin_core::step::Phase;

use super::{Target, Where, duration, screen};
use crate::draw;
use crate::kubernetes::Extent;
use crate::server::Server;
use crate::view::{RolloutView, Stale};

/// `serin status`
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 Healthy, 1 Degraded, manifests that are refused, or the time is up. With --watch=false a Rollout that is
Progressing or Paused is no failure either: 0, and the line says which.")]
pub(super) struct Status {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
    /// Wait until it is Healthy or Degraded, with a line for every change
    #[arg(
        short,
        long,
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = clap::ArgAction::Set
    )]
    watch: bool,
    /// How long to wait, such as 90s or 5m; 0 is for ever
    #[arg(short, long, default_value = "0", value_parser = duration)]
    timeout: Duration,
}

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (server, namespace) = self.place.find().await?;
        let name = self.target.name()?;
        if !self.watch {
            let view = server.rollout(&namespace, name, Extent::Outline).await?;
            screen::say(&line(&view))?;
            return Ok(code(judge(&view, false)));
        }
        let ended = wait(&server, &namespace, name);
        if self.timeout.is_zero() {
            return ended.await;
        }
        match tokio::time::timeout(self.timeout, ended).await {
            Ok(code) => code,
            Err(_) => anyhow::bail!("neither Healthy nor Degraded within {:?}", self.timeout),
        }
    }
}

/// Prints how it stands, at every change, until it is done.
async fn wait(server: &Server, namespace: &str, name: &str) -> anyhow::Result<ExitCode> {
    let mut views = server.watch_rollout(namespace, name, Extent::Outline);
    let mut printed = String::new();
    while let Some(view) = views.next().await {
        let view = view?;
        let line = line(&view);
        if line != printed {
            screen::say(&line)?;
            printed = line;
        }
        let judged = judge(&view, true);
        if judged.is_some() {
            return Ok(code(judged));
        }
    }
    anyhow::bail!("nothing more is heard of {namespace}/{name}")
}

fn line(view: &RolloutView) -> String {
    let mut line = draw::status(view);
    if let Some(stale) = &view.stale {
        line.push_str(&format!("\nfiles {}: {}", stale.state(), stale.why()));
    }
    line
}

fn code(good: Option<bool>) -> ExitCode {
    match good {
        Some(false) => ExitCode::FAILURE,
        Some(true) | None => ExitCode::SUCCESS,
    }
}

/// Whether it stands well; none while that is awaited. What is said of a version that the files no
/// longer ask for is no answer to who has just edited them.
fn judge(view: &RolloutView, watch: bool) -> Option<bool> {
    match (&view.stale, view.phase) {
        (Some(Stale::Refused(_)), _) => Some(false),
        (Some(Stale::Changed(_)), _) if watch => None,
        (_, Phase::Healthy) => Some(true),
        (_, Phase::Degraded) => Some(false),
        (_, Phase::Progressing | Phase::Paused) => (!watch).then_some(true),
    }
}

#[cfg(test)]
mod tests;

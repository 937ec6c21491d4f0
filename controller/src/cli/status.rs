//! `serin status`: how a Rollout stands, as a line and as an exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serin_core::step::Phase;
use serin_core::time::{DURATION_ACCEPTED, parse_duration};
use tokio::time::Instant;

use super::watch::LOOK_AGAIN;
use super::{Server, Target, screen};
use crate::client::Client;
use crate::draw;
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
    server: Server,
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

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("expected {DURATION_ACCEPTED}"))
}

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.server.client()?;
        let end = (!self.timeout.is_zero()).then(|| Instant::now() + self.timeout);
        match end {
            Some(end) if self.watch => match tokio::time::timeout_at(end, self.wait(&client)).await
            {
                Ok(code) => code,
                Err(_) => anyhow::bail!("neither Healthy nor Degraded within {:?}", self.timeout),
            },
            _ => self.wait(&client).await,
        }
    }

    /// Prints how it stands, at every change if watching, until it is done.
    async fn wait(&self, client: &Client) -> anyhow::Result<ExitCode> {
        let name = self.target.name()?;
        let mut printed = String::new();
        loop {
            let view = client.rollout(&self.server.namespace, name).await?;
            let mut line = draw::status(&view);
            if let Some(stale) = &view.stale {
                line.push_str(&format!("\nfiles {}: {}", stale.state(), stale.why()));
            }
            if line != printed {
                screen::say(&line)?;
                printed = line;
            }
            if let Some(good) = judge(&view, self.watch) {
                return Ok(match good {
                    true => ExitCode::SUCCESS,
                    false => ExitCode::FAILURE,
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
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

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

/// `serin status`
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 Healthy, 1 Degraded or the time is up. With --watch=false a Rollout that is
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
        let phase = match end {
            Some(end) if self.watch => match tokio::time::timeout_at(end, self.wait(&client)).await
            {
                Ok(phase) => phase?,
                Err(_) => anyhow::bail!("neither Healthy nor Degraded within {:?}", self.timeout),
            },
            _ => self.wait(&client).await?,
        };
        Ok(match phase {
            Phase::Degraded => ExitCode::FAILURE,
            Phase::Healthy | Phase::Progressing | Phase::Paused => ExitCode::SUCCESS,
        })
    }

    /// Prints how it stands, at every change if watching, until it is done.
    async fn wait(&self, client: &Client) -> anyhow::Result<Phase> {
        let name = self.target.name()?;
        let mut printed = String::new();
        loop {
            let view = client.rollout(&self.server.namespace, name).await?;
            let line = draw::status(&view);
            if line != printed {
                screen::say(&line)?;
                printed = line;
            }
            if !self.watch || matches!(view.phase, Phase::Healthy | Phase::Degraded) {
                return Ok(view.phase);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

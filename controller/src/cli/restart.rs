//! `serin restart`: all pods anew, a few at a time.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Target, Where, duration, screen};
use crate::clock;

/// `serin restart`
#[derive(Args, Debug)]
pub(super) struct Restart {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
    /// How long to wait before, such as 30s or 5m
    #[arg(
        short = 'i',
        long = "in",
        value_name = "DURATION",
        default_value = "0",
        value_parser = duration
    )]
    wait: Duration,
}

impl Restart {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.target.name()?;
        let (server, namespace) = self.place.find().await?;
        let cluster = server.cluster("restart")?;
        let done = cluster.restart(&namespace, name, clock::now(), self.wait);
        screen::say(&done.await?)?;
        Ok(ExitCode::SUCCESS)
    }
}

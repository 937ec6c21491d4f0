//! The commands that act on a release. Each says what was done, or why not.

use std::process::ExitCode;

use clap::Args;
use serin_core::verb::Verb;

use super::{Target, Where, screen};

/// `serin promote`
#[derive(Args, Debug)]
pub(super) struct Promote {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
    /// Skip all steps and analysis that are left
    #[arg(long)]
    full: bool,
}

/// `serin abort`
#[derive(Args, Debug)]
pub(super) struct Abort {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
}

/// `serin retry`
#[derive(Args, Debug)]
pub(super) struct Retry {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
}

/// `serin pause`
#[derive(Args, Debug)]
pub(super) struct Pause {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
}

/// `serin undo`
#[derive(Args, Debug)]
pub(super) struct Undo {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
    /// The revision to go back to; without it, the one before the current
    #[arg(long, value_name = "N")]
    to_revision: Option<u64>,
}

impl Promote {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let verb = Verb::Promote { full: self.full };
        act(&self.place, &self.target, verb).await
    }
}

impl Abort {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        act(&self.place, &self.target, Verb::Abort).await
    }
}

impl Retry {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        act(&self.place, &self.target, Verb::Retry).await
    }
}

impl Pause {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        act(&self.place, &self.target, Verb::Pause).await
    }
}

impl Undo {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        // Argo Rollouts takes 0 for the one before the current.
        let to_revision = self.to_revision.filter(|revision| *revision > 0);
        act(&self.place, &self.target, Verb::Undo { to_revision }).await
    }
}

async fn act(place: &Where, target: &Target, verb: Verb) -> anyhow::Result<ExitCode> {
    let name = target.name()?;
    let (server, namespace) = place.find().await?;
    let said = server.verb(&namespace, name, verb).await?;
    screen::say(&said)?;
    Ok(ExitCode::SUCCESS)
}

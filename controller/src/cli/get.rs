//! `serin get`: one Rollout in full.

use std::process::ExitCode;

use clap::Args;

use super::watch::{Shown, watch};
use super::{Server, Target, screen};
use crate::{clock, draw};

/// `serin get`
#[derive(Args, Debug)]
pub(super) struct Get {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    server: Server,
    /// Show every change until interrupted; in a pipe, one line for each
    #[arg(short, long)]
    watch: bool,
    /// Plain text (as with NO_COLOR=1)
    #[arg(long)]
    no_color: bool,
}

impl Get {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.server.client()?;
        let (namespace, name) = (&self.server.namespace, self.target.name()?);
        let paint = screen::paint(self.no_color);
        if self.watch {
            watch(|| async {
                let view = client.rollout(namespace, name).await?;
                Ok(Shown {
                    picture: draw::rollout(&view, clock::now(), paint),
                    lines: vec![draw::change(&view, paint)],
                })
            })
            .await?;
        } else {
            let view = client.rollout(namespace, name).await?;
            screen::say(&draw::rollout(&view, clock::now(), paint))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

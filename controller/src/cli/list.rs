//! `serin list`: Rollouts as a table.

use std::process::ExitCode;

use clap::Args;

use super::watch::{Shown, watch};
use super::{Server, screen};
use crate::client::{Client, ClientError};
use crate::draw;
use crate::view::RolloutView;

/// `serin list`
#[derive(Args, Debug)]
pub(super) struct List {
    /// What to list; `rollouts` is all there is
    #[arg(value_parser = ["rollouts", "rollout", "ro"], hide = true)]
    kind: Option<String>,
    #[command(flatten)]
    server: Server,
    /// The Rollouts of every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Show every change until interrupted; in a pipe, one line for each
    #[arg(short, long)]
    watch: bool,
}

impl List {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.server.client()?;
        if self.watch {
            watch(|| async {
                let picture = draw::list(&self.look(&client).await?, self.all_namespaces);
                let lines = picture.lines().map(str::to_string).collect();
                Ok(Shown { picture, lines })
            })
            .await?;
        } else {
            let views = self.look(&client).await?;
            screen::say(&draw::list(&views, self.all_namespaces))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn look(&self, client: &Client) -> Result<Vec<RolloutView>, ClientError> {
        let mut views = client.rollouts().await?;
        views.retain(|view| self.all_namespaces || view.namespace == self.server.namespace);
        Ok(views)
    }
}

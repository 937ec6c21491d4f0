//! `serin list`: Rollouts as a table.

use std::process::ExitCode;

use clap::Args;

use super::watch::{Shown, watch};
use super::{Where, screen};
use crate::draw;
use crate::view::RolloutView;

/// `serin list`
#[derive(Args, Debug)]
pub(super) struct List {
    /// What to list; `rollouts` is all there is
    #[arg(value_parser = ["rollouts", "rollout", "ro"], hide = true)]
    kind: Option<String>,
    #[command(flatten)]
    place: Where,
    /// The Rollouts of every namespace (of a cluster, unless --state or SERIN_STATE is given)
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Show every change until interrupted; in a pipe, one line for each
    #[arg(short, long)]
    watch: bool,
}

impl List {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (server, namespace) = self.place.find_for(self.all_namespaces).await?;
        let namespace = (!self.all_namespaces).then_some(namespace.as_str());
        if self.watch {
            let show = |views: &Vec<RolloutView>| {
                let picture = draw::list(views, self.all_namespaces);
                let lines = picture.lines().map(str::to_string).collect();
                Shown { picture, lines }
            };
            watch(server.watch_rollouts(namespace), show).await?;
        } else {
            let views = server.rollouts(namespace).await?;
            screen::say(&draw::list(&views, self.all_namespaces))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

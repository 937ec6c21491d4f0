//! `serin get`: one Rollout in full.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::watch::{Shown, watch};
use super::{Target, Where, screen};
use crate::kubernetes::Extent;
use crate::view::RolloutView;
use crate::{clock, draw};

/// `serin get`
#[derive(Args, Debug)]
pub(super) struct Get {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    place: Where,
    /// Show every change until interrupted; in a pipe, one line for each
    #[arg(short, long)]
    watch: bool,
    /// Stop watching after this many seconds
    #[arg(long, value_name = "N", requires = "watch")]
    timeout_seconds: Option<u64>,
    /// Plain text (as with NO_COLOR=1)
    #[arg(long)]
    no_color: bool,
}

impl Get {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.target.name()?;
        let (server, namespace) = self.place.find().await?;
        let paint = screen::paint(self.no_color);
        if self.watch {
            let show = |view: &RolloutView| Shown {
                picture: draw::rollout(view, clock::now(), paint),
                lines: vec![draw::change(view, paint)],
            };
            let watched = watch(server.watch_rollout(&namespace, name, Extent::Whole), show);
            match self.timeout_seconds.filter(|seconds| *seconds > 0) {
                None => watched.await?,
                // It was watched for as long as was asked for.
                Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), watched)
                    .await
                    .unwrap_or(Ok(()))?,
            }
        } else {
            let view = server.rollout(&namespace, name, Extent::Whole).await?;
            screen::say(&draw::rollout(&view, clock::now(), paint))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

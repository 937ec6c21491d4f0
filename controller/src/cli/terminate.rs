//! `serin terminate`: an analysis run ends as it stands.

use std::process::ExitCode;

use clap::Args;

use super::{Where, screen};

/// `serin terminate`
#[derive(Args, Debug)]
pub(super) struct Terminate {
    /// What to end; `analysisrun` is all there is
    #[arg(value_name = "KIND", value_parser = ["analysisrun", "analysisruns", "ar"])]
    kind: String,
    /// The analysis run's name
    name: String,
    #[command(flatten)]
    place: Where,
}

impl Terminate {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (server, namespace) = self.place.find().await?;
        let cluster = server.cluster("terminate")?;
        screen::say(&cluster.terminate(&namespace, &self.name).await?)?;
        Ok(ExitCode::SUCCESS)
    }
}

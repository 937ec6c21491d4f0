//! `serin set`: fields of a Rollout.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Where, screen};
use crate::kubernetes::template::SetImage;

/// `serin set`
#[derive(Args, Debug)]
pub(super) struct Set {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Ask for other images, which starts a release
    Image(Image),
}

/// `serin set image`
#[derive(Args, Debug)]
struct Image {
    /// The Rollout's name
    name: String,
    /// What each container is to run; `*` is all of them
    #[arg(required = true, value_name = "CONTAINER=IMAGE")]
    images: Vec<SetImage>,
    #[command(flatten)]
    place: Where,
}

impl Set {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let What::Image(Image {
            name,
            images,
            place,
        }) = self.what;
        let (server, namespace) = place.find().await?;
        let cluster = server.cluster("set image")?;
        let done = cluster.set_image(&namespace, &name, &images).await?;
        screen::say(&done)?;
        Ok(ExitCode::SUCCESS)
    }
}

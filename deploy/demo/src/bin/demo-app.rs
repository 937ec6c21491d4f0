//! The app that the demo releases.

use clap::Parser;
use serin_demo::app;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    app::run(app::Options::parse()).await
}

//! The `serin` binary.

use std::process::ExitCode;

use clap::Parser;
use serin::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    serin::cli::run(Cli::parse()).await
}

//! `serin crd`: the CustomResourceDefinitions as YAML.

use std::process::ExitCode;

use crate::api;

/// Prints them.
///
/// # Errors
/// If they cannot be written as YAML.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    super::screen::write(&api::definitions_yaml()?)?;
    Ok(ExitCode::SUCCESS)
}

//! `serin lint`: what is wrong with manifests that the API server would take.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::screen;
use crate::lint::{self, Finding, Severity};
use crate::manifest;

/// `serin lint`
#[derive(Args, Debug)]
pub(super) struct Lint {
    /// The directory with the manifests, of any kinds
    #[arg(short, long, value_name = "DIR")]
    filename: PathBuf,
    /// Istio's root namespace: what is there is for all proxies of the mesh
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    root_namespace: String,
}

impl Lint {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let texts = manifest::texts(&self.filename)?;
        let findings = lint::findings(&texts, &self.root_namespace);
        screen::write(&told(&findings, texts.len()))?;
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        Ok(match findings.iter().any(is_error) {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    }
}

fn told(findings: &[Finding], files: usize) -> String {
    if findings.is_empty() {
        let files = match files {
            1 => "1 file".to_string(),
            files => format!("{files} files"),
        };
        return format!("no findings in {files}\n");
    }
    findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect()
}

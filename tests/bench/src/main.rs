//! `make bench`: what the filter costs Envoy, measured so that a hundredth shows.
//!
//! Every variant is a listener of one Envoy process that has a core to itself. Short slots, one
//! variant each and in random order, are compared by the CPU time Envoy used per request. Ratios
//! move a little from one process to the next, so several are started.

use anyhow::{Context, Result, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use ratio::Process;
use variant::{Modules, Variant};

mod envoy;
mod load;
mod machine;
mod measure;
mod ratio;
mod report;
mod rules;
mod upstream;
mod variant;

/// What the environment may change.
struct Settings {
    /// `BENCH_PROCESSES`: how many Envoys are measured, one after the other.
    processes: u64,
    /// `BENCH_SECONDS`: how long each of them is.
    time: Duration,
    /// `BENCH_ONLY`: the names of the variants to measure, separated by commas; none means all.
    only: Vec<String>,
    /// `BENCH_REALTIME`: whether to run before everything else on the machine.
    realtime: bool,
}

fn main() -> Result<ExitCode> {
    let settings = settings()?;
    let binary = root().join(".tools/bin/envoy");
    ensure!(
        binary.exists(),
        "{} is missing (make setup fetches it)",
        binary.display()
    );
    let dir = env::temp_dir().join(format!("serin-bench-{}", std::process::id()));
    fs::create_dir(&dir)?;
    let measured = measure_all(&settings, &binary, &dir);
    fs::remove_dir_all(&dir)?;
    let (variants, processes) = measured?;
    match report::print(&variants, &processes) {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

fn settings() -> Result<Settings> {
    let number = |name: &str, default| match env::var(name) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{name} is {text:?}, expected a number")),
        Err(_) => Ok(default),
    };
    let only = env::var("BENCH_ONLY").unwrap_or_default();
    Ok(Settings {
        processes: number("BENCH_PROCESSES", 3)?,
        time: Duration::from_secs(number("BENCH_SECONDS", 60)?),
        realtime: number("BENCH_REALTIME", 0)? != 0,
        only: only
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_string)
            .collect(),
    })
}

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn measure_all(
    settings: &Settings,
    binary: &Path,
    dir: &Path,
) -> Result<(Vec<Variant>, Vec<Process>)> {
    let modules = Modules {
        noop: build_noop()?,
        serin: dir.join("serin.wasm"),
        rest: dir.join("rest.json"),
    };
    fs::write(&modules.serin, serin_filter_module::MODULE)?;
    fs::write(&modules.rest, variant::at_rest(&modules.serin).to_string())?;
    let mut variants = variant::all(&modules)?;
    if let Some(name) = settings
        .only
        .iter()
        .find(|name| !variants.iter().any(|v| v.name == **name))
    {
        let known: Vec<&str> = variants.iter().map(|variant| variant.name).collect();
        anyhow::bail!(
            "BENCH_ONLY names {name:?}, expected some of {}",
            known.join(", ")
        );
    }
    variants
        .retain(|v| settings.only.is_empty() || settings.only.iter().any(|name| name == v.name));
    let cores = machine::cores()?;
    machine::stay_on(cores.load)?;
    if settings.realtime {
        machine::go_first()?;
    }
    let mut processes = Vec::new();
    for process in 1..=settings.processes {
        eprintln!(
            "bench: process {process} of {}, {:?}",
            settings.processes, settings.time
        );
        let rounds = measure::process(binary, dir, &variants, cores.envoy, settings.time)?;
        processes.push(Process::calm(&rounds));
    }
    Ok((variants, processes))
}

/// Builds the yardstick beside this program, for wasm and with the filter's own profile.
fn build_noop() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let target = program
        .ancestors()
        .nth(2)
        .context("this program lies in no target directory")?;
    let status = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_string()))
        .args([
            "build",
            "--locked",
            "--quiet",
            "--package",
            "serin-noop-filter",
        ])
        .args([
            "--profile",
            "wasm",
            "--target",
            "wasm32-unknown-unknown",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(root())
        .status()
        .context("cargo")?;
    ensure!(status.success(), "the do-nothing filter does not build");
    Ok(target.join("wasm32-unknown-unknown/wasm/serin_noop_filter.wasm"))
}

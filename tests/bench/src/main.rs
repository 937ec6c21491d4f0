//! `make bench`: what the filter costs Envoy, measured so that a hundredth shows.
//!
//! Every variant is a listener of one Envoy process that has a core to itself. Short slots, one
//! variant each and in random order, are compared by the CPU time Envoy used per request. Ratios
//! move a little from one process to the next, so several are started. What else a mesh with 10,000
//! hosts in flight takes is measured before; the program whose path is given has a cluster for that.

use anyhow::{Context, Result, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use envoy::Launch;
use mesh::Mesh;
use only::Only;
use ratio::Process;
use variant::{Modules, Variant};

mod envoy;
mod load;
mod machine;
mod measure;
mod memory;
mod mesh;
mod only;
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
    /// `BENCH_ONLY`: the names of what to measure, separated by commas; none means all.
    only: Only,
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
    let measured = measured?;
    match report::print(
        &measured.variants,
        &measured.processes,
        measured.mesh.as_ref(),
    ) {
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
        only: Only::read(&only),
    })
}

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Measured {
    variants: Vec<Variant>,
    processes: Vec<Process>,
    mesh: Option<Mesh>,
}

fn measure_all(settings: &Settings, binary: &Path, dir: &Path) -> Result<Measured> {
    let modules = Modules {
        noop: build_noop()?,
        serin: dir.join("serin.wasm"),
        rest: dir.join("rest.json"),
    };
    fs::write(&modules.serin, serin_filter_module::MODULE)?;
    fs::write(&modules.rest, variant::at_rest(&modules.serin).to_string())?;
    let mut variants = variant::all(&modules)?;
    settings.only.check(&variants)?;
    variants.retain(|variant| settings.only.has(variant.name));
    let cores = machine::cores()?;
    let launch = Launch {
        binary,
        dir,
        core: cores.envoy,
        workers: 1,
    };
    // Before anything is bound to a core: a cluster needs all of them.
    let mesh = match settings.only.has_mesh() {
        true => Some(mesh::measure(&launch, &modules.serin, &pusher()?)?),
        false => None,
    };
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
        let rounds = measure::process(&launch, &variants, settings.time)?;
        processes.push(Process::calm(&rounds));
    }
    Ok(Measured {
        variants,
        processes,
        mesh,
    })
}

/// The program that measures pushes.
fn pusher() -> Result<PathBuf> {
    let path = env::args_os().nth(1);
    path.map(PathBuf::from)
        .context("expected the path of bench_mesh (make bench gives it)")
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

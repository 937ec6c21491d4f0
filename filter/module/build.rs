//! Builds the filter to wasm whenever something it is made of has changed, so that a stale module
//! can neither be tested nor shipped.

mod strip;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "wasm";

/// What the outer build says about itself only: lints' wrappers, coverage and native flags are
/// nothing that the module should differ by.
const NOT_PASSED_ON: &[&str] = &[
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "LLVM_PROFILE_FILE",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let workspace = here.ancestors().nth(2).ok_or("no workspace above")?;
    for source in [
        "Cargo.lock",
        "Cargo.toml",
        "core/Cargo.toml",
        "core/src",
        "filter/Cargo.toml",
        "filter/src",
        "rust-toolchain.toml",
    ] {
        // From this package's directory, so that two checkouts may share a target directory.
        println!("cargo::rerun-if-changed=../../{source}");
    }
    let module = fs::read(build(workspace, &target_dir(&out)?)?)?;
    let stripped = strip::strip(&module).ok_or("the module is no wasm that strip understands")?;
    let sum: String = Sha256::digest(&stripped)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("cargo::rustc-env=SERIN_FILTER_SHA256={sum}");
    fs::write(out.join("serin_filter.wasm"), stripped)?;
    Ok(())
}

/// A directory of its own: the one around it is locked by the build that waits for this one.
fn target_dir(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let outer = out.ancestors().nth(4); // <target>/<profile>/build/<package>/out
    Ok(outer.ok_or("no target directory above")?.join("filter"))
}

fn build(workspace: &Path, target_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    for name in NOT_PASSED_ON {
        cargo.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        let configures = |prefix: &&str| name.to_string_lossy().starts_with(prefix);
        if ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"]
            .iter()
            .any(configures)
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .current_dir(workspace)
        .args(["build", "--locked", "--package", "serin-filter", "--lib"])
        .args(["--target", TARGET, "--profile", PROFILE])
        .arg("--target-dir")
        .arg(target_dir)
        .status()?;
    if !status.success() {
        return Err(format!("building serin-filter for {TARGET}: {status}").into());
    }
    Ok(target_dir
        .join(TARGET)
        .join(PROFILE)
        .join("serin_filter.wasm"))
}

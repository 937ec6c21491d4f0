//! 10,000 hosts in flight beside one: what the objects weigh, how long they are on their way to a
//! proxy, and what proxies need for them.

use anyhow::{Context, Result, ensure};
use serin::mesh::objects;
use serin_bench::in_flight::{MANY, Releases};
use serin_bench::push::Pushes;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::envoy::Launch;
use crate::memory::{self, Memory};

/// What was measured, of one host and of many.
pub(crate) struct Mesh {
    /// Bytes of each object.
    pub(crate) bytes: [Vec<usize>; 2],
    pub(crate) pushes: [Pushes; 2],
    /// Memory of an Envoy that has the filter's place and no release.
    pub(crate) rest: Memory,
    pub(crate) memory: [Memory; 2],
}

/// Measures it; `pusher` is the program that has a cluster.
pub(crate) fn measure(launch: &Launch<'_>, module: &Path, pusher: &Path) -> Result<Mesh> {
    let releases = [Releases::one(), Releases::with_hosts(MANY)];
    let [one, many] = &releases;
    eprintln!("bench: {MANY} hosts, memory");
    let rest = memory::measure(launch, module, None)?;
    let memory = [
        memory::measure(launch, module, Some(one))?,
        memory::measure(launch, module, Some(many))?,
    ];
    eprintln!("bench: {MANY} hosts, pushes through a cluster");
    Ok(Mesh {
        bytes: [sizes(one)?, sizes(many)?],
        pushes: pushes(pusher)?,
        rest,
        memory,
    })
}

fn sizes(releases: &Releases) -> Result<Vec<usize>> {
    let code = objects::code_at("http://serin.serin:8090");
    let objects = releases.objects("istio-system", 1, &code)?;
    Ok(objects
        .iter()
        .map(|object| object.to_string().len())
        .collect())
}

/// It prints them as JSON: those of one host and those of many.
fn pushes(pusher: &Path) -> Result<[Pushes; 2]> {
    let told = Command::new(pusher)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} (make bench builds it)", pusher.display()))?;
    ensure!(
        told.status.success(),
        "{} ends with {}",
        pusher.display(),
        told.status
    );
    serde_json::from_slice(&told.stdout).context("what it prints is not what was expected")
}

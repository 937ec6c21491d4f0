//! What the kernel tells about cores and CPU time, and how threads are bound to a core.

use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

/// Who works where. Load and upstreams share a core, so that Envoy has its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) load: usize,
    pub(crate) envoy: usize,
}

/// The first and the last core that this process may use.
pub(crate) fn cores() -> Result<Cores> {
    let status = fs::read_to_string("/proc/self/status").context("/proc (is this Linux?)")?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .context("no Cpus_allowed_list in /proc/self/status")?;
    match ends(list.trim()) {
        Some((load, envoy)) if load != envoy => Ok(Cores { load, envoy }),
        _ => bail!("cores {} are allowed, expected at least two", list.trim()),
    }
}

/// The ends of a list like `0-3,8`.
fn ends(list: &str) -> Option<(usize, usize)> {
    let first = list.split([',', '-']).next()?;
    let last = list.split([',', '-']).next_back()?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Binds this process, and every thread and child it starts from now on, to one core.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    change_self("taskset", &["-a", "-p", "-c", &core.to_string()])
}

/// Puts this process, and every thread and child it starts from now on, before all that is not
/// real-time work. Needs root or the like.
pub(crate) fn go_first() -> Result<()> {
    change_self("chrt", &["-a", "-f", "-p", "5"])
}

/// Runs a tool of util-linux on this process.
fn change_self(tool: &str, arguments: &[&str]) -> Result<()> {
    let done = Command::new(tool)
        .args(arguments)
        .arg(std::process::id().to_string())
        .output()
        .with_context(|| format!("{tool} (package util-linux)"))?;
    if !done.status.success() {
        bail!("{tool}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

/// CPU time in nanoseconds that all threads of a process have used together. The kernel brings a
/// running thread's value up to date only now and then: ask when the process is at rest.
pub(crate) fn cpu_time_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")? {
        // A thread that ends between the listing and the reading takes its time with it.
        if let Ok(line) = fs::read_to_string(task?.path().join("schedstat")) {
            let used = line
                .split(' ')
                .next()
                .and_then(|text| text.parse::<u64>().ok());
            sum += used.with_context(|| format!("schedstat is {line:?}, expected numbers"))?;
        }
    }
    Ok(sum)
}

/// Memory of a process in megabytes, without what is swapped out.
pub(crate) fn memory_mb(pid: u32) -> Result<f64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kilobytes: f64 = kilobytes.context("no VmRSS in its status")?.parse()?;
    Ok(kilobytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_has_two_ends() {
        assert_eq!(ends("0-1"), Some((0, 1)));
        assert_eq!(ends("2,4-6"), Some((2, 6)));
        assert_eq!(ends("3"), Some((3, 3)));
        assert_eq!(ends(""), None);
    }
}

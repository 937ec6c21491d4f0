//! Leaves nothing behind: a process of its own that outlives serin by the moment it takes to end
//! every child. In comes the end of a pipe, out go kill signals.
//!
//! Every child of local mode carries [`MARKER`] in its environment and hands it on to its own
//! children, so none escapes by starting another process group or by losing its parent. A program
//! may clear its environment, so serin also tells each child that it starts, in the module `roster`.

pub(super) mod roster;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::block::Block;
use roster::Leader;

/// The environment variable that every child carries; its value is the instance.
pub const MARKER: &str = "SERIN_INSTANCE";

/// What `serin guard` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The state directory.
    #[arg(long)]
    pub state: PathBuf,
    /// The value of the marker.
    #[arg(long)]
    pub instance: String,
    /// The process it stands by.
    #[arg(long)]
    pub owner: u32,
    /// The block to claim; none: any.
    #[arg(long)]
    pub block: Option<u8>,
}

/// What the guard answers, one line of JSON on its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It stands by, nothing of an earlier start is left, and the block is claimed.
    Ready {
        /// The block.
        block: u8,
    },
    /// Another serin runs on this state directory.
    Busy {
        /// Its process id.
        owner: u32,
    },
    /// Something else is wrong.
    Failed {
        /// What.
        why: String,
    },
}

/// Runs the guard until serin is gone and nothing of it is left.
///
/// # Errors
/// If serin cannot be answered, or its children survive.
pub async fn run(args: Args) -> anyhow::Result<()> {
    // Ctrl-C in a terminal is for serin; the guard goes when serin has gone.
    let _deaf = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ];
    let (answer, held) = match begin(&args).await {
        Ok(begun) => begun,
        Err(error) => (
            Answer::Failed {
                why: format!("{error:#}"),
            },
            None,
        ),
    };
    let mut line = serde_json::to_string(&answer)?;
    line.push('\n');
    io::stdout().write_all(line.as_bytes())?;
    io::stdout().flush()?;
    let Some(_held) = held else {
        return Ok(());
    };
    let mut pipe = BufReader::new(tokio::io::stdin()).lines();
    let mut told = BTreeSet::new();
    // The lines end when serin is gone, however it went.
    while let Ok(Some(line)) = pipe.next_line().await {
        told.retain(Leader::is_alive);
        told.extend(line.parse::<Leader>());
    }
    for leader in told {
        leader.kill_group();
    }
    sweep(&args.instance).await
}

/// What is held for as long as the guard lives.
struct Held {
    _lock: File,
    _claim: std::net::TcpListener,
}

async fn begin(args: &Args) -> anyhow::Result<(Answer, Option<Held>)> {
    let lock = match lock(args).await? {
        Ok(lock) => lock,
        Err(owner) => return Ok((Answer::Busy { owner }, None)),
    };
    let (block, claim) = match args.block.map(Block) {
        // In the place of a guard that ended: the children are those of a serin that lives.
        Some(block) => (block, block.hold()?),
        None => {
            sweep(&args.instance).await?;
            Block::claim(wish(&args.instance)).context("claim a block of loopback addresses")?
        }
    };
    let held = Held {
        _lock: lock,
        _claim: claim,
    };
    Ok((Answer::Ready { block: block.0 }, Some(held)))
}

/// The same instance gets the same block as long as it is free.
fn wish(instance: &str) -> u64 {
    instance.bytes().fold(0, |sum: u64, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

/// Locks the state directory, or says who has it. A lock whose owner is dead is held by a guard
/// that is still cleaning up, and soon free.
async fn lock(args: &Args) -> anyhow::Result<Result<File, u32>> {
    // A guard gives up sweeping after SWEEP; beyond that nobody will free the lock.
    let deadline = Instant::now() + 2 * SWEEP;
    let path = args.state.join("lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
            Err(fs::TryLockError::WouldBlock) => {}
        }
        let owner = fs::read_to_string(&path)?.trim().parse().unwrap_or(0);
        if owner != args.owner && alive(owner) || Instant::now() > deadline {
            return Ok(Err(owner));
        }
        sleep(POLL).await;
    }
    file.set_len(0)?;
    writeln!(file, "{}", args.owner)?;
    Ok(Ok(file))
}

const POLL: Duration = Duration::from_millis(20);

/// How long killed processes may take to vanish: they may be in the middle of a disk write.
const SWEEP: Duration = Duration::from_secs(10);

/// Whether a process runs; one that has ended and was not yet asked for does not.
fn alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The name in parentheses may contain anything; the state follows the last one.
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    !state.is_some_and(|state| state.starts_with(['Z', 'X']))
}

/// Kills every process that carries the marker of `instance` until none is left.
///
/// # Errors
/// If some survive for long.
pub async fn sweep(instance: &str) -> anyhow::Result<()> {
    let marker = format!("{MARKER}={instance}");
    let deadline = Instant::now() + SWEEP;
    // A process between fork and exec still shows serin's own environment; it has the marker by
    // the second look.
    let mut clean_looks = 0;
    while clean_looks < 2 {
        let found = marked(&marker)?;
        clean_looks = if found.is_empty() { clean_looks + 1 } else { 0 };
        for pid in &found {
            // It may be gone by now, which is as good.
            let _ = kill_process(*pid, Signal::KILL);
        }
        if Instant::now() > deadline {
            anyhow::bail!("{} processes of local mode survive", found.len());
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// The processes with `marker` in their environment.
fn marked(marker: &str) -> anyhow::Result<Vec<Pid>> {
    let processes = fs::read_dir("/proc")
        .context("list /proc (local mode needs Linux to leave no process behind)")?;
    let carries = |dir: &Path| {
        fs::read(dir.join("environ")).is_ok_and(|environ| {
            environ
                .split(|b| *b == 0)
                .any(|var| var == marker.as_bytes())
        })
    };
    Ok(processes
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().as_bytes().iter().all(u8::is_ascii_digit))
        .filter(|entry| carries(&entry.path()))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn a_sweep_ends_grandchildren_in_other_process_groups() {
        use std::os::unix::process::CommandExt as _;
        let instance = format!("test-{}", std::process::id());
        let mut shell = Command::new("sh")
            .args(["-c", "setsid sleep 1000 & sleep 1000"])
            .env(MARKER, &instance)
            .process_group(0)
            .spawn()
            .unwrap();
        let marker = format!("{MARKER}={instance}");
        let begun = Instant::now();
        while marked(&marker).unwrap().len() < 3 {
            assert!(begun.elapsed() < SWEEP, "sh did not start its children");
            sleep(POLL).await;
        }

        sweep(&instance).await.unwrap();

        assert_eq!(marked(&marker).unwrap(), []);
        assert!(!alive(shell.id()));
        shell.wait().unwrap();
    }

    #[tokio::test]
    async fn a_sweep_spares_other_instances() {
        let instance = format!("other-{}", std::process::id());
        let mut other = Command::new("sleep")
            .arg("1000")
            .env(MARKER, &instance)
            .spawn()
            .unwrap();

        sweep("nobody").await.unwrap();

        assert!(alive(other.id()));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

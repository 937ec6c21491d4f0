//! One process of the cluster: it ends with its owner, and with the host's thread however that ends.

use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

/// What to start.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// Its whole environment; this process' own if there is none.
    pub(crate) environment: Option<Vec<(String, String)>>,
    /// Additions to this process' own environment.
    pub(crate) additions: Vec<(String, String)>,
    pub(crate) log: PathBuf,
}

impl Launch {
    /// A tool that logs under its name.
    pub(crate) fn tool(dir: &Path, name: &str, arguments: &[String]) -> Launch {
        Launch {
            program: crate::local::tool(name).into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: None,
            additions: Vec::new(),
            log: log_path(dir, name),
        }
    }
}

/// A process that was started. Dropped, it is killed with those that it started.
#[derive(Debug)]
pub struct Process {
    id: u32,
    signals: mpsc::UnboundedSender<Signal>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts it, on the host's thread only.
    pub(crate) fn start(launch: Launch) -> io::Result<Process> {
        if let Some(dir) = launch.log.parent() {
            fs::create_dir_all(dir)?;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&launch.log)?;
        let mut command = Command::new("setpriv");
        if let Some(environment) = launch.environment {
            command.env_clear().envs(environment);
        }
        let child = command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(launch.program)
            .args(launch.arguments)
            .envs(launch.additions)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Signals of a terminal are for the host, which ends the processes in order.
            .process_group(0)
            .spawn()?;
        let id = child.id().unwrap_or_default();
        let (signals, told) = mpsc::unbounded_channel();
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = attend(child, told).await;
            sender.send_replace(Some(status));
        });
        Ok(Process { id, signals, ended })
    }

    /// Its number, while it lives.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sends a signal to it and those that it started.
    fn signal(&self, signal: Signal) {
        // It is told to nobody if the process has ended.
        let _ = self.signals.send(signal);
    }

    /// Kills it: no handler of its own runs.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Asks it to end, as a kubelet does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// How it ended; none while it runs.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits until it has ended.
    pub async fn end(&mut self) -> ExitStatus {
        let ended = self.ended.wait_for(Option::is_some).await;
        // Nobody is left to say so when the host ends.
        ended.ok().and_then(|status| *status).unwrap_or_default()
    }
}

/// Owns the child until it has ended, so that a signal never meets another process of its number.
async fn attend(mut child: Child, mut signals: mpsc::UnboundedReceiver<Signal>) -> ExitStatus {
    let group = Group::of(&child);
    loop {
        tokio::select! {
            status = child.wait() => return status.unwrap_or_default(),
            signal = signals.recv() => match signal {
                Some(signal) => group.signal(signal),
                None => {
                    drop(group);
                    return child.wait().await.unwrap_or_default();
                }
            },
        }
    }
}

/// A process and those that it started; killed when dropped, also with the host's runtime. Those
/// that outlive their parent are still of its group.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Group(id.and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // Whoever has ended needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Where the part of this name logs.
pub(crate) fn log_path(dir: &Path, name: &str) -> PathBuf {
    dir.join("logs").join(format!("{name}.log"))
}

/// The last lines of a log.
pub(crate) fn log_end(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

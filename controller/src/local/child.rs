//! Child processes: each in a process group of its own, marked for the guard, its output in a file.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::guard::MARKER;
use super::guard::roster::Roster;

/// A process to start.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// The program, looked up on the PATH in `env` if it has no slash.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables beside those that serin itself has.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub dir: PathBuf,
    /// The file that takes its output.
    pub log: PathBuf,
    /// Who must end it if serin cannot.
    pub ward: Ward,
}

/// How the guard knows a child.
#[derive(Clone, Debug, Default)]
pub(super) struct Ward {
    /// The value of the guard's marker.
    pub instance: String,
    /// The children that the guard is told.
    pub roster: Roster,
}

/// Variables of the user's shell that would lead a child's requests past its proxy.
const UNWANTED: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

impl Launch {
    /// Starts the process.
    ///
    /// # Errors
    /// If the program is not there or the log cannot be written.
    pub(super) fn spawn(&self) -> io::Result<Child> {
        let log = self.open_log()?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        for name in UNWANTED {
            command.env_remove(name);
        }
        let child = command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env(MARKER, &self.ward.instance)
            .spawn()?;
        self.ward.roster.add(child.id());
        Ok(child)
    }

    /// Appends, since a process that was started again tells in the same file why it ended. A file
    /// that has grown large is begun anew.
    fn open_log(&self) -> io::Result<File> {
        const LARGE: u64 = 16 * 1024 * 1024;
        let large = fs::metadata(&self.log).is_ok_and(|file| file.len() > LARGE);
        if large {
            fs::remove_file(&self.log)?;
        }
        File::options().create(true).append(true).open(&self.log)
    }
}

/// Asks a process group to end and ends it after `grace`.
pub(super) async fn end(child: &mut Child, grace: Duration) {
    let group = child.id();
    signal_group(group, Signal::TERM);
    if timeout(grace, child.wait()).await.is_err() {
        signal_group(group, Signal::KILL);
        // A killed process ends unless the kernel is stuck, and then waiting would not help.
        let _ = timeout(Duration::from_secs(5), child.wait()).await;
    }
    // What the process has started and left behind.
    signal_group(group, Signal::KILL);
}

/// Ends what a process that has ended itself left behind in its group.
pub(super) fn end_rest(group: Option<u32>) {
    signal_group(group, Signal::KILL);
}

fn signal_group(group: Option<u32>, signal: Signal) {
    let pid = group
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A group that is gone already is as good.
        let _ = kill_process_group(pid, signal);
    }
}

/// How a process ended, as the user reads it, with the last line it wrote.
pub(super) fn epitaph(status: ExitStatus, log: &Path) -> String {
    match last_line(log) {
        Some(line) => format!("{status}: {line}"),
        None => status.to_string(),
    }
}

fn last_line(log: &Path) -> Option<String> {
    const TAIL: u64 = 2048;
    const SHOWN: usize = 200;
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let line = tail.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(printable(line.trim()).take(SHOWN).collect())
}

/// What a process wrote, without what would steer the terminal that it is shown in.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_wrote_last_does_not_steer_the_terminal() {
        let log = std::env::temp_dir().join(format!("serin-last-line-{}", std::process::id()));
        fs::write(&log, "first\n\x1b]0;x\x07\x1b[2J\u{2714} Healthy\n").unwrap();
        let line = last_line(&log).unwrap();
        assert_eq!(line, "\u{fffd}]0;x\u{fffd}\u{fffd}[2J\u{2714} Healthy");
        fs::remove_file(&log).unwrap();
    }
}

//! Envoy and Prometheus as children: found, started, and started again if they end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::child::{self, Launch};
use super::stop::{self, Ask, Stop};

/// Finds a program: where the user says, in `.tools/bin` here or in a directory above, the same for
/// the executable (a build lies in its checkout), or on PATH.
///
/// # Errors
/// Where it was looked for.
pub(super) fn find(name: &str, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        anyhow::ensure!(
            given.is_file(),
            "--{name} is {}, expected a program",
            given.display()
        );
        return Ok(std::path::absolute(given)?);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let exe = std::env::current_exe().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let found = here
        .ancestors()
        .chain(exe.ancestors().skip(1))
        .map(|checkout| checkout.join(".tools/bin"))
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(name))
        .find(|program| program.is_file());
    match found {
        Some(program) => Ok(std::path::absolute(program)?),
        None => anyhow::bail!(
            "{name} is neither in .tools/bin nor on PATH (make setup fetches it, --{name} says where it is)"
        ),
    }
}

/// A tool that is kept running.
#[derive(Debug)]
pub(super) struct Tool {
    stop: Ask,
    task: JoinHandle<()>,
    starts: watch::Receiver<u32>,
}

impl Tool {
    /// Starts `launch` and starts it again whenever it ends.
    pub(super) fn keep(name: &'static str, launch: Launch) -> Tool {
        let (stop, stopped) = stop::channel();
        let (count, starts) = watch::channel(0);
        let task = tokio::spawn(keep(name, Arc::new(launch), stopped, count));
        Tool { stop, task, starts }
    }

    /// How often it was started; what an earlier process was told is forgotten.
    pub(super) fn starts(&self) -> u32 {
        *self.starts.borrow()
    }

    /// Ends it.
    pub(super) async fn end(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn keep(
    name: &'static str,
    launch: Arc<Launch>,
    mut stopped: Stop,
    starts: watch::Sender<u32>,
) {
    /// Neither has requests of its own to finish once the gateway's listeners are gone.
    const GRACE: Duration = Duration::from_secs(3);
    let mut backoff = Backoff::default();
    while !stopped.is_asked() {
        let begun = Instant::now();
        let log = launch.log.display();
        match launch.spawn() {
            Ok(mut child) => {
                starts.send_modify(|starts| *starts += 1);
                let group = child.id();
                tokio::select! {
                    status = child.wait() => {
                        child::end_rest(group);
                        let how = status.map_or_else(|e| e.to_string(), |s| child::epitaph(s, &launch.log));
                        tracing::error!(tool = name, %how, %log, "tool ended");
                    }
                    () = stopped.asked() => return child::end(&mut child, GRACE).await,
                }
            }
            Err(error) => tracing::error!(tool = name, %error, %log, "tool cannot be started"),
        }
        let wait = backoff.after(begun.elapsed());
        tokio::select! {
            () = sleep(wait) => {}
            () = stopped.asked() => return,
        }
    }
}

//! Envoy and Prometheus as children: found, started, and started again if they end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::child::{self, Launch};
use super::own;
use super::stop::{self, Ask, Stop};

/// Finds a program: where the user says, in `.tools/bin` here or above the executable (a build lies
/// in its checkout), or on PATH. Not above the working directory, and in it only what nobody else
/// can have put there: anybody may write to `/tmp`.
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
    let trusted = |program: &PathBuf| {
        !program.starts_with(&here) || own::is_trusted(program).unwrap_or_default()
    };
    let found = candidates(name, &here, &exe, &path).filter(trusted);
    let found = found.into_iter().find(|program| program.is_file());
    match found {
        Some(program) => Ok(std::path::absolute(program)?),
        None => anyhow::bail!(
            "{name} is neither in .tools/bin nor on PATH (make setup fetches it, --{name} says where it is)"
        ),
    }
}

fn candidates<'a>(
    name: &'a str,
    here: &'a Path,
    exe: &'a Path,
    path: &'a OsStr,
) -> impl Iterator<Item = PathBuf> + 'a {
    std::iter::once(here)
        .chain(exe.ancestors().skip(1))
        .map(|checkout| checkout.join(".tools/bin"))
        .chain(std::env::split_paths(path))
        .map(move |dir| dir.join(name))
}

/// A tool that is kept running.
#[derive(Debug)]
pub(super) struct Tool {
    stop: Ask,
    task: JoinHandle<()>,
    life: watch::Receiver<Life>,
}

/// How a tool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Life {
    starts: u32,
    runs: bool,
}

impl Tool {
    /// Starts `launch` and starts it again whenever it ends.
    pub(super) fn keep(name: &'static str, launch: Launch) -> Tool {
        let (stop, stopped) = stop::channel();
        let (told, life) = watch::channel(Life::default());
        let task = tokio::spawn(keep(name, Arc::new(launch), stopped, told));
        Tool { stop, task, life }
    }

    /// How often it was started, 0 while it does not run: what an earlier process was told is
    /// forgotten, and what answers in its absence is another program.
    pub(super) fn starts(&self) -> u32 {
        let life = *self.life.borrow();
        if life.runs { life.starts } else { 0 }
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
    told: watch::Sender<Life>,
) {
    /// Neither has requests of its own to finish once the gateway's listeners are gone.
    const GRACE: Duration = Duration::from_secs(3);
    let mut backoff = Backoff::default();
    while !stopped.is_asked() {
        let begun = Instant::now();
        let log = launch.log.display();
        match launch.spawn() {
            Ok(mut child) => {
                told.send_modify(|life| {
                    life.starts += 1;
                    life.runs = true;
                });
                let group = child.id();
                tokio::select! {
                    status = child.wait() => {
                        told.send_modify(|life| life.runs = false);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_above_the_working_directory_is_not_searched() {
        let found: Vec<PathBuf> = candidates(
            "envoy",
            Path::new("/tmp/shop"),
            Path::new("/src/target/serin"),
            OsStr::new("/usr/bin"),
        )
        .collect();
        let expected = [
            "/tmp/shop/.tools/bin/envoy",
            "/src/target/.tools/bin/envoy",
            "/src/.tools/bin/envoy",
            "/.tools/bin/envoy",
            "/usr/bin/envoy",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[tokio::test]
    async fn a_tool_that_has_ended_counts_as_not_started() {
        let dir = std::env::temp_dir().join(format!("serin-tool-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let launch = Launch {
            program: "false".into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: dir.clone(),
            log: dir.join("log"),
            ward: child::Ward::default(),
        };
        let mut tool = Tool::keep("false", launch);

        let ended = tool.life.wait_for(|life| life.starts > 0 && !life.runs);
        drop(ended.await.unwrap());

        assert_eq!(tool.starts(), 0);
        tool.end().await;
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

//! The programs: what they say and how they end.

use serin_tests::local::{binary, tool};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for a line.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serin and the plugin at one cluster.
pub(super) struct Programs {
    kubeconfig: PathBuf,
    namespace: Option<String>,
    dir: PathBuf,
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Whether it says that all is well.
    pub(super) good: bool,
    /// Its standard output.
    pub(super) out: String,
    /// Its standard error.
    pub(super) err: String,
}

impl Programs {
    /// Those that look at one namespace.
    pub(super) fn new(kubeconfig: &Path, namespace: &str) -> Programs {
        Programs {
            kubeconfig: kubeconfig.to_path_buf(),
            namespace: Some(namespace.to_string()),
            dir: std::env::temp_dir(),
        }
    }

    /// Those that find out by themselves, started in this directory.
    pub(super) fn anywhere(kubeconfig: &Path, dir: &Path) -> Programs {
        Programs {
            kubeconfig: kubeconfig.to_path_buf(),
            namespace: None,
            dir: dir.to_path_buf(),
        }
    }

    /// Runs `serin`.
    pub(super) fn serin(&self, arguments: &[impl AsRef<str>]) -> Ended {
        self.run(&binary("serin"), arguments)
    }

    /// Runs Argo Rollouts' plugin.
    pub(super) fn plugin(&self, arguments: &[impl AsRef<str>]) -> Ended {
        self.run(&tool("kubectl-argo-rollouts"), arguments)
    }

    /// Runs `serin`, which must end well; what it says.
    pub(super) fn must_serin(&self, arguments: &[impl AsRef<str>]) -> String {
        let ended = self.serin(arguments);
        assert!(ended.good, "{ended:#?}");
        ended.out
    }

    /// Runs the plugin, which must end well.
    pub(super) fn must_plugin(&self, arguments: &[impl AsRef<str>]) {
        let ended = self.plugin(arguments);
        assert!(ended.good, "{ended:#?}");
    }

    /// Starts `serin` and reads what it says line by line.
    pub(super) fn watch(&self, arguments: &[&str]) -> Watching {
        let mut command = self.command(&binary("serin"), arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("serin starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Watching { child, lines }
    }

    fn run(&self, program: &Path, arguments: &[impl AsRef<str>]) -> Ended {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let output = self.command(program, &arguments).output();
        let output = output.expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            good: output.status.success(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.dir)
            .env_remove("SERIN_STATE")
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        command
    }
}

/// A `serin` that watches. Dropped, it is stopped.
#[derive(Debug)]
pub(super) struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    /// The next line; none at its end.
    pub(super) fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no line: {self:#?}"),
        }
    }

    /// Whether this line comes.
    pub(super) fn until(&mut self, expected: &str) -> bool {
        std::iter::from_fn(|| self.line()).any(|line| line == expected)
    }

    /// The exit code once it has ended.
    pub(super) fn end(&mut self) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }

    /// What it said on standard error until its end.
    pub(super) fn errors(&mut self) -> String {
        let mut text = String::new();
        let mut pipe = self.child.stderr.take().expect("a pipe");
        pipe.read_to_string(&mut text).expect("is text");
        text
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs of spaces as one.
pub(super) fn spaced(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

//! A real `serin local`: started, talked to by the real command line, killed and started again.

use serde_json::Value;
use serin::local::Doors;
use serin::view::RolloutView;
use serin_core::revision;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::client::Client;

/// How long a test waits for anything before it says what it saw instead.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running `serin local` with manifests and state of its own. Dropped, it is stopped.
#[derive(Debug)]
pub struct Local {
    child: Child,
    dir: TempDir,
    options: Vec<String>,
    /// Where its gateway listens.
    pub gateway: SocketAddr,
}

impl Local {
    /// Starts it with these manifests, file name and text each.
    pub fn start(manifests: &[(&str, String)]) -> Local {
        Local::start_with(manifests, &[])
    }

    /// Starts it with further options.
    pub fn start_with(manifests: &[(&str, String)], options: &[&str]) -> Local {
        let dir = tempfile::tempdir().expect("a directory for the test");
        fs::create_dir(dir.path().join("app")).expect("a directory for the manifests");
        for (file, text) in manifests {
            fs::write(dir.path().join("app").join(file), text).expect("a manifest");
        }
        let gateway = free_address();
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let child = spawn(dir.path(), gateway, &options);
        Local {
            child,
            dir,
            options,
            gateway,
        }
    }

    /// Replaces a manifest as an editor does, at once.
    pub fn edit(&self, file: &str, text: &str) {
        let path = self.dir.path().join("app").join(file);
        let fresh = path.with_extension("new");
        fs::write(&fresh, text).expect("the new text");
        fs::rename(&fresh, &path).expect("the new text in place");
    }

    /// Waits until the gateway answers for this host.
    pub fn until_reachable(&self, host: &str) {
        let started = Instant::now();
        let answers = || Client::connect(self.gateway)?.get(host, "/", &[]);
        while !answers().is_ok_and(|answer| answer.status == 200) {
            assert!(
                started.elapsed() < PATIENCE,
                "nobody answers for {host}\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The directory of its state.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Kills it as a crash would: no handler of its own runs.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Starts it again with the same manifests and state.
    pub fn restart(&mut self) {
        self.child = spawn(self.dir.path(), self.gateway, &self.options);
    }

    /// Runs a verb of the command line against it.
    pub fn serin(&self, arguments: &[&str]) -> Output {
        Command::new(binary("serin"))
            .args(arguments)
            .arg("--state")
            .arg(self.state())
            .stdin(Stdio::null())
            .output()
            .expect("serin runs")
    }

    /// Runs a verb that must succeed; what it printed.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.serin(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "serin {arguments:?}: {text}{errors}{}",
            self.log()
        );
        text
    }

    /// Where it listens.
    pub fn doors(&self) -> Doors {
        self.ask("/v1/doors").expect("local mode answers")
    }

    /// What Envoy's admin interface answers at `path`.
    pub fn envoy(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.doors().envoy_admin);
        runtime().block_on(async {
            let answer = plain_http().get(url).send().await.expect("Envoy answers");
            answer.text().await.expect("with text")
        })
    }

    /// The values of a query's answer by the local Prometheus, NaN where it says so.
    pub fn query(&self, query: &str) -> Vec<f64> {
        self.ask_prometheus(&[("query", query)])
    }

    /// The same as of `time`, in seconds since 1970.
    pub fn query_at(&self, query: &str, time: f64) -> Vec<f64> {
        self.ask_prometheus(&[("query", query), ("time", &time.to_string())])
    }

    fn ask_prometheus(&self, parameters: &[(&str, &str)]) -> Vec<f64> {
        let url = format!("http://{}/api/v1/query", self.doors().prometheus);
        let answer: Value = runtime().block_on(async {
            let asked = plain_http().get(url).query(parameters).send().await;
            asked
                .expect("Prometheus answers")
                .json()
                .await
                .expect("with JSON")
        });
        let result = answer["data"]["result"].as_array();
        let result = result.unwrap_or_else(|| panic!("{parameters:?}: {answer}"));
        let values = result
            .iter()
            .map(|sample| sample["value"][1].as_str()?.parse().ok());
        values
            .collect::<Option<_>>()
            .unwrap_or_else(|| panic!("{parameters:?}: {answer}"))
    }

    /// Waits until a query's values are as `good` wants them.
    pub fn until_query(&self, query: &str, good: impl Fn(&[f64]) -> bool) -> Vec<f64> {
        let started = Instant::now();
        loop {
            let values = self.query(query);
            if good(&values) {
                return values;
            }
            assert!(started.elapsed() < PATIENCE, "{query} stays {values:?}");
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// What it says of a Rollout; none while it does not answer.
    pub fn view(&self, name: &str) -> Option<RolloutView> {
        self.ask(&format!("/v1/rollouts/default/{name}"))
    }

    /// What its socket answers at `path`; none while it does not answer, or with an error.
    pub fn ask<T: serde::de::DeserializeOwned>(&self, path: &str) -> Option<T> {
        let runtime = runtime();
        let socket = self.state().join("serin.sock");
        runtime.block_on(async {
            let client = serin::http::plain().unix_socket(socket).build().ok()?;
            let answer = client
                .get(format!("http://serin{path}"))
                .send()
                .await
                .ok()?;
            answer.error_for_status().ok()?.json().await.ok()
        })
    }

    /// Waits until the Rollout is as `good` wants it, and returns what was seen then.
    pub fn until(
        &self,
        name: &str,
        what: &str,
        good: impl Fn(&RolloutView) -> bool,
    ) -> RolloutView {
        let started = Instant::now();
        loop {
            let view = self.view(name);
            if let Some(view) = view.as_ref().filter(|view| good(view)) {
                return view.clone();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{name} never: {what}\n{view:#?}\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the Rollout is Healthy with the template of `version` revisions.
    pub fn until_healthy(&self, name: &str) -> RolloutView {
        self.until(name, "Healthy", |view| {
            view.phase == serin_core::step::Phase::Healthy
        })
    }

    /// Waits until it pauses at step `index`, 0-based, with the weight acknowledged.
    pub fn until_paused_at(&self, name: &str, index: usize) -> RolloutView {
        self.until(name, &format!("paused at step {index}"), |view| {
            view.phase == serin_core::step::Phase::Paused && view.step_index == index
        })
    }

    /// What it logged, its last lines.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.dir.path().join("serin.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The processes that belong to it, whoever started them: `PID COMMAND` each.
    pub fn processes(&self) -> Vec<String> {
        let state = self.state().canonicalize().expect("its state");
        let state = state.to_string_lossy();
        let instance = revision::hash(&Value::String(state.to_string()));
        let marker = format!("SERIN_INSTANCE={instance}\0");
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let path = entry.path();
            let read = |file: &str| fs::read(path.join(file)).unwrap_or_default();
            let mentions =
                |bytes: Vec<u8>, text: &str| String::from_utf8_lossy(&bytes).contains(text);
            let alive = !String::from_utf8_lossy(&read("stat")).contains(") Z ");
            if alive && (mentions(read("cmdline"), &state) || mentions(read("environ"), &marker)) {
                let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
                found.push(format!("{} {command}", entry.file_name().to_string_lossy()));
            }
        }
        found
    }

    /// Waits until no process of it is left.
    pub fn until_gone(&self) {
        let started = Instant::now();
        while !self.processes().is_empty() {
            assert!(
                started.elapsed() < PATIENCE,
                "left behind: {:#?}",
                self.processes()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // An orderly stop, and the hard one if that takes too long.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(&pid).status();
        }
        let started = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if started.elapsed() > Duration::from_secs(20) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            thread::sleep(Duration::from_millis(20));
        }
        if thread::panicking() {
            eprintln!("--- serin.log\n{}", self.log());
        }
    }
}

fn plain_http() -> reqwest::Client {
    serin::http::plain().build().expect("an HTTP client")
}

/// A runtime for a few requests.
pub fn runtime() -> tokio::runtime::Runtime {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    built.expect("a runtime")
}

fn spawn(dir: &Path, gateway: SocketAddr, options: &[String]) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("serin.log"));
    let log = log.expect("a log file");
    Command::new(binary("serin"))
        .arg("local")
        .arg(dir.join("app"))
        .arg("--state")
        .arg(dir.join("state"))
        .arg("--gateway")
        .arg(gateway.to_string())
        .arg("--envoy")
        .arg(tool("envoy"))
        .arg("--prometheus")
        .arg(tool("prometheus"))
        .args(options)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log file twice"))
        .stderr(log)
        .spawn()
        .expect("serin starts")
}

/// An address that nobody else uses: each gets a loopback address of its own, apart from those
/// that outgoing connections and local mode's blocks take.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id().to_be_bytes();
    let last = NEXT.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from(([127, 216 + process[2] % 38, process[3], last], 8080))
}

/// A binary of this workspace, built now if its sources changed: a stale one cannot pass.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own path");
        // A test is in `deps`, a program beside that.
        let dir = test.parent().expect("is in a directory");
        let dir = match dir.parent() {
            Some(above) if dir.ends_with("deps") => above,
            _ => dir,
        };
        let dir = dir.to_path_buf();
        let release = dir.ends_with("release").then_some("--release");
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo says to a test of the test's own package; a build script that reads it would
        // run again, and all that depends on it be built again.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&*name);
            }
        }
        let status = cargo
            .args(["build", "--quiet", "-p", "serin", "-p", "serin-demo"])
            .args(release)
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .arg("--target-dir")
            .arg(dir.parent().expect("target"))
            .status();
        assert!(
            status.expect("cargo runs").success(),
            "the binaries can be built"
        );
        dir
    });
    dir.join(name)
}

/// A tool that `make setup` provides.
pub fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.tools/bin")
        .join(name);
    path.canonicalize()
        .unwrap_or_else(|_| panic!("{} is missing: run `make setup`", path.display()))
}

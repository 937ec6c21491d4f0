//! One Envoy process with what listeners it is given, bound to a core.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::machine;

/// Compiling the modules takes seconds on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How Envoy is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch<'a> {
    /// Envoy itself.
    pub(crate) binary: &'a Path,
    /// Takes its files; `log` in it says why it would not start.
    pub(crate) dir: &'a Path,
    /// The core that it is bound to.
    pub(crate) core: usize,
    /// How many threads take requests.
    pub(crate) workers: usize,
}

/// A running Envoy; it ends with this value.
pub(crate) struct Envoy {
    child: Child,
    admin: String,
    pub(crate) listeners: HashMap<String, SocketAddr>,
}

impl Envoy {
    /// Starts it with `config` and waits until every listener is there.
    pub(crate) fn start(launch: &Launch<'_>, config: &Value) -> Result<Self> {
        let Launch {
            binary,
            dir,
            core,
            workers,
        } = *launch;
        let file = dir.join("envoy.json");
        let admin = dir.join("admin");
        let log = dir.join("log");
        fs::write(&file, config.to_string())?;
        let _ = fs::remove_file(&admin);
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(binary)
            .args([
                "--disable-hot-restart",
                "--concurrency",
                &workers.to_string(),
                "-l",
                "warning",
            ])
            .arg("--config-path")
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&admin)
            .arg("--log-path")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("stderr"))?)
            .spawn()
            .context("taskset (package util-linux)")?;
        let mut envoy = Envoy {
            child,
            admin: String::new(),
            listeners: HashMap::new(),
        };
        envoy.listeners = envoy.wait(&admin).with_context(|| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(5).collect();
            format!(
                "envoy's log ends with\n{}",
                end.into_iter().rev().collect::<Vec<_>>().join("\n")
            )
        })?;
        Ok(envoy)
    }

    /// What the admin interface answers.
    pub(crate) fn ask(&self, path: &str) -> Result<String> {
        ask(&self.admin, path)
    }

    /// What it has in memory now.
    pub(crate) fn memory_mb(&self) -> Result<f64> {
        machine::memory_mb(self.child.id())
    }

    /// CPU time used so far, read when Envoy has finished what it had to do after the last answer.
    pub(crate) fn cpu_time_ns(&self) -> Result<u64> {
        let mut before = machine::cpu_time_ns(self.child.id())?;
        for _ in 0..100 {
            thread::sleep(Duration::from_micros(200));
            let now = machine::cpu_time_ns(self.child.id())?;
            if now == before {
                break;
            }
            before = now;
        }
        Ok(before)
    }

    /// The listeners' addresses, once Envoy is ready.
    fn wait(&mut self, admin: &Path) -> Result<HashMap<String, SocketAddr>> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("envoy ended with {status}");
            }
            thread::sleep(Duration::from_millis(50));
            let Ok(address) = fs::read_to_string(admin) else {
                continue;
            };
            match ask(&address, "/ready") {
                Ok(ready) if ready.contains("LIVE") => {
                    self.admin.clone_from(&address);
                    return addresses(&ask(&address, "/listeners?format=json")?);
                }
                _ => {}
            }
        }
        bail!("envoy is not ready after {START_PATIENCE:?}")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(admin: &str, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect(admin.trim())?;
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Reads `/listeners`, whose JSON may arrive in chunks.
fn addresses(answer: &str) -> Result<HashMap<String, SocketAddr>> {
    let start = answer.find('{').context("no JSON from /listeners")?;
    let end = answer.rfind('}').context("no JSON from /listeners")?;
    let json: Value = serde_json::from_str(answer.get(start..=end).unwrap_or_default())?;
    let all = json["listener_statuses"]
        .as_array()
        .context("no listeners")?;
    all.iter()
        .map(|one| {
            let name = one["name"].as_str().context("a listener without a name")?;
            let socket = &one["local_address"]["socket_address"];
            let ip = socket["address"]
                .as_str()
                .context("a listener without an address")?;
            let port = socket["port_value"]
                .as_u64()
                .context("a listener without a port")?;
            Ok((name.to_string(), format!("{ip}:{port}").parse()?))
        })
        .collect()
}

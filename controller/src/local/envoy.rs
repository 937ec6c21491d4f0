//! Envoy as a child: in comes a mesh, out go files that it watches, and back comes which
//! generation its filters run.

pub(super) mod config;
pub(super) mod mesh;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serin_core::field::FieldErrors;
use serin_core::metric::GENERATION;
use serin_core::wire::FilterConfig;

use super::child::{Launch, Ward};
use config::Paths;
use mesh::Mesh;

/// The files that Envoy watches, and what is in them.
#[derive(Debug)]
pub(super) struct Files {
    paths: Paths,
    written: BTreeMap<PathBuf, String>,
    /// Per filter instance: its configuration without generation, and the generation that it was
    /// written with.
    filters: BTreeMap<String, (FilterConfig, u64)>,
    /// Per filter instance: why it will refuse its configuration.
    refused: BTreeMap<String, FieldErrors>,
}

impl Files {
    /// Begins in an empty directory of `state`: what an earlier Envoy was told is decided anew.
    ///
    /// # Errors
    /// If the directory or the module cannot be written.
    pub(super) fn begin(state: &Path, module: &[u8]) -> io::Result<Files> {
        let root = state.join("envoy");
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&root)?,
        }
        let name = format!("serin_filter-{:016x}.wasm", fingerprint(module));
        let paths = Paths {
            module: root.join(name),
            root,
        };
        fs::write(&paths.module, module)?;
        Ok(Files {
            paths,
            written: BTreeMap::new(),
            filters: BTreeMap::new(),
            refused: BTreeMap::new(),
        })
    }

    /// Gives each filter whose configuration has changed a generation above `last`, and returns
    /// the highest given.
    pub(super) fn number(&mut self, mesh: &Mesh, last: u64) -> u64 {
        let wanted = mesh.filters();
        self.filters.retain(|name, _| wanted.contains_key(name));
        self.refused.retain(|name, _| wanted.contains_key(name));
        let next = last + 1;
        let mut highest = last;
        for (name, config) in wanted {
            let known = self.filters.get(&name);
            if known.is_none_or(|(known, _)| *known != config) {
                self.refused.remove(&name);
                if let Err(errors) = config.to_json() {
                    tracing::error!(filter = name, %errors, "configuration is beyond the filter's limits");
                    self.refused.insert(name.clone(), errors);
                }
                self.filters.insert(name, (config, next));
                highest = next;
            }
        }
        highest
    }

    /// What the filters refuse of what they were given: each goes on as it was.
    pub(super) fn refused(&self) -> impl Iterator<Item = String> {
        self.refused.iter().map(|(name, errors)| {
            format!(
                "the proxy {name} cannot run what is wanted, beyond the filter's limits: {errors}"
            )
        })
    }

    /// Writes what differs from what Envoy has, after [`Files::number`].
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn write(&mut self, mesh: &Mesh) -> io::Result<()> {
        let filters: Vec<FilterConfig> = self
            .filters
            .values()
            .map(|(config, generation)| FilterConfig {
                generation: *generation,
                ..config.clone()
            })
            .collect();
        for (path, document) in config::files(mesh, &filters, &self.paths) {
            let text = document.to_string();
            if self.written.get(&path) != Some(&text) {
                replace(&self.paths.root.join(&path), text.as_bytes())?;
                self.written.insert(path, text);
            }
        }
        Ok(())
    }

    /// Whether every filter shows the generation that it was given. One that is asked for nothing
    /// is not there to show any.
    pub(super) fn verified(&self, shown: &BTreeMap<String, u64>) -> bool {
        let runs =
            |name: &str, generation| shown.get(name).is_some_and(|shown| *shown >= generation);
        self.filters
            .iter()
            .all(|(name, (config, generation))| config.is_idle() || runs(name, *generation))
    }

    /// What to start; writes the bootstrap.
    ///
    /// # Errors
    /// If the bootstrap cannot be written.
    pub(super) fn launch(
        &self,
        program: PathBuf,
        state: &Path,
        ward: &Ward,
        admin: SocketAddr,
    ) -> io::Result<Launch> {
        let bootstrap = self.paths.root.join("bootstrap.json");
        replace(
            &bootstrap,
            config::bootstrap(&self.paths, admin).to_string().as_bytes(),
        )?;
        // Two workers show what differs between workers; more only cost memory on a laptop.
        let args = [
            "--concurrency",
            "2",
            "--disable-hot-restart",
            "--drain-time-s",
            "5",
            "-l",
            "warning",
            "-c",
        ];
        let mut args: Vec<String> = args.map(str::to_string).to_vec();
        args.push(bootstrap.display().to_string());
        Ok(Launch {
            program,
            args,
            env: Vec::new(),
            dir: state.to_path_buf(),
            log: state.join("logs/envoy.log"),
            ward: ward.clone(),
        })
    }
}

/// The generations that Envoy's filters show, by instance.
///
/// # Errors
/// If Envoy does not answer.
pub(super) async fn generations(
    client: &reqwest::Client,
    admin: SocketAddr,
) -> Result<BTreeMap<String, u64>, reqwest::Error> {
    let url = format!("http://{admin}/stats/prometheus?filter={GENERATION}");
    let text = client
        .get(url)
        .send()
        .await?
        .error_for_status()?
        .text()
        .await?;
    Ok(text.lines().filter_map(generation).collect())
}

/// Reads `serin_config_generation{config="gateway"} 7`.
fn generation(line: &str) -> Option<(String, u64)> {
    let (labels, value) = line
        .strip_prefix(GENERATION)?
        .strip_prefix('{')?
        .split_once("} ")?;
    let (_, rest) = labels.split_once("config=\"")?;
    let (name, _) = rest.split_once('"')?;
    Some((name.to_string(), value.trim().parse().ok()?))
}

/// The replicas that Envoy knows, as `address:port`.
///
/// # Errors
/// If Envoy does not answer.
pub(super) async fn endpoints(
    client: &reqwest::Client,
    admin: SocketAddr,
) -> Result<BTreeSet<SocketAddr>, reqwest::Error> {
    let url = format!("http://{admin}/clusters?format=json");
    let text = client
        .get(url)
        .send()
        .await?
        .error_for_status()?
        .text()
        .await?;
    let clusters: Value = serde_json::from_str(&text).unwrap_or_default();
    let hosts = clusters["cluster_statuses"]
        .as_array()
        .into_iter()
        .flatten();
    let hosts = hosts.flat_map(|cluster| cluster["host_statuses"].as_array().into_iter().flatten());
    Ok(hosts
        .filter_map(|host| {
            let at = &host["address"]["socket_address"];
            let ip = at["address"].as_str()?.parse().ok()?;
            let port = u16::try_from(at["port_value"].as_u64()?).ok()?;
            Some(SocketAddr::new(ip, port))
        })
        .collect())
}

/// Puts a file in place at once: who reads it sees the old or the new one.
///
/// # Errors
/// If it cannot be written.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    File::create(&new)?.write_all(bytes)?;
    fs::rename(&new, path)
}

/// Tells modules apart in file names (FNV-1a 64).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::mesh::Routed;
    use super::*;
    use crate::manifest::Key;
    use serin_core::step::Traffic;

    #[test]
    fn a_generation_is_read_from_prometheus_text() {
        let line = r#"serin_config_generation{config="in_shop-abc_default"} 12"#;
        assert_eq!(
            generation(line),
            Some(("in_shop-abc_default".to_string(), 12))
        );
        assert_eq!(generation("# TYPE serin_config_generation gauge"), None);
    }

    #[test]
    fn what_a_filter_will_refuse_is_told_until_it_is_mended() {
        let key = Key {
            namespace: "default".to_string(),
            name: "shop".to_string(),
        };
        let mesh = |host: String| Mesh {
            gateway: "127.0.0.1:8080".parse().unwrap(),
            routed: vec![Routed {
                key: key.clone(),
                stable_service: None,
                canary_service: None,
                hosts: vec![host],
                sticky: Vec::new(),
                stable: "abc".to_string(),
                canary: "abc".to_string(),
                traffic: Traffic {
                    stable: "abc".to_string(),
                    canary: None,
                },
            }],
            sets: Vec::new(),
        };
        let state = std::env::temp_dir().join(format!("serin-files-{}", std::process::id()));
        let mut files = Files::begin(&state, b"module").unwrap();
        files.number(&mesh("h".repeat(254)), 0);
        let told: Vec<String> = files.refused().collect();
        assert!(
            told.len() == 1 && told[0].contains("the proxy gateway") && told[0].contains("hosts"),
            "{told:?}"
        );
        files.number(&mesh("shop.example.com".to_string()), 1);
        assert_eq!(files.refused().count(), 0);
        fs::remove_dir_all(&state).unwrap();
    }
}

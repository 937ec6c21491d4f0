//! Prometheus as a child that reads Envoy's statistics every second.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::json;

use super::child::{Launch, Ward};
use super::envoy::replace;

/// What to start; writes its configuration.
///
/// # Errors
/// If the configuration cannot be written.
pub(super) fn launch(
    program: PathBuf,
    state: &Path,
    ward: &Ward,
    listen: SocketAddr,
    envoy: SocketAddr,
) -> io::Result<Launch> {
    let config = state.join("prometheus.json");
    replace(&config, configuration(envoy).as_bytes())?;
    let data = state.join("prometheus");
    fs::create_dir_all(&data)?;
    let args = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.display()),
        // A day of one-second samples of one Envoy is some hundred megabytes; nobody looks further
        // back at a release on a laptop.
        "--storage.tsdb.retention.time=1d".to_string(),
        format!("--web.listen-address={listen}"),
        "--log.level=warn".to_string(),
        // Any local page could read what is measured here: no origin is let in.
        "--web.cors.origin=^$".to_string(),
    ];
    Ok(Launch {
        program,
        args: args.to_vec(),
        env: Vec::new(),
        dir: state.to_path_buf(),
        log: state.join("logs/prometheus.log"),
        ward: ward.clone(),
    })
}

/// JSON is YAML, so Prometheus reads it.
fn configuration(envoy: SocketAddr) -> String {
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{
            "job_name": "envoy",
            "metrics_path": "/stats/prometheus",
            "static_configs": [{"targets": [envoy.to_string()]}],
        }],
    })
    .to_string()
}

/// Whether the Prometheus at this address answers queries.
pub(super) async fn ready(client: &reqwest::Client, address: SocketAddr) -> bool {
    let answer = client.get(format!("http://{address}/-/ready")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

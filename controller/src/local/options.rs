//! What a user may choose about local mode.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where the gateway listens unless told otherwise.
pub const DEFAULT_GATEWAY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The state directory unless told otherwise, under the current directory: two checkouts on one
/// machine are two worlds.
pub const DEFAULT_STATE: &str = ".serin";

/// The choices.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory with the manifests.
    pub dir: PathBuf,
    /// Where state, logs and Prometheus' data are kept; created if absent.
    pub state: PathBuf,
    /// Where the gateway listens; port 0 takes a free one.
    pub gateway: SocketAddr,
    /// The Envoy binary; none: `.tools/bin/envoy`, then PATH.
    pub envoy: Option<PathBuf>,
    /// The Prometheus binary; none: `.tools/bin/prometheus`, then PATH.
    pub prometheus: Option<PathBuf>,
    /// Ask the Prometheus that a template names instead of the local one.
    pub keep_prometheus_addresses: bool,
    /// The file with the Secrets that analyses need, which only its owner may read.
    pub secrets: Option<PathBuf>,
    /// Requests to send per second.
    pub traffic: Option<u32>,
    /// The Rollout that gets them; none: the first.
    pub traffic_to: Option<String>,
    /// The filter's module in place of the one that serin brings.
    pub module: Option<PathBuf>,
    /// The executable whose `guard` command stands by; none: this one.
    pub guard: Option<PathBuf>,
}

impl Options {
    /// The defaults for the manifests in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Options {
            dir: dir.into(),
            state: PathBuf::from(DEFAULT_STATE),
            gateway: DEFAULT_GATEWAY,
            envoy: None,
            prometheus: None,
            keep_prometheus_addresses: false,
            secrets: None,
            traffic: None,
            traffic_to: None,
            module: None,
            guard: None,
        }
    }
}

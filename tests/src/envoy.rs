//! A real Envoy with one listener that takes its filter by ECDS, for tests of the filter alone:
//! in goes a configuration of the filter, out comes what its routes and statistics say.

use serde_json::{Value, json};
use serin::ecds;
use serin_core::wire::{FilterConfig, VARIANT_HEADER, Variant};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::client::Client;
use crate::local::{free_address, tool};

/// How long a test waits for Envoy before it says what it saw instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Envoy whose routes answer by themselves: as `stable-0`, or `canary-0` where the
/// request has the filter's header. Dropped, it is ended.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    dir: TempDir,
    /// Where it listens.
    pub listener: SocketAddr,
    admin: SocketAddr,
}

/// How an Envoy differs from the usual one.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The metadata of its node.
    pub metadata: Value,
    /// The filter's module.
    pub module: &'a [u8],
    /// Filters behind it.
    pub filters: Vec<Value>,
    /// What is logged of each request, in Envoy's format.
    pub log: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Setup {
            metadata: json!({}),
            module: serin_filter_module::MODULE,
            filters: Vec::new(),
            log: "",
        }
    }
}

impl Envoy {
    /// Starts it with two workers and this filter, and waits until it answers.
    pub fn start(config: &FilterConfig) -> Envoy {
        Envoy::start_with(config, &Setup::default())
    }

    /// The same with another setup.
    pub fn start_with(config: &FilterConfig, setup: &Setup<'_>) -> Envoy {
        let dir = tempfile::tempdir().expect("a directory for Envoy");
        let (listener, admin) = (free_address(), free_address());
        fs::write(dir.path().join("filter.wasm"), setup.module).expect("the module");
        write_filter(dir.path(), config);
        let bootstrap = dir.path().join("envoy.json");
        let source = json!({
            "resource_api_version": "V3",
            "path_config_source": {"path": dir.path().join("ecds.json")},
        });
        let mut filters = vec![ecds::filter(&config.name, &source)];
        filters.extend_from_slice(&setup.filters);
        let log = access_log(dir.path(), setup.log);
        let mut text = bootstrap_with(listener, admin, filters, &log);
        text["node"]["metadata"] = setup.metadata.clone();
        fs::write(&bootstrap, text.to_string()).expect("the bootstrap");
        let log = fs::File::create(dir.path().join("log")).expect("a log file");
        let child = Command::new(tool("envoy"))
            .args([
                "--concurrency",
                "2",
                "--disable-hot-restart",
                "--file-flush-interval-msec",
                "50",
                "-l",
                "warning",
                "-c",
            ])
            .arg(&bootstrap)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Envoy starts");
        let envoy = Envoy {
            child,
            dir,
            listener,
            admin,
        };
        envoy.until("it answers", || {
            let answer = Client::connect(listener).and_then(|mut c| c.get("any", "/", &[]));
            answer.is_ok_and(|answer| answer.status == 200)
        });
        envoy
    }

    /// Has it load another configuration.
    pub fn configure(&self, config: &FilterConfig) {
        write_filter(self.dir.path(), config);
    }

    /// The values of a statistic, one for each set of labels.
    pub fn statistic(&self, name: &str) -> Vec<f64> {
        let lines = self.named(name);
        let values = lines.iter().filter_map(|line| line.rsplit_once(' '));
        values.filter_map(|(_, value)| value.parse().ok()).collect()
    }

    /// The same with their names. Labels are part of those here: `label___value___`.
    pub fn named(&self, name: &str) -> Vec<String> {
        let path = format!("/stats/prometheus?filter={name}");
        let answer = Client::connect(self.admin).and_then(|mut c| c.get("admin", &path, &[]));
        let text = answer.expect("the admin interface answers").body;
        let values = text.lines().filter(|line| !line.starts_with('#'));
        values.map(str::to_string).collect()
    }

    /// What was logged of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("requests"));
        let log = log.unwrap_or_default();
        log.lines().map(str::to_string).collect()
    }

    /// Waits until `good` holds.
    pub fn until(&self, what: &str, good: impl Fn() -> bool) {
        let started = Instant::now();
        while !good() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "never: {what}\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Envoy watches for a file that is moved into place.
fn write_filter(dir: &Path, config: &FilterConfig) {
    let code = json!({"local": {"filename": dir.join("filter.wasm")}});
    let document = json!({"resources": [ecds::extension(config, &code)]});
    let (new, path) = (dir.join("ecds.new"), dir.join("ecds.json"));
    fs::write(&new, document.to_string()).expect("the filter's file");
    fs::rename(&new, &path).expect("the filter's file in place");
}

/// The log of requests in this format, if there is one.
fn access_log(dir: &Path, format: &str) -> Value {
    if format.is_empty() {
        return json!([]);
    }
    json!([{"name": "requests", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": dir.join("requests"),
        "log_format": {"text_format_source": {"inline_string": format!("{format}\n")}},
    }}])
}

fn bootstrap_with(
    listener: SocketAddr,
    admin: SocketAddr,
    mut filters: Vec<Value>,
    log: &Value,
) -> Value {
    let address =
        |at: SocketAddr| json!({"socket_address": {"address": at.ip(), "port_value": at.port()}});
    let answers = |variant: Variant| {
        json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 200},
            "response_headers_to_add": [{"header": {
                "key": "x-serin-replica-set", "value": format!("{}-0", variant.as_str())}}],
        })
    };
    let mut canary = answers(Variant::Canary);
    canary["match"]["headers"] = json!([{"name": VARIANT_HEADER,
        "string_match": {"exact": Variant::Canary.as_str()}}]);
    let router = json!({"name": "router", "typed_config": {"@type":
        "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}});
    filters.push(router);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "http_filters": filters,
        "access_log": log,
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"],
            "routes": [canary, answers(Variant::Stable)]}]},
    });
    json!({
        "admin": {"address": address(admin)},
        "node": {"id": "test", "cluster": "test"},
        "static_resources": {"listeners": [{
            "name": "test",
            "address": address(listener),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }]},
    })
}

//! A Prometheus of one test that reads the statistics of its proxies every second.

use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::process::{Launch, Process};
use super::proxy::Proxy;
use super::{Cluster, PATIENCE, wait_for};

/// A Prometheus with an address of its own. Dropped, it is ended.
#[derive(Debug)]
pub struct Prometheus {
    process: Option<Process>,
    address: Ipv4Addr,
    /// Where its configuration and its data are.
    dir: PathBuf,
    log: String,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts one that reads these proxies; their series have the labels `namespace` and `pod`.
    pub async fn start(cluster: &Cluster, proxies: &[&Proxy]) -> Prometheus {
        Prometheus::start_with(cluster, configuration(proxies)).await
    }

    /// Starts one that reads `/metrics` of whoever listens at this address.
    pub async fn reading(cluster: &Cluster, address: &str) -> Prometheus {
        let targets = json!([{"targets": [address]}]);
        let scrape = json!({"job_name": "one", "static_configs": targets});
        Prometheus::start_with(cluster, scraping(&scrape)).await
    }

    async fn start_with(cluster: &Cluster, configuration: Value) -> Prometheus {
        let number = cluster.next_number();
        let log = format!("prometheus-{number}");
        let dir = cluster.dir().join(&log);
        fs::create_dir(&dir).expect("a directory for Prometheus");
        let config = dir.join("config.json");
        fs::write(config, configuration.to_string()).expect("its configuration");
        let http = serin::http::plain().build().expect("an HTTP client");
        let mut prometheus = Prometheus {
            process: None,
            address: address(number),
            dir,
            log,
            http,
        };
        prometheus.start_again(cluster).await;
        prometheus
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}:9090", self.address)
    }

    /// The values of a query's answer, NaN where it says so.
    ///
    /// # Errors
    /// If it does not answer, or not with values.
    pub async fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        let url = format!("{}/api/v1/query", self.url());
        let answer = self.http.get(url).query(&[("query", query)]).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let values = answer["data"]["result"].as_array().and_then(|result| {
            let values = result
                .iter()
                .map(|one| one["value"][1].as_str()?.parse().ok());
            values.collect::<Option<_>>()
        });
        values.ok_or_else(|| answer.to_string())
    }

    /// Ends it at once, as a crash would.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
            process.end().await;
        }
    }

    /// Starts it after [`Prometheus::stop`], with the data that it had.
    pub async fn start_again(&mut self, cluster: &Cluster) {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let arguments = [
            format!("--config.file={}", path("config.json")),
            format!("--storage.tsdb.path={}", path("data")),
            format!("--web.listen-address={}:9090", self.address),
            "--log.level=warn".to_string(),
        ];
        let launch = Launch {
            log: cluster.log_path(&self.log),
            ..Launch::tool(cluster.dir(), "prometheus", &arguments)
        };
        let started = cluster.launch(launch).await;
        self.process = Some(started.unwrap_or_else(|error| panic!("Prometheus: {error}")));
        wait_for("Prometheus is ready", PATIENCE, async || {
            let asked = self.http.get(format!("{}/-/ready", self.url())).send();
            match asked.await.and_then(reqwest::Response::error_for_status) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{error}\n{}", cluster.log(&self.log))),
            }
        })
        .await;
    }
}

/// Out of a range that is local to the cluster's network and far from the pods' addresses.
fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 77, 224 + high, low)
}

/// JSON is YAML, so Prometheus reads it.
fn configuration(proxies: &[&Proxy]) -> Value {
    let target = |proxy: &&Proxy| {
        json!({
            "targets": [proxy.statistics()],
            "labels": {"namespace": proxy.namespace, "pod": proxy.name},
        })
    };
    scraping(&json!({
        "job_name": "proxies",
        "metrics_path": "/stats/prometheus",
        "static_configs": proxies.iter().map(target).collect::<Vec<_>>(),
    }))
}

fn scraping(config: &Value) -> Value {
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [config],
    })
}

//! The controllers that are compared.

use serin_tests::client::Client;
use serin_tests::cluster::{Cluster, Process};
use serin_tests::local::tool;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// A controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// Argo Rollouts' own, with its limits raised as far as they do not matter.
    Argo,
    /// `serin controller`.
    Serin,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Argo => "argo",
            Contender::Serin => "serin",
        }
    }

    /// How many requests it has sent to the API server, by kind and verb, as it counts them itself.
    pub(crate) fn requests(self) -> BTreeMap<String, f64> {
        const METRIC: &str = "controller_clientset_k8s_request_total{";
        let address = SocketAddr::from(([127, 0, 0, 1], 18090));
        let asked =
            Client::connect(address).and_then(|mut client| client.get("any", "/metrics", &[]));
        let text = asked.map(|answer| answer.body).unwrap_or_default();
        let mut requests = BTreeMap::new();
        for line in text.lines() {
            let Some((labels, count)) = line
                .strip_prefix(METRIC)
                .and_then(|rest| rest.split_once("} "))
            else {
                continue;
            };
            let label = |name: &str| {
                let start = labels.split(&format!("{name}=\"")).nth(1);
                start
                    .and_then(|rest| rest.split('"').next())
                    .unwrap_or_default()
            };
            let key = format!("{} {}", label("verb"), label("kind"));
            *requests.entry(key).or_default() += count.trim().parse().unwrap_or(0.0);
        }
        requests
    }

    /// Starts it for one namespace; `serin` is our program.
    pub(crate) async fn start(self, cluster: &Cluster, namespace: &str, serin: &Path) -> Process {
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let (program, own) = match self {
            Contender::Argo => (
                tool("rollouts-controller"),
                &[
                    "--namespaced",
                    "--leader-elect=false",
                    "--healthzPort=0",
                    "--metricsPort=18090",
                    "--qps=1000",
                    "--burst=2000",
                    "--rollout-threads=32",
                    "--loglevel=warn",
                ][..],
            ),
            Contender::Serin => (
                serin.to_path_buf(),
                &[
                    "controller",
                    "--leader-elect=false",
                    "--listen=127.0.0.1:18090",
                ][..],
            ),
        };
        let shared = ["--kubeconfig", &kubeconfig, "--namespace", namespace];
        let arguments = [own, &shared].concat();
        let program = program.to_str().expect("is text");
        cluster
            .start_program(namespace, program, &arguments, &[])
            .await
    }
}

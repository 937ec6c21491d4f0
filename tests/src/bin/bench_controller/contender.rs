//! The controllers that are compared.

use serin_tests::cluster::{Cluster, Process};
use serin_tests::local::tool;
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
                    "--metricsPort=0",
                    "--qps=1000",
                    "--burst=2000",
                    "--rollout-threads=32",
                    "--loglevel=warn",
                ][..],
            ),
            Contender::Serin => (
                serin.to_path_buf(),
                &["controller", "--leader-elect=false", "--listen=127.0.0.1:0"][..],
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

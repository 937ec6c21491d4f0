//! `serin controller`: looks after a cluster's Rollouts until it is asked to stop.

mod election;
mod mesh;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use election::Election;
use mesh::Mesh;

use crate::cluster::web::{self, Health};
use crate::cluster::{self, Scope, requests};
use crate::kubernetes::config;
use crate::local::asked_to_stop;

/// The options of `serin controller`.
#[derive(Args, Debug)]
pub(super) struct Controller {
    /// The kubeconfig of the cluster [default: KUBECONFIG, ~/.kube/config, then the pod's account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context [default: the one in use]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Look after the Rollouts of this namespace alone [default: those of all namespaces]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Look after Rollouts with this value of argo-rollouts.argoproj.io/controller-instance-id alone
    /// [default: those without that label]
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
    /// Where /metrics, /healthz and /readyz are served
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8090")]
    listen: SocketAddr,
    #[command(flatten)]
    mesh: Mesh,
    #[command(flatten)]
    election: Election,
}

impl Controller {
    /// Runs until it is asked to stop.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        log();
        let asked = config::Asked {
            kubeconfig: self.kubeconfig,
            context: self.context,
        };
        let health = Health::default();
        let client = requests::counted(config::builder(&asked).await?, health.metrics.clone());
        let instance_id = self.instance_id.as_deref();
        let namespace = client.default_namespace();
        let wanted = self.election.wanted(namespace, instance_id)?;
        let listener = TcpListener::bind(self.listen).await;
        let listener = listener.with_context(|| format!("--listen {}", self.listen))?;
        let scope = Scope {
            namespace: self.namespace,
            instance_id: self.instance_id,
        };
        let mesh = self.mesh.settings(&scope)?;
        tracing::info!(
            namespace = scope.namespace,
            instance_id = scope.instance_id,
            listen = %listener.local_addr()?,
            "begins"
        );
        let stop = asked_to_stop()?;
        tokio::select! {
            ended = cluster::run(client, scope, mesh, wanted, health.clone(), stop) => ended?,
            failed = web::answer(listener, health) => failed?,
        }
        tracing::info!("stops");
        Ok(ExitCode::SUCCESS)
    }
}

/// Log lines for whoever collects them; RUST_LOG chooses others. The library's own spans would stand
/// in front of every line.
fn log() {
    let usual = || EnvFilter::new("info,kube=warn,kube_client=error,kube_runtime=warn");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| usual()))
        .with_ansi(false)
        .with_target(false)
        .with_writer(io::stderr)
        .init();
}

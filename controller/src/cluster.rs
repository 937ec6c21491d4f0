//! The controller in a cluster: Rollouts and what belongs to them in, the world that `core` decides
//! out. Each pass over a Rollout observes, decides, stores and acts, in that order; read
//! `reconcile` first.

pub mod analysis;
pub mod istio;
pub mod lease;
pub mod metrics;
pub mod requests;
pub mod web;

mod act;
mod adopt;
mod answered;
mod backoff;
mod conditions;
mod context;
mod identity;
mod let_go;
mod memory;
mod merge;
pub mod mesh;
mod outage;
mod owned;
mod reconcile;
mod related;
mod router;
mod routes;
mod services;
mod sets;
mod status;
mod tell;
mod watched;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{FutureExt as _, StreamExt as _};
use kube::Client;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config, Error};
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::api::Rollout;
use context::{Context, Outlets};
use lease::Election;
use outage::Outage;
use reconcile::PassError;
use watched::AllChanges;
use web::Health;

/// Which Rollouts are looked after.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The namespace; none: all.
    pub namespace: Option<String>,
    /// The instance id that their label has; none: those without.
    pub instance_id: Option<String>,
}

/// How long events that are left may take once the passes have ended.
const LEFT: Duration = Duration::from_secs(5);

/// How many Rollouts are looked after at the same time; a pass waits for the API server mostly.
const AT_ONCE: u16 = 128;

/// Looks after Rollouts and measures their analysis runs until `stop` ends; passes under way come to
/// their end. With a Lease, one controller of those that want it does so at a time, and without it
/// there may be one.
///
/// # Errors
/// If the Lease is lost, or if providers of metrics cannot be asked from here at all.
pub async fn run(
    client: Client,
    scope: Scope,
    mesh: mesh::Settings,
    wanted: Option<lease::Wanted>,
    health: Health,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stop = pin!(stop);
    let outage = Arc::new(Outage::default());
    let Some(wanted) = wanted else {
        return work(client, scope, mesh, health, outage, stop).await;
    };
    let election = Election::new(client.clone(), wanted, outage.clone());
    let won = election.win(|| health.is_ready());
    let mut held = tokio::select! {
        held = won => held,
        () = &mut stop => return Ok(()),
    };
    health.is_not_ready();
    let ended = tokio::select! {
        ended = work(client, scope, mesh, health, outage, stop) => ended,
        // Whoever has it now must be alone: what is under way ends here.
        why = election.keep(&mut held) => bail!("the lease is lost: {why}"),
    };
    election.release(held).await;
    ended
}

/// Looks after Rollouts and measures runs, alone, until `stop` ends.
async fn work(
    client: Client,
    scope: Scope,
    mesh: mesh::Settings,
    health: Health,
    outage: Arc<Outage>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (ask, asked) = tokio::sync::watch::channel(false);
    let stopped = move || {
        let mut asked = asked.clone();
        async move {
            // An error means that nobody is left to ask.
            let _ = asked.wait_for(|stop| *stop).await.map(drop);
        }
    };
    let measuring = analysis::run(
        client.clone(),
        scope.clone(),
        mesh.prometheus.clone(),
        health.metrics.clone(),
        stopped(),
    );
    let stopping = async {
        stop.await;
        ask.send_replace(true);
    };
    let ((), measured, ()) = tokio::join!(
        keep(client, scope, mesh, health, outage, stopped()),
        measuring,
        stopping
    );
    measured.context("ask providers of metrics")
}

/// Keeps the world as decided until `stop` ends.
async fn keep(
    client: Client,
    scope: Scope,
    mesh: mesh::Settings,
    health: Health,
    outage: Arc<Outage>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let stop = stop.shared();
    let root_namespace = mesh.owner.namespace.clone();
    let namespace = scope.namespace.as_deref();
    let (watched, changes) = watched::watch(&client, namespace, &root_namespace, outage);
    let ready = watched.ready().shared();
    let reporter = Reporter {
        controller: "rollouts-controller".to_string(),
        instance: std::env::var("HOSTNAME").ok(),
    };
    let recorder = Recorder::new(client.clone(), reporter);
    let (events, told) = unbounded_channel();
    let publishing = tell::publishing(recorder, told);
    let rollouts = watched.rollouts.clone();
    let istio = watched.istio.clone();
    health.metrics.hold(watched.held(scope.instance_id.clone()));
    let (metrics, held) = (health.metrics.clone(), ready.clone());
    let (tell_gone, gone) = unbounded_channel();
    let (tell_mesh, of_mesh) = unbounded_channel();
    let mesh = mesh::Mesh::new(mesh, tell_mesh);
    let envoy_filters = watched.envoy_filters.clone();
    let in_scope = mesh::Scope {
        namespace: scope.namespace.clone(),
        rollouts: rollouts.clone(),
    };
    let (told_mesh, mesh_client, mesh_ready) = (mesh.clone(), client.clone(), ready.clone());
    let context = Context::new(
        client,
        watched,
        mesh,
        ready,
        Outlets {
            events,
            gone: tell_gone,
        },
        scope.instance_id,
        metrics,
    );
    let AllChanges {
        rollouts: rollout_changes,
        sets,
        services,
        runs,
        templates,
        cluster_templates,
        virtual_services,
        destination_rules,
        deployments,
        envoy_filters: envoy_filter_changes,
    } = changes;
    let mut of_mesh = of_mesh;
    let of_mesh = futures::stream::poll_fn(move |task| of_mesh.poll_recv(task));
    let of = related::Related::new(rollouts.clone());
    let controller = Controller::for_stream(rollout_changes, rollouts)
        .with_config(Config::default().concurrency(AT_ONCE))
        .watches_stream(sets, of.sets())
        .owns_stream(runs)
        .watches_stream(services, of.services())
        .watches_stream(templates, of.templates())
        .watches_stream(cluster_templates, of.cluster_templates())
        .watches_stream_with(
            virtual_services,
            of.virtual_services(),
            istio.virtual_service,
        )
        .watches_stream_with(
            destination_rules,
            of.destination_rules(),
            istio.destination_rule,
        )
        .watches_stream(deployments, of.deployments())
        .reconcile_on(of_mesh)
        .graceful_shutdown_on(stop.clone());
    let context = Arc::new(context);
    let passes = controller.run(reconcile::reconcile, again, context.clone());
    let giving_back = let_go::by_gone(&context, gone);
    let passes = passes.for_each(|pass| {
        match pass {
            Ok(_) => {}
            // It is gone, and nobody looks after it again.
            Err(Error::ObjectNotFound(gone)) => context.forget_gone(&gone),
            // Told where it happened.
            Err(Error::ReconcilerFailed(..)) => {}
            Err(error) => tracing::warn!(%error, "watching"),
        }
        std::future::ready(())
    });
    // The library's shutdown waits for what is read first and reads no more: until then there is
    // nothing under way that is to come to its end.
    let early = async {
        tokio::select! {
            () = held => health.is_ready(),
            () = stop => return,
        }
        pending::<()>().await;
    };
    let telling_mesh = told_mesh.keep(
        mesh_client,
        envoy_filters,
        envoy_filter_changes,
        in_scope,
        mesh_ready,
    );
    let driving = async {
        tokio::select! {
            () = passes => {}
            () = early => {}
            () = giving_back => {}
            () = telling_mesh => {}
        }
    };
    // What passes leave to be published has some time after them.
    let mut publishing = pin!(publishing);
    tokio::select! {
        () = driving => {}
        () = &mut publishing => {}
    }
    if timeout(LEFT, publishing).await.is_err() {
        tracing::warn!("some events are lost");
    }
}

/// A pass that failed is tried again soon, and its error told.
fn again(rollout: Arc<Rollout>, error: &PassError, _: Arc<Context>) -> Action {
    const AGAIN: Duration = Duration::from_secs(2);
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
    tracing::warn!(rollout = format!("{namespace}/{name}"), %error, "a pass failed");
    Action::requeue(AGAIN)
}

//! The loop that measures: each run for itself, so that one that waits for an answer keeps no other
//! waiting. What a pass knows is in the object, so a controller that starts again goes on with it.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::{Action, Config};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Map, Value, json};
use serin_core::analysis::{
    self, Draft, Measured, Metric, Provider, ResolveError, RunSpec, RunStatus,
};

use super::status;
use crate::api::AnalysisRun;
use crate::clock;
use crate::cluster::reconcile::INSTANCE_ID;
use crate::cluster::{Scope, merge};
use crate::provider::prometheus;

/// Names the Prometheus of metrics that name none, as Argo Rollouts does.
const ADDRESS: &str = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS";

struct Context {
    client: Client,
    instance_id: Option<String>,
    asking: reqwest::Client,
    address: Option<String>,
}

/// Why a pass over a run came to no end. It is tried again.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error("write the status: {0}")]
    Api(#[from] kube::Error),
    #[error("read the run: {0}")]
    Json(#[from] serde_json::Error),
}

/// Measures the runs of a scope until `stop` ends.
///
/// # Errors
/// If providers cannot be asked from here at all.
pub async fn run(
    client: Client,
    scope: Scope,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> reqwest::Result<()> {
    let api: Api<AnalysisRun> = match &scope.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let context = Context {
        client,
        instance_id: scope.instance_id,
        asking: prometheus::client()?,
        address: env::var(ADDRESS).ok().filter(|address| !address.is_empty()),
    };
    Controller::new(api, watcher::Config::default())
        .with_config(Config::default())
        .graceful_shutdown_on(stop)
        .run(pass, again, Arc::new(context))
        .for_each(|_| async {})
        .await;
    Ok(())
}

fn again(run: Arc<AnalysisRun>, error: &PassError, _: Arc<Context>) -> Action {
    const AGAIN: Duration = Duration::from_secs(1);
    const SOON: Duration = Duration::from_millis(100);
    match error {
        // Somebody wrote to the run meanwhile, such as that it is to end.
        PassError::Api(kube::Error::Api(status)) if status.is_conflict() => Action::requeue(SOON),
        _ => {
            tracing::warn!(run = run.name_any(), %error, "a pass failed");
            Action::requeue(AGAIN)
        }
    }
}

/// One pass over a run: what is due is measured, judged and written.
async fn pass(run: Arc<AnalysisRun>, context: Arc<Context>) -> Result<Action, PassError> {
    if run.labels().get(INSTANCE_ID) != context.instance_id.as_ref() {
        return Ok(Action::await_change());
    }
    let document = serde_json::to_value(&*run)?;
    let before = status::read(&document["status"])?;
    if before.phase.completed() || run.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = clock::now();
    let draft = Draft::read(&document["spec"]).map_err(ResolveError::from);
    let spec = match draft.and_then(|draft| draft.spec()) {
        Ok(spec) => spec,
        Err(why) => {
            let refused = RunStatus::refused(why, now);
            write(&run, &context, &document, &refused).await?;
            return Ok(Action::await_change());
        }
    };
    let terminate = run.spec.terminate == Some(true);
    let mut status = analysis::assess(&spec, before, terminate, now);
    let taken = measure_due(&spec, &status, &context).await;
    for (metric, measured) in taken {
        analysis::record(&spec, &mut status, metric, measured);
    }
    let status = analysis::assess(&spec, status, terminate, clock::now());
    write(&run, &context, &document, &status).await?;
    if status.phase.completed() {
        tracing::info!(run = run.name_any(), phase = ?status.phase, message = status.message, "ended");
        return Ok(Action::await_change());
    }
    let now = clock::now();
    Ok(match analysis::next_due(&spec, &status, now) {
        Some(due) => Action::requeue(due.since(now)),
        None => Action::await_change(),
    })
}

async fn measure_due(
    spec: &RunSpec,
    status: &RunStatus,
    context: &Context,
) -> Vec<(usize, Measured)> {
    if status.phase.completed() {
        return Vec::new();
    }
    let due = analysis::due(spec, status, clock::now());
    let metrics = due
        .into_iter()
        .filter_map(|index| Some((index, spec.metrics.get(index)?)));
    join_all(metrics.map(|(index, metric)| async move { (index, measure(metric, context).await) }))
        .await
}

async fn measure(metric: &Metric, context: &Context) -> Measured {
    let Provider::Prometheus(mut query) = metric.provider.clone();
    query.address = query.address.or_else(|| context.address.clone());
    let started = clock::now();
    let outcome = prometheus::measure(&context.asking, &query, started).await;
    Measured {
        started,
        finished: clock::now(),
        outcome,
    }
}

/// Writes a status over the one that was read, unless somebody else has written since.
async fn write(
    run: &AnalysisRun,
    context: &Context,
    document: &Value,
    status: &RunStatus,
) -> Result<(), PassError> {
    let before = document["status"].as_object().cloned().unwrap_or_default();
    let mut after: Map<String, Value> = before.clone();
    after.extend(status::written(status));
    let Some(patch) = merge::patch(&before, &after) else {
        return Ok(());
    };
    let patch = json!({
        "metadata": {"resourceVersion": run.resource_version()},
        "status": patch,
    });
    let namespace = run.namespace().unwrap_or_default();
    let api: Api<AnalysisRun> = Api::namespaced(context.client.clone(), &namespace);
    api.patch(
        &run.name_any(),
        &PatchParams::default(),
        &Patch::Merge(&patch),
    )
    .await?;
    Ok(())
}

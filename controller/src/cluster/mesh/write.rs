//! The configuration is written: by server-side apply, and never over a version that was not seen.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::state::{Due, Task};
use super::{Mesh, Scope};
use crate::cluster::watched::envoy_filter;
use crate::mesh::objects::{self, SOURCE, of_shard};
use crate::mesh::proxies;

/// Who the API server takes the writer to be.
const MANAGER: &str = "serin";

/// How long changes of one moment are waited for, to be written as one.
const TOGETHER: Duration = Duration::from_millis(20);

/// How long until a write that somebody else was faster than is tried again.
const SOON: Duration = Duration::from_millis(50);

/// How long until one that failed is tried again.
const LATER: Duration = Duration::from_secs(2);

/// How long one write may take.
const PATIENCE: Duration = Duration::from_secs(15);

impl Mesh {
    pub(super) async fn write_for_ever(&self, client: &Client, scope: &Scope) {
        let kind = envoy_filter();
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &self.settings.root_namespace, &kind);
        let mut again: Option<Instant> = None;
        loop {
            let at = again.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                () = self.wanted.notified() => {}
                () = sleep_until(at) => {}
            }
            sleep(TOGETHER).await;
            again = self.write(&api, &kind, scope).await;
        }
    }

    /// Writes what is due; when to look again although nothing changes.
    async fn write(
        &self,
        api: &Api<DynamicObject>,
        kind: &ApiResource,
        scope: &Scope,
    ) -> Option<Instant> {
        let namespace = &self.settings.root_namespace;
        let code = objects::code_at(&self.settings.module_url);
        let due =
            self.with(|state| state.due(namespace, &code, |key| scope.stays(key), Instant::now()));
        let (tasks, later) = match due {
            Ok(due) => due,
            Err(errors) => {
                tracing::error!(%errors, "the filter's configuration is not written");
                return Some(Instant::now() + LATER);
            }
        };
        let mut failed = None;
        for task in tasks {
            let done = match task {
                Task::Place(shard) => self.place(api, kind, shard).await,
                Task::FindGeneration(shard) => self.find_generation(shard).await,
                Task::Write(due) => self.write_one(api, kind, &due).await,
            };
            failed = failed.or(done.err());
        }
        match failed {
            Some(after) => Some(Instant::now() + after),
            None => later,
        }
    }

    async fn place(
        &self,
        api: &Api<DynamicObject>,
        kind: &ApiResource,
        shard: usize,
    ) -> Result<(), Duration> {
        let object = objects::place(&self.settings.root_namespace, shard);
        let object = dynamic(object, kind).ok_or(LATER)?;
        match limited(api.create(&created_by(), &object)).await {
            Ok(_) => {
                tracing::info!(shard, "the filter has its place in the proxies");
                self.with(|state| state.placed(shard));
                Ok(())
            }
            Err(Failed::Api(error)) if is_conflict(&error) => {
                // Somebody else was faster, and the place is always the same.
                self.with(|state| state.placed(shard));
                Ok(())
            }
            Err(failed) => Err(failed.told("give the filter its place")),
        }
    }

    async fn write_one(
        &self,
        api: &Api<DynamicObject>,
        kind: &ApiResource,
        due: &Due,
    ) -> Result<(), Duration> {
        let name = due.object["metadata"]["name"].as_str().unwrap_or_default();
        let written = match &due.replaces {
            None => {
                let object = dynamic(due.object.clone(), kind).ok_or(LATER)?;
                limited(api.create(&created_by(), &object)).await
            }
            Some(version) => {
                let mut object = due.object.clone();
                // With it the API server refuses what would replace another version.
                object["metadata"]["resourceVersion"] = version.as_str().into();
                let params = PatchParams::apply(MANAGER).force();
                limited(api.patch(name, &params, &Patch::Apply(&object))).await
            }
        };
        match written {
            Ok(object) => {
                let value = serde_json::to_value(&object).map_err(|_| LATER)?;
                let generation = &value["metadata"]["annotations"][objects::GENERATION];
                tracing::debug!(name, %generation, "written");
                self.with(|state| state.wrote(due.shard, &value));
                self.written.notify_one();
                self.tell_all();
                Ok(())
            }
            // What is there now is seen soon.
            Err(Failed::Api(error)) if is_conflict(&error) => Err(SOON),
            Err(failed) => Err(failed.told("write the filter's configuration")),
        }
    }

    /// Proxies that run from before show generations that a new object must not have again.
    async fn find_generation(&self, shard: usize) -> Result<(), Duration> {
        let query = proxies::highest(&of_shard(SOURCE, shard));
        match self.ask(&query).await {
            Ok(series) => {
                let highest = series.first().map_or(0.0, |(_, value)| *value);
                self.with(|state| state.found_generation(shard, highest as u64));
                self.wanted.notify_one();
                Ok(())
            }
            Err(error) => {
                tracing::warn!(error, "the last generation cannot be found out");
                Err(LATER)
            }
        }
    }
}

fn created_by() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_string()),
        ..PostParams::default()
    }
}

fn dynamic(object: Value, kind: &ApiResource) -> Option<DynamicObject> {
    let mut object: DynamicObject = serde_json::from_value(object).ok()?;
    object.types.get_or_insert_with(|| kube::core::TypeMeta {
        api_version: kind.api_version.clone(),
        kind: kind.kind.clone(),
    });
    Some(object)
}

/// Why a write came to nothing.
enum Failed {
    Api(kube::Error),
    Late,
}

impl Failed {
    /// Tells it; how long until it is tried again.
    fn told(self, what: &str) -> Duration {
        match self {
            Failed::Api(error) => tracing::warn!(%error, "cannot {what}"),
            Failed::Late => tracing::warn!(?PATIENCE, "cannot {what}: no answer"),
        }
        LATER
    }
}

async fn limited<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, Failed> {
    match timeout(PATIENCE, asked).await {
        Ok(answered) => answered.map_err(Failed::Api),
        Err(_) => Err(Failed::Late),
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

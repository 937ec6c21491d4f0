//! The configuration is written: by server-side apply, and never over a version that was not seen.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::state::{Due, Task, Writer};
use super::{Mesh, Scope};
use crate::clock;
use crate::cluster::watched::envoy_filter;
use crate::mesh::objects;

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
            Api::namespaced_with(client.clone(), &self.settings.owner.namespace, &kind);
        let mut again: Option<Instant> = None;
        loop {
            let at = again.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                () = self.wanted.notified() => {}
                () = sleep_until(at) => {}
            }
            sleep(TOGETHER).await;
            again = self.write(&api, scope).await;
        }
    }

    /// Writes what is due; when to look again although nothing changes.
    async fn write(&self, api: &Api<DynamicObject>, scope: &Scope) -> Option<Instant> {
        let code = objects::code_at(&self.settings.module_url);
        let writer = Writer {
            owner: &self.settings.owner,
            code: &code,
            seconds: u64::try_from(clock::now().0 / 1_000).unwrap_or(0),
        };
        let due = self.with(|state| state.due(&writer, |key| scope.stays(key), Instant::now()));
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
                Task::Place(shard) => self.place(api, shard).await,
                Task::Write(due) => self.write_one(api, scope, &due).await,
            };
            failed = failed.or(done.err());
        }
        match failed {
            Some(after) => Some(Instant::now() + after),
            None => later,
        }
    }

    async fn place(&self, api: &Api<DynamicObject>, shard: usize) -> Result<(), Duration> {
        let object = objects::place(&self.settings.owner, shard);
        let object = dynamic(object).ok_or(LATER)?;
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
            Err(failed) => Err(self.told(failed, "give the filter its place")),
        }
    }

    async fn write_one(
        &self,
        api: &Api<DynamicObject>,
        scope: &Scope,
        due: &Due,
    ) -> Result<(), Duration> {
        let name = due.object["metadata"]["name"].as_str().unwrap_or_default();
        // Whatever is answered, and however late: proxies may run it from now on.
        self.with(|state| state.enter(due.shard, &objects::read(&due.object)));
        let written = match &due.replaces {
            None => {
                let object = dynamic(due.object.clone()).ok_or(LATER)?;
                limited(api.create(&created_by(), &object)).await
            }
            Some(version) => {
                let mut object = due.object.clone();
                // With it the API server refuses what would replace another version.
                object["metadata"]["resourceVersion"] = version.as_str().into();
                let params = PatchParams::apply(objects::MANAGER).force();
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
                self.tell_all(scope);
                Ok(())
            }
            Err(Failed::Api(error)) if is_conflict(&error) => {
                self.look_again(api, name, due.shard).await;
                Err(SOON)
            }
            Err(failed) => Err(self.told(failed, "write the filter's configuration")),
        }
    }

    /// Takes in what is there in the place of what was known: one without the label that it is
    /// watched by, or one of a cluster that was restored, too.
    async fn look_again(&self, api: &Api<DynamicObject>, name: &str, shard: usize) {
        let found = match limited(api.get(name)).await {
            Ok(found) => serde_json::to_value(&found).ok(),
            Err(_) => None,
        };
        if let Some(found) = found {
            self.with(|state| state.take(shard, &found));
        }
    }

    /// Tells what came of a write; how long until it is tried again.
    fn told(&self, failed: Failed, what: &str) -> Duration {
        let why = match failed {
            Failed::Api(error) => error.to_string(),
            Failed::Late => format!("no answer within {PATIENCE:?}"),
        };
        tracing::warn!(error = why, "cannot {what}");
        self.with(|state| state.is_in_trouble(format!("the controller cannot {what}: {why}")));
        LATER
    }
}

fn created_by() -> PostParams {
    PostParams {
        field_manager: Some(objects::MANAGER.to_string()),
        ..PostParams::default()
    }
}

fn dynamic(object: Value) -> Option<DynamicObject> {
    serde_json::from_value(object).ok()
}

/// Why a write came to nothing.
enum Failed {
    Api(kube::Error),
    Late,
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

//! A run's object as it was written or read last, and writing its status.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::Status;
use kube::{Api, ResourceExt as _};
use serde_json::{Map, Value, json};
use serin_core::analysis::RunStatus;

use super::status;
use crate::api::AnalysisRun;
use crate::cluster::answered::answered;
use crate::cluster::merge;

/// A run's object.
pub(super) struct Stored {
    api: Api<AnalysisRun>,
    /// As it was written or read last.
    pub(super) object: AnalysisRun,
}

/// What became of a write.
pub(super) enum Written {
    /// The object has the status.
    Done,
    /// Somebody else wrote this status meanwhile, which stays.
    Overtaken(RunStatus),
    /// The object is gone.
    Gone,
}

impl Stored {
    /// Reads the run as it is now; none if it is gone, or going, or another of
    /// its name is there.
    pub(super) async fn read(api: Api<AnalysisRun>, known: &AnalysisRun) -> Option<Stored> {
        let name = known.name_any();
        let object = until_allowed(&name, || api.get(&name)).await?;
        let stays = object.metadata.deletion_timestamp.is_none();
        let same = object.uid() == known.uid();
        (same && stays).then_some(Stored { api, object })
    }

    /// The document of its status.
    pub(super) fn status(&self) -> Value {
        serde_json::to_value(&self.object.status).unwrap_or_default()
    }

    /// Writes the status unless the object has it. It is written over the one that was read, and no
    /// other: a resource version goes with it.
    pub(super) async fn write(&mut self, status: &RunStatus) -> Written {
        let written = status::written(status);
        loop {
            let Some(patch) = self.patch(&written) else {
                return Written::Done;
            };
            let patch = Patch::Merge(patch);
            let name = self.object.name_any();
            let parameters = PatchParams::default();
            let patched = answered(|| self.api.patch(&name, &parameters, &patch)).await;
            match patched {
                Ok(object) => {
                    self.object = object;
                    return Written::Done;
                }
                Err(refusal) if refusal.is_conflict() => {
                    let Some(now) = Stored::read(self.api.clone(), &self.object).await else {
                        return Written::Gone;
                    };
                    let before = std::mem::replace(self, now);
                    if before.object.status != self.object.status
                        && let Some(theirs) = self.overtaken(&written)
                    {
                        return Written::Overtaken(theirs);
                    }
                }
                Err(refusal) if refusal.is_not_found() => return Written::Gone,
                Err(refusal) => wait(&name, &refusal).await,
            }
        }
    }

    fn patch(&self, written: &Map<String, Value>) -> Option<Value> {
        let before = self.status().as_object().cloned().unwrap_or_default();
        let mut after = before.clone();
        after.extend(written.clone());
        let status = merge::patch(&before, &after)?;
        Some(json!({
            "metadata": {"resourceVersion": self.object.resource_version()},
            "status": status,
        }))
    }

    /// The status of somebody else; none if it is what was to be written, or cannot be read.
    fn overtaken(&self, written: &Map<String, Value>) -> Option<RunStatus> {
        self.patch(written)?;
        status::read(&self.status()).ok()
    }

    /// Deletes the object.
    pub(super) async fn delete(&self) {
        let name = self.object.name_any();
        let parameters = DeleteParams::background();
        until_allowed(&name, || self.api.delete(&name, &parameters)).await;
    }
}

/// What is asked for, once the API server allows it; none if there is no such object.
async fn until_allowed<T, Asking>(name: &str, mut ask: impl FnMut() -> Asking) -> Option<T>
where
    Asking: Future<Output = kube::Result<T>>,
{
    loop {
        match answered(&mut ask).await {
            Ok(answer) => return Some(answer),
            Err(refusal) if refusal.is_not_found() => return None,
            Err(refusal) => wait(name, &refusal).await,
        }
    }
}

/// A refusal stays until a person changes what is allowed, so it is asked for again only seldom.
async fn wait(run: &str, refusal: &Status) {
    const SELDOM: Duration = Duration::from_secs(30);
    tracing::error!(run, refusal = refusal.message, "the API server refuses");
    tokio::time::sleep(SELDOM).await;
}

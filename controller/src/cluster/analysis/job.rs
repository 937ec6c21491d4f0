//! Jobs: one is made for a measurement, and how it ends is the verdict.

use std::pin::pin;

use futures::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use serin_core::step::RunPhase;
use std::collections::BTreeMap;

use crate::cluster::answered::answered;
use crate::cluster::backoff::backoff;

mod object;
mod verdict;

pub(super) use object::{Measurement, object};

/// What a measurement's metadata says of its Job (Argo's names).
const JOB_NAME: &str = "job-name";
const JOB_NAMESPACE: &str = "job-namespace";

/// A Job that measures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobRef {
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
}

/// How a Job ended, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The phase of the measurement.
    pub(super) phase: RunPhase,
    /// Why, if that is not plain.
    pub(super) message: String,
}

impl JobRef {
    /// The Job of a measurement with this metadata; `namespace` is that of its run.
    pub(super) fn of(metadata: &BTreeMap<String, String>, namespace: &str) -> Option<JobRef> {
        let own = metadata.get(JOB_NAMESPACE).filter(|own| !own.is_empty());
        let name = metadata.get(JOB_NAME).filter(|name| !name.is_empty())?;
        Some(JobRef {
            namespace: own.map_or(namespace, String::as_str).to_string(),
            name: name.clone(),
        })
    }

    /// The metadata by which it is found again.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let entry = |key: &str, value: &String| (key.to_string(), value.clone());
        [
            entry(JOB_NAME, &self.name),
            entry(JOB_NAMESPACE, &self.namespace),
        ]
        .into()
    }
}

/// Creates the Job of a measurement ([`object`] makes it). The one that an earlier try created is
/// as good.
///
/// # Errors
/// Why there is no such Job.
pub(super) async fn start(client: &Client, job: &Value) -> Result<JobRef, String> {
    let job: DynamicObject =
        serde_json::from_value(job.clone()).map_err(|error| error.to_string())?;
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    let kind = ApiResource::erase::<Job>(&());
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &kind);
    let refused = |message: &str| format!("create Job {name}: {message}");
    let parameters = PostParams::default();
    match answered(|| api.create(&parameters, &job)).await {
        Ok(_) => {}
        Err(status) if status.is_already_exists() => {
            let found = answered(|| api.get(&name)).await;
            let found = found.map_err(|status| refused(&status.message))?;
            if !object::is_same(&found, &job) {
                return Err(refused("it is there already and not this measurement's"));
            }
        }
        Err(status) => return Err(refused(&status.message)),
    }
    Ok(JobRef { namespace, name })
}

/// Waits for the end of a Job.
pub(super) async fn follow(client: &Client, job: &JobRef) -> Verdict {
    let jobs = Api::<Job>::namespaced(client.clone(), &job.namespace);
    let pods = Api::<Pod>::namespaced(client.clone(), &job.namespace);
    let of_job = watcher::Config::default().labels(&format!("{JOB_NAME}={}", job.name));
    let named = watcher::Config::default().fields(&format!("metadata.name={}", job.name));
    let mut events = pin!(watcher::watcher(jobs, named).backoff(backoff()));
    let mut pods = pin!(
        watcher::watcher(pods, of_job)
            .applied_objects()
            .backoff(backoff())
    );
    let mut is_there = false;
    loop {
        let verdict = tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => verdict::of_event(&event, &mut is_there),
                Some(Err(error)) => {
                    tracing::warn!(job = job.name, %error, "watching a Job");
                    None
                }
                None => None,
            },
            pod = pods.next() => match pod {
                Some(Ok(pod)) => verdict::of_pod(&pod),
                Some(Err(error)) => {
                    tracing::warn!(job = job.name, %error, "watching the pods of a Job");
                    None
                }
                None => None,
            },
        };
        if let Some(verdict) = verdict {
            return verdict;
        }
    }
}

/// Deletes a Job with its pods; one that is gone is as good.
///
/// # Errors
/// Why it may not be deleted.
pub(super) async fn delete(client: &Client, job: &JobRef) -> Result<(), String> {
    let api = Api::<Job>::namespaced(client.clone(), &job.namespace);
    let foreground = DeleteParams::foreground();
    match answered(|| api.delete(&job.name, &foreground)).await {
        Err(status) if !status.is_not_found() => {
            Err(format!("delete Job {}: {}", job.name, status.message))
        }
        _ => Ok(()),
    }
}

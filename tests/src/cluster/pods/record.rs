//! What the API server is told of a pod, until it has heard it.

use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use super::{Kubelet, NODE_NAME};

/// A pod's record at the API server.
pub(super) struct Record {
    kubelet: Arc<Kubelet>,
    api: Api<Pod>,
    name: String,
    uid: Option<String>,
}

/// What is to be told.
#[derive(Debug)]
pub(super) enum Fact {
    /// It runs on the node: what the scheduler says.
    Bound,
    /// Its status.
    Status(Value),
    /// Nothing of it is left.
    Gone,
}

impl Record {
    pub(super) fn of(pod: &Pod, kubelet: &Arc<Kubelet>) -> Record {
        let namespace = pod.namespace().unwrap_or_default();
        Record {
            kubelet: kubelet.clone(),
            api: Api::namespaced(kubelet.client.clone(), &namespace),
            name: pod.name_any(),
            uid: pod.uid(),
        }
    }

    /// Tries until the API server has heard it. False if it never will: there is no such pod.
    pub(super) async fn tell(&self, fact: &Fact) -> bool {
        loop {
            let permit = self.kubelet.requests.acquire().await;
            let told = self.attempt(fact).await;
            drop(permit);
            match told {
                Ok(()) => return true,
                // 403 is for a namespace that ends.
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409) => {
                    return false;
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
                    panic!("{}: {fact:?}: {status}", self.name);
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Each request has the uid with it, since there may be another pod of the same name.
    async fn attempt(&self, fact: &Fact) -> kube::Result<()> {
        match fact {
            Fact::Bound => self.bind().await,
            Fact::Status(status) => {
                let patch = json!({"metadata": {"uid": self.uid}, "status": status});
                let patch = Patch::Strategic(patch);
                let parameters = PatchParams::default();
                let written = self.api.patch_status(&self.name, &parameters, &patch).await;
                written.map(drop)
            }
            Fact::Gone => {
                let parameters = DeleteParams {
                    grace_period_seconds: Some(0),
                    preconditions: Some(Preconditions {
                        uid: self.uid.clone(),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                self.api.delete(&self.name, &parameters).await.map(drop)
            }
        }
    }

    async fn bind(&self) -> kube::Result<()> {
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                uid: self.uid.clone(),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                kind: Some("Node".to_string()),
                name: Some(NODE_NAME.to_string()),
                ..ObjectReference::default()
            },
        };
        let parameters = PostParams::default();
        let bound = self
            .api
            .create_subresource::<_, Value>("binding", &self.name, &parameters, &binding)
            .await;
        bound.map(drop)
    }
}

//! A cluster's Rollouts as the command line sees them: objects come in, views go out; verbs come
//! in, patches of the fields that `kubectl argo rollouts` patches go out.

mod act;
pub mod config;
mod error;
pub mod patches;
pub mod picture;
mod proxy;
pub mod template;
mod watch;
pub(crate) mod workload;

use std::fmt::Debug;
use std::sync::Arc;

use kube::api::ListParams;
use kube::{Api, Client, Config, ResourceExt as _};
use serde::de::DeserializeOwned;
use serin_core::revision::HASH_LABEL;

use crate::api::Rollout;
use crate::view::RolloutView;
use config::{Asked, ConfigError};
use error::is_missing;
use picture::{Objects, outline, picture};

pub use error::ClusterError;

/// The label that ReplicaSets of Rollouts and their pods have, and those of Deployments do not.
const SETS_AND_PODS: &str = HASH_LABEL;

/// How much of a Rollout is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The Rollout by itself: how it stands.
    Outline,
    /// With its revisions: their ReplicaSets, pods and analysis runs.
    Whole,
}

/// Speaks to the API server of one cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    url: String,
}

impl Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// A client for the cluster that is meant. Nothing is sent yet.
    ///
    /// # Errors
    /// If no cluster is known, or what is known of it is of no use.
    pub async fn find(asked: &Asked) -> Result<Cluster, ConfigError> {
        crate::http::use_ring();
        Cluster::at(config::config(asked).await?)
    }

    fn at(config: Config) -> Result<Cluster, ConfigError> {
        let namespace = config.default_namespace.clone();
        let url = config.cluster_url.to_string();
        let url = url.trim_end_matches('/').to_string();
        let client = Client::try_from(config).map_err(|error| ConfigError::Kubeconfig {
            why: format!("{url}: {error}"),
        })?;
        Ok(Cluster {
            client,
            namespace,
            url,
        })
    }

    /// The namespace of the context in use.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// One Rollout.
    ///
    /// # Errors
    /// If the cluster does not answer, or knows no such Rollout.
    pub async fn rollout(
        &self,
        namespace: &str,
        name: &str,
        extent: Extent,
    ) -> Result<RolloutView, ClusterError> {
        let rollout = Arc::new(self.object(namespace, name).await?);
        if extent == Extent::Outline {
            return Ok(outline(&rollout));
        }
        let labelled = ListParams::default().labels(SETS_AND_PODS);
        let all = ListParams::default();
        let (sets, pods, runs) = tokio::try_join!(
            self.list(Api::namespaced(self.client.clone(), namespace), &labelled),
            self.list(Api::namespaced(self.client.clone(), namespace), &labelled),
            self.list(Api::namespaced(self.client.clone(), namespace), &all),
        )?;
        let objects = Objects {
            rollout,
            sets: shared(sets),
            pods: shared(pods),
            runs: shared(runs),
        };
        Ok(picture(&objects))
    }

    /// The Rollouts of a namespace, or of all, without their revisions.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub async fn rollouts(
        &self,
        namespace: Option<&str>,
    ) -> Result<Vec<RolloutView>, ClusterError> {
        let all = ListParams::default();
        let rollouts = self.list(self.rollouts_api(namespace), &all).await?;
        let mut views: Vec<RolloutView> = rollouts.iter().map(outline).collect();
        sort(&mut views);
        Ok(views)
    }
}

impl Cluster {
    fn rollouts_api(&self, namespace: Option<&str>) -> Api<Rollout> {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    async fn object(&self, namespace: &str, name: &str) -> Result<Rollout, ClusterError> {
        match self.rollouts_api(Some(namespace)).get(name).await {
            Ok(rollout) => Ok(rollout),
            Err(error) if is_missing(&error) => Err(self.unknown(namespace, name).await),
            Err(error) => Err(self.met(error)),
        }
    }

    async fn list<K>(&self, api: Api<K>, parameters: &ListParams) -> Result<Vec<K>, ClusterError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let listed = api.list(parameters).await;
        listed
            .map(|list| list.items)
            .map_err(|error| self.met(error))
    }

    /// Why there is no such Rollout.
    async fn unknown(&self, namespace: &str, name: &str) -> ClusterError {
        let api = self.rollouts_api(Some(namespace));
        self.none_of("rollout", &api, namespace, name).await
    }

    /// Why there is no such object: the ones that there are, or the kind is not known.
    async fn none_of<K>(
        &self,
        kind: &'static str,
        api: &Api<K>,
        namespace: &str,
        name: &str,
    ) -> ClusterError
    where
        K: Clone + DeserializeOwned + Debug + kube::Resource,
    {
        let listed = match api.list(&ListParams::default()).await {
            Ok(listed) => listed,
            Err(error) => return self.met(error),
        };
        let known = listed
            .items
            .iter()
            .map(|object| format!("{namespace}/{}", object.name_any()));
        let known: Vec<String> = known.collect();
        ClusterError::Unknown {
            kind,
            asked: format!("{namespace}/{name}"),
            expected: match known.is_empty() {
                true => "there is none in this namespace".to_string(),
                false => format!("expected one of {}", known.join(", ")),
            },
        }
    }

    fn met(&self, error: kube::Error) -> ClusterError {
        ClusterError::of(&self.url, error)
    }
}

fn shared<K>(objects: Vec<K>) -> Vec<Arc<K>> {
    objects.into_iter().map(Arc::new).collect()
}

fn sort(views: &mut [RolloutView]) {
    views.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
}

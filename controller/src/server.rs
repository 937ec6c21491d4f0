//! The server that commands speak to: a local mode at its socket, or a cluster at its API server.
//! What a user says of it comes in, and all commands look and act through what goes out.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use serin_core::verb::Verb;

use crate::client::{Client, ClientError};
use crate::kubernetes::config::{self, ConfigError};
use crate::kubernetes::{Cluster, ClusterError, Extent};
use crate::local::DEFAULT_STATE;
use crate::local::socket::SOCKET;
use crate::view::RolloutView;

/// What a user says of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A local mode's state directory.
    pub state: Option<PathBuf>,
    /// A cluster.
    pub cluster: config::Asked,
    /// Whether all namespaces are meant, which only a cluster is full of.
    pub all_namespaces: bool,
}

/// The server of a command.
#[derive(Clone, Debug)]
pub enum Server {
    /// A local mode.
    Local {
        /// Speaks to it.
        client: Client,
        /// Its state directory.
        state: PathBuf,
    },
    /// A cluster.
    Cluster(Cluster),
}

/// Why it is not known which server is meant.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// A local mode is meant.
    #[error(transparent)]
    Local(#[from] ClientError),
    /// A cluster is meant.
    #[error(transparent)]
    Cluster(#[from] ConfigError),
    /// Nothing is said, and there is neither.
    #[error("nobody serves {} (`serin local DIR` starts a local mode)", socket.display())]
    Neither {
        /// Where a local mode would listen.
        socket: PathBuf,
        /// Why there is no cluster.
        source: ConfigError,
    },
}

/// Why there is no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// From a local mode.
    #[error(transparent)]
    Local(#[from] ClientError),
    /// From a cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A local mode cannot do it.
    #[error("{what} needs a cluster, and {} is a local mode's (--context names a cluster)", state.display())]
    NeedsCluster {
        /// What was asked for.
        what: &'static str,
        /// Of which local mode.
        state: PathBuf,
    },
}

impl Server {
    /// The server that is meant. A local mode is not asked anything yet, nor is a cluster.
    ///
    /// # Errors
    /// If there is none, or what is known of it is of no use.
    pub async fn find(asked: &Asked) -> Result<Server, FindError> {
        let variable = env::var_os("SERIN_STATE").filter(|text| !text.is_empty());
        let here = Path::new(DEFAULT_STATE);
        let socket = here.join(SOCKET);
        let served = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
        match choose(asked, variable.map(PathBuf::from), served) {
            Choice::Local(state) => Ok(Server::Local {
                client: Client::new(&state)?,
                state,
            }),
            Choice::Cluster => Ok(Server::Cluster(Cluster::find(&asked.cluster).await?)),
            Choice::Unsaid => match Cluster::find(&asked.cluster).await {
                Ok(cluster) => Ok(Server::Cluster(cluster)),
                Err(source) => Err(FindError::Neither { socket, source }),
            },
        }
    }

    /// The namespace that is meant where none is named.
    pub fn namespace(&self) -> &str {
        match self {
            Server::Local { .. } => "default",
            Server::Cluster(cluster) => cluster.namespace(),
        }
    }

    /// The cluster, for what a local mode cannot do.
    ///
    /// # Errors
    /// If this is a local mode.
    pub fn cluster(&self, what: &'static str) -> Result<&Cluster, ServerError> {
        match self {
            Server::Cluster(cluster) => Ok(cluster),
            Server::Local { state, .. } => Err(ServerError::NeedsCluster {
                what,
                state: state.clone(),
            }),
        }
    }

    /// One Rollout. A local mode always shows the whole of it.
    ///
    /// # Errors
    /// If the server does not answer, or knows no such Rollout.
    pub async fn rollout(
        &self,
        namespace: &str,
        name: &str,
        extent: Extent,
    ) -> Result<RolloutView, ServerError> {
        match self {
            Server::Local { client, .. } => Ok(client.rollout(namespace, name).await?),
            Server::Cluster(cluster) => Ok(cluster.rollout(namespace, name, extent).await?),
        }
    }

    /// The Rollouts of a namespace, or of all. A cluster's are without their revisions.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn rollouts(&self, namespace: Option<&str>) -> Result<Vec<RolloutView>, ServerError> {
        match self {
            Server::Local { client, .. } => Ok(local_rollouts(client, namespace).await?),
            Server::Cluster(cluster) => Ok(cluster.rollouts(namespace).await?),
        }
    }

    /// Does what a verb says; what was done comes back, as the user reads it.
    ///
    /// # Errors
    /// If the server does not answer, knows no such Rollout, or refuses.
    pub async fn verb(
        &self,
        namespace: &str,
        name: &str,
        verb: Verb,
    ) -> Result<String, ServerError> {
        match self {
            Server::Local { client, .. } => Ok(client.verb(namespace, name, verb).await?),
            Server::Cluster(cluster) => Ok(cluster.verb(namespace, name, verb).await?),
        }
    }

    /// One Rollout, now and whenever it changes. After an error nothing more comes.
    pub fn watch_rollout(
        &self,
        namespace: &str,
        name: &str,
        extent: Extent,
    ) -> BoxStream<'static, Result<RolloutView, ServerError>> {
        match self {
            Server::Local { client, .. } => {
                let (client, namespace) = (client.clone(), namespace.to_string());
                let name = name.to_string();
                again_and_again(move || {
                    let (client, namespace) = (client.clone(), namespace.clone());
                    let name = name.clone();
                    async move { Ok(client.rollout(&namespace, &name).await?) }
                })
            }
            Server::Cluster(cluster) => {
                let views = cluster.watch_rollout(namespace, name, extent);
                views.map(|view| Ok(view?)).boxed()
            }
        }
    }

    /// The Rollouts of a namespace, or of all: now and whenever one changes. After an error nothing
    /// more comes.
    pub fn watch_rollouts(
        &self,
        namespace: Option<&str>,
    ) -> BoxStream<'static, Result<Vec<RolloutView>, ServerError>> {
        match self {
            Server::Local { client, .. } => {
                let (client, namespace) = (client.clone(), namespace.map(str::to_string));
                again_and_again(move || {
                    let (client, namespace) = (client.clone(), namespace.clone());
                    async move { Ok(local_rollouts(&client, namespace.as_deref()).await?) }
                })
            }
            Server::Cluster(cluster) => {
                let views = cluster.watch_rollouts(namespace);
                views.map(|views| Ok(views?)).boxed()
            }
        }
    }
}

async fn local_rollouts(
    client: &Client,
    namespace: Option<&str>,
) -> Result<Vec<RolloutView>, ClientError> {
    let mut views = client.rollouts().await?;
    views.retain(|view| namespace.is_none_or(|namespace| view.namespace == namespace));
    Ok(views)
}

/// What a local mode answers, asked soon enough for an eye and seldom enough to cost nothing.
fn again_and_again<V, F>(look: impl Fn() -> F + Send + 'static) -> BoxStream<'static, V>
where
    V: Send + 'static,
    F: Future<Output = V> + Send + 'static,
{
    const LOOK_AGAIN: Duration = Duration::from_millis(250);
    let looks = stream::unfold((look, true), |(look, first)| async move {
        if !first {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Some((look().await, (look, false)))
    });
    looks.boxed()
}

/// Which server is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Local(PathBuf),
    Cluster,
    /// Nothing is said, and nobody serves the directory that a local mode has by default.
    Unsaid,
}

/// What is said in the command counts before what the environment says, and that before what is
/// found.
fn choose(asked: &Asked, variable: Option<PathBuf>, served: impl Fn() -> bool) -> Choice {
    let names_cluster = asked.cluster != config::Asked::default();
    match (&asked.state, variable) {
        (Some(state), _) => Choice::Local(state.clone()),
        (None, _) if names_cluster => Choice::Cluster,
        (None, Some(state)) => Choice::Local(state),
        (None, None) if asked.all_namespaces => Choice::Cluster,
        (None, None) if served() => Choice::Local(PathBuf::from(DEFAULT_STATE)),
        (None, None) => Choice::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_counts_before_what_is_found() {
        let local = |state: &str| Choice::Local(PathBuf::from(state));
        // --state, --context, -A, SERIN_STATE, whether somebody serves the default
        for (state, context, all, variable, served, expected) in [
            (Some("a"), None, false, None, false, local("a")),
            (Some("a"), None, true, Some("b"), true, local("a")),
            (None, Some("prod"), false, Some("b"), true, Choice::Cluster),
            (None, None, false, Some("b"), true, local("b")),
            (None, None, true, Some("b"), true, local("b")),
            (None, None, true, None, true, Choice::Cluster),
            (None, None, false, None, true, local(DEFAULT_STATE)),
            (None, None, false, None, false, Choice::Unsaid),
        ] {
            let asked = Asked {
                state: state.map(PathBuf::from),
                cluster: config::Asked {
                    context: context.map(str::to_string),
                    kubeconfig: None,
                },
                all_namespaces: all,
            };
            let chosen = choose(&asked, variable.map(PathBuf::from), || served);
            assert_eq!(chosen, expected, "{asked:?} {variable:?} {served}");
        }
    }

    #[test]
    fn a_local_mode_says_what_it_cannot_do() {
        let server = Server::Local {
            client: Client::new(Path::new("a")).unwrap(),
            state: PathBuf::from("a"),
        };
        let error = server.cluster("restart").unwrap_err().to_string();
        assert_eq!(
            error,
            "restart needs a cluster, and a is a local mode's (--context names a cluster)"
        );
    }
}

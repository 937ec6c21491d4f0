//! The other end of a running local mode's socket: calls come in, HTTP requests go out.

use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serin_core::verb::Verb;

use crate::local::Doors;
use crate::local::socket::{Done, Problem, SOCKET};
use crate::traffic_report::TrafficReport;
use crate::view::RolloutView;

/// Speaks to the local mode of one state directory.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    socket: PathBuf,
}

/// Why there is no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no serin local serves {} (`serin local DIR` starts one, --state names its directory)", socket.display())]
    NoServer {
        /// Where it would listen.
        socket: PathBuf,
        /// What connecting met.
        source: reqwest::Error,
    },
    /// The server says no.
    #[error("{error}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Why, as the user reads it.
        error: String,
    },
    /// The server went away, or says something else than this version of Serin understands.
    #[error("ask {}", socket.display())]
    Broken {
        /// Where it listens.
        socket: PathBuf,
        /// What happened.
        source: reqwest::Error,
    },
}

impl Client {
    /// A client for this state directory. Nothing is sent yet.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new(state: &Path) -> Result<Client, ClientError> {
        let socket = state.join(SOCKET);
        let http = crate::http::plain().unix_socket(socket.clone()).build();
        match http {
            Ok(http) => Ok(Client { http, socket }),
            Err(source) => Err(ClientError::Broken { socket, source }),
        }
    }

    /// Every Rollout.
    ///
    /// # Errors
    /// If there is no server, or it does not answer.
    pub async fn rollouts(&self) -> Result<Vec<RolloutView>, ClientError> {
        self.ask(Method::GET, &["rollouts"], None).await
    }

    /// One Rollout.
    ///
    /// # Errors
    /// If there is no server, or it knows no such Rollout.
    pub async fn rollout(&self, namespace: &str, name: &str) -> Result<RolloutView, ClientError> {
        let path = ["rollouts", namespace, name];
        self.ask(Method::GET, &path, None).await
    }

    /// Hands in a verb; what was done comes back, as the user reads it.
    ///
    /// # Errors
    /// If there is no server, it knows no such Rollout, or it refuses.
    pub async fn verb(
        &self,
        namespace: &str,
        name: &str,
        verb: Verb,
    ) -> Result<String, ClientError> {
        let (verb, options) = match verb {
            Verb::Promote { full } => ("promote", json!({ "full": full })),
            Verb::Abort => ("abort", json!({})),
            Verb::Retry => ("retry", json!({})),
            Verb::Pause => ("pause", json!({})),
            Verb::Undo { to_revision } => ("undo", json!({ "toRevision": to_revision })),
        };
        let path = ["rollouts", namespace, name, verb];
        let done: Done = self.ask(Method::POST, &path, Some(options)).await?;
        Ok(done.message)
    }

    /// What the traffic has met so far.
    ///
    /// # Errors
    /// If there is no server, or it sends no traffic.
    pub async fn traffic(&self) -> Result<TrafficReport, ClientError> {
        self.ask(Method::GET, &["traffic"], None).await
    }

    /// Where the local mode listens.
    ///
    /// # Errors
    /// If there is no server.
    pub async fn doors(&self) -> Result<Doors, ClientError> {
        self.ask(Method::GET, &["doors"], None).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<T, ClientError> {
        let mut request = self.http.request(method, url(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| self.wrong(error))?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(|error| self.wrong(error));
        }
        let problem = response.json().await;
        let Problem { error, .. } = problem.map_err(|error| self.wrong(error))?;
        Err(ClientError::Refused { status, error })
    }

    fn wrong(&self, source: reqwest::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.is_connect() {
            true => ClientError::NoServer { socket, source },
            false => ClientError::Broken { socket, source },
        }
    }
}

/// The address of what these names lead to. A name stays one, whatever a user has typed into it:
/// it never becomes two, or the options of another.
fn url(names: &[&str]) -> String {
    let mut url = "http://serin/v1".to_string();
    for name in names {
        url.push('/');
        url.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_whatever_is_in_it() {
        let path = |name| url(&["rollouts", "default", name, "abort"]);
        assert_eq!(path("shop"), "http://serin/v1/rollouts/default/shop/abort");
        for (name, encoded) in [
            ("shop/pause?x", "shop%2Fpause%3Fx"),
            ("shop/pause#", "shop%2Fpause%23"),
            ("shop%2Fpause", "shop%252Fpause"),
        ] {
            let whole = reqwest::Url::parse(&path(name)).unwrap();
            assert_eq!(
                whole.path(),
                format!("/v1/rollouts/default/{encoded}/abort")
            );
        }
    }
}

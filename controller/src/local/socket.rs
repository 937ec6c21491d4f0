//! The Unix socket of a running local mode: HTTP requests come in, what the desk answers goes out
//! as JSON. Whoever may open the socket may steer releases, so only its owner may.

mod answer;

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use tokio::net::UnixListener;

use super::traffic::Traffic;
use super::{Desk, Doors};
use crate::traffic_report::TrafficReport;
use crate::view::RolloutView;

pub use answer::{Done, Problem};
use answer::{unknown_rollout, verb_from};

/// The socket's name in the state directory.
pub const SOCKET: &str = "serin.sock";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another local mode has it.
    #[error("another serin local serves {} (--state takes another directory)", .0.display())]
    Taken(PathBuf),
    /// It cannot be made.
    #[error("listen on {} (a Unix socket's path has at most 107 bytes)", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens on the socket of this state directory, in place of one that nobody serves any more.
///
/// # Errors
/// If somebody serves it, or it cannot be made.
pub fn listen(state: &Path) -> Result<UnixListener, SocketError> {
    let path = state.join(SOCKET);
    if std::os::unix::net::UnixStream::connect(&path).is_ok() {
        return Err(SocketError::Taken(path));
    }
    // Made under another name and renamed once its mode is set: it is never open to others, and
    // never missing where an old one was.
    let made = state.join(format!("{SOCKET}.new"));
    let listen = || {
        match std::fs::remove_file(&made) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&made)?;
        std::fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        std::fs::rename(&made, &path)?;
        Ok(listener)
    };
    listen().map_err(|source| SocketError::Listen { path, source })
}

/// Answers requests until the listener fails.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: UnixListener, desk: Desk, traffic: Option<Traffic>) -> io::Result<()> {
    axum::serve(listener, router(Served { desk, traffic })).await
}

#[derive(Clone)]
struct Served {
    desk: Desk,
    traffic: Option<Traffic>,
}

fn router(served: Served) -> Router {
    Router::new()
        .route("/v1/rollouts", get(rollouts))
        .route("/v1/rollouts/{namespace}/{name}", get(rollout))
        .route("/v1/rollouts/{namespace}/{name}/{verb}", post(verb))
        .route("/v1/traffic", get(traffic))
        .route("/v1/doors", get(doors))
        .fallback(|| async {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no such path, expected /v1/rollouts, /v1/traffic or /v1/doors",
            )
        })
        .with_state(served)
}

async fn rollouts(State(served): State<Served>) -> Json<Vec<RolloutView>> {
    Json(served.desk.views())
}

async fn rollout(
    State(served): State<Served>,
    extract::Path((namespace, name)): extract::Path<(String, String)>,
) -> Result<Json<RolloutView>, Problem> {
    let views = served.desk.views();
    let found = views
        .iter()
        .find(|view| view.namespace == namespace && view.name == name);
    match found {
        Some(view) => Ok(Json(view.clone())),
        None => Err(unknown_rollout(&namespace, &name, &views)),
    }
}

async fn verb(
    State(served): State<Served>,
    extract::Path((namespace, name, verb)): extract::Path<(String, String, String)>,
    body: Bytes,
) -> Result<Json<Done>, Problem> {
    let verb = verb_from(&verb, &body)?;
    let message = served.desk.verb(&namespace, &name, verb).await?;
    Ok(Json(Done { message }))
}

async fn doors(State(served): State<Served>) -> Json<Doors> {
    Json(served.desk.doors())
}

async fn traffic(State(served): State<Served>) -> Result<Json<TrafficReport>, Problem> {
    let traffic = served.traffic.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no traffic is sent (serin local DIR --traffic 200 sends 200 requests a second)",
        )
    })?;
    Ok(Json(traffic.report()))
}

#[cfg(test)]
mod tests;

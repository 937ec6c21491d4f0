//! What the socket answers: refusals with the status that fits them, and the way from a request's
//! body to a verb.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};
use serin_core::verb::Verb;

use crate::local::desk::DeskRefusal;
use crate::view::RolloutView;

/// A verb that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, as the user reads it.
    pub message: String,
}

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// Why, as the user reads it.
    pub error: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: impl ToString) -> Problem {
        Problem {
            status,
            error: error.to_string(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

impl From<DeskRefusal> for Problem {
    fn from(refusal: DeskRefusal) -> Problem {
        let status = match refusal {
            DeskRefusal::Verb(_) => StatusCode::CONFLICT,
            DeskRefusal::UnknownRollout { .. } => StatusCode::NOT_FOUND,
            DeskRefusal::NotStored(_) => StatusCode::INSUFFICIENT_STORAGE,
            DeskRefusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, refusal)
    }
}

/// The answer about a Rollout that is not there; it names those that are.
pub(super) fn unknown_rollout(namespace: &str, name: &str, views: &[RolloutView]) -> Problem {
    let known: Vec<String> = views
        .iter()
        .map(|view| format!("{}/{}", view.namespace, view.name))
        .collect();
    let expected = match known.is_empty() {
        true => "there is none".to_string(),
        false => format!("expected one of {}", known.join(", ")),
    };
    let error = format!("rollout {namespace}/{name} is unknown, {expected}");
    Problem::new(StatusCode::NOT_FOUND, error)
}

/// The verb that a path and a body name; no body means no options.
pub(super) fn verb_from(name: &str, body: &[u8]) -> Result<Verb, Problem> {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Promote {
        full: bool,
    }
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default, rename_all = "camelCase")]
    struct Undo {
        to_revision: Option<u64>,
    }
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    match name {
        "promote" => options(body).map(|Promote { full }| Verb::Promote { full }),
        "abort" => options(body).map(|Nothing {}| Verb::Abort),
        "retry" => options(body).map(|Nothing {}| Verb::Retry),
        "pause" => options(body).map(|Nothing {}| Verb::Pause),
        "undo" => options(body).map(|Undo { to_revision }| Verb::Undo { to_revision }),
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("verb {name:?} is unknown, expected promote, abort, retry, pause or undo"),
        )),
    }
}

fn options<T: Default + serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

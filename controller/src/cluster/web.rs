//! What others may ask the controller over HTTP: `/metrics`, whether it lives (`/healthz`), and
//! whether it does its work or could take it over (`/readyz`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, serve};
use tokio::net::TcpListener;

use super::metrics::Metrics;

/// What is told; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Health {
    ready: Arc<AtomicBool>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Health {
    /// It does its work now, or could take it over.
    pub(super) fn is_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// It is to get there yet.
    pub(super) fn is_not_ready(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

/// Answers for ever.
///
/// # Errors
/// If the socket fails.
pub async fn answer(listener: TcpListener, health: Health) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health);
    serve(listener, router).await.context("answer over HTTP")
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    match health.ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the API server's objects are not read yet\n",
        ),
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match health.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

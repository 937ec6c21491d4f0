//! What others may ask the controller over HTTP: `/metrics`, whether it lives (`/healthz`), whether
//! it does its work or could take it over (`/readyz`), and the filter's module for proxies, which
//! every controller of a version gives out alike (`/filter.wasm`, and by its checksum).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, serve};
use serin_filter_module::{MODULE, SHA256};
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
        .route("/filter.wasm", get(newest_module))
        .route("/filter/{file}", get(module))
        .with_state(health);
    serve(listener, router).await.context("answer over HTTP")
}

/// Where the module is for as long as it is this one; a proxy that asks there gets these bytes or
/// none.
pub fn module_path() -> String {
    format!("/filter/{SHA256}.wasm")
}

/// Another version's module may be here tomorrow.
async fn newest_module() -> impl IntoResponse {
    wasm("no-cache")
}

async fn module(Path(file): Path<String>) -> Response {
    match file.strip_suffix(".wasm") {
        Some(SHA256) => wasm("max-age=31536000, immutable").into_response(),
        _ => {
            let there = module_path();
            let told = format!("there is no module {file:?} here, expected {there}\n");
            (StatusCode::NOT_FOUND, told).into_response()
        }
    }
}

fn wasm(caching: &'static str) -> impl IntoResponse {
    let tag = format!("\"{SHA256}\"");
    let headers = [
        (header::CONTENT_TYPE, "application/wasm".to_string()),
        (header::CACHE_CONTROL, caching.to_string()),
        (header::ETAG, tag),
    ];
    (headers, MODULE)
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

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[tokio::test]
    async fn the_module_is_given_out_under_its_checksum() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answering = tokio::spawn(answer(listener, Health::default()));
        let client = crate::http::plain().no_proxy().build().expect("a client");
        let get = async |path: &str| {
            let asked = client.get(format!("http://{address}{path}")).send().await;
            let answer = asked.expect("an answer");
            let header = |name: &str| {
                let value = answer.headers().get(name);
                value.map(|value| value.to_str().expect("text").to_string())
            };
            let (kind, caching) = (header("content-type"), header("cache-control"));
            let status = answer.status().as_u16();
            let body = answer.bytes().await.expect("a body");
            (
                status,
                kind.unwrap_or_default(),
                caching.unwrap_or_default(),
                body,
            )
        };
        for (path, cached) in [("/filter.wasm", "no-cache"), (&*module_path(), "immutable")] {
            let (status, kind, caching, body) = get(path).await;
            assert_eq!((status, &*kind), (200, "application/wasm"), "{path}");
            assert!(caching.contains(cached), "{path}: {caching}");
            let sum = Sha256::digest(&body);
            let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sum, SHA256, "{path}");
        }
        let (status, _, _, told) = get("/filter/abc.wasm").await;
        assert_eq!(status, 404);
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.contains("abc.wasm") && told.contains(SHA256), "{told}");
        answering.abort();
    }
}

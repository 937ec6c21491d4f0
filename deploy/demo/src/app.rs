//! A small HTTP server that errs and dawdles as told, and counts what it did: requests come in,
//! answers that name its version go out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::get;
use clap::Parser;
use serde::{Deserialize, Serialize};
use serin_core::metric::BUCKETS;
use tokio::signal::unix::{SignalKind, signal};

/// How the app behaves.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo-app", about = "The app that the demo releases")]
pub struct Options {
    /// Where it listens
    #[arg(long)]
    pub listen: SocketAddr,
    /// The version that it names in its answers
    #[arg(long)]
    pub version: String,
    /// The share of requests that it answers with 500, from 0 to 1
    #[arg(long, default_value = "0", value_parser = share)]
    pub error_rate: f64,
    /// How long it takes over a request
    #[arg(long, default_value = "0")]
    pub delay_ms: u64,
    /// What it asks once for each request (through HTTP_PROXY if that is set)
    #[arg(long, value_name = "URL")]
    pub dependency: Option<String>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_string())
}

/// What the app has done; `GET /counts`. Neither that nor `GET /healthz` is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The version that counted.
    pub version: String,
    /// Requests answered, by status code.
    pub served: BTreeMap<u16, u64>,
    /// Answers of the dependency, by status code; 0 for no answer.
    pub dependency: BTreeMap<u16, u64>,
    /// Requests answered, by the smallest bound of [`BUCKETS`] in milliseconds that they took no
    /// longer than; `u64::MAX` for those above all.
    pub took: BTreeMap<u64, u64>,
}

/// Serves until told to stop, and then answers what it has begun.
///
/// # Errors
/// If it cannot listen.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listen on {}", options.listen))?;
    let mut stop = signal(SignalKind::terminate())?;
    let app = router(options)?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            stop.recv().await;
        })
        .await?;
    Ok(())
}

#[derive(Debug)]
struct App {
    options: Options,
    http: reqwest::Client,
    begun: AtomicU64,
    counts: Mutex<Counts>,
}

fn router(options: Options) -> anyhow::Result<Router> {
    // A dependency that takes longer has failed.
    const PATIENCE: Duration = Duration::from_secs(10);
    let counts = Counts {
        version: options.version.clone(),
        ..Counts::default()
    };
    let app = Arc::new(App {
        options,
        http: serin::http::plain().timeout(PATIENCE).build()?,
        begun: AtomicU64::new(0),
        counts: Mutex::new(counts),
    });
    Ok(Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/counts", get(counts_so_far))
        .fallback(answer)
        .with_state(app))
}

async fn counts_so_far(State(app): State<Arc<App>>) -> Json<Counts> {
    Json(app.count(|counts| counts.clone()))
}

async fn answer(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let begun = Instant::now();
    let number = app.begun.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(app.options.delay_ms)).await;
    let asked = app.ask_dependency().await;
    let status = if errs(number, app.options.error_rate) {
        StatusCode::INTERNAL_SERVER_ERROR
    } else if asked {
        StatusCode::OK
    } else {
        StatusCode::BAD_GATEWAY
    };
    let took = bound(begun.elapsed());
    app.count(|counts| {
        *counts.served.entry(status.as_u16()).or_default() += 1;
        *counts.took.entry(took).or_default() += 1;
    });
    (status, format!("{}\n", app.options.version))
}

/// The bound that a request of this length is counted under.
fn bound(took: Duration) -> u64 {
    let within = |bound: &&(u64, &str)| took <= Duration::from_millis(bound.0);
    BUCKETS
        .iter()
        .find(within)
        .map_or(u64::MAX, |bound| bound.0)
}

/// Whether the request of this number is one that errs. The errors are spread evenly, so that
/// their share is exact after any number of requests.
fn errs(number: u64, rate: f64) -> bool {
    let before = |number: u64| (number as f64 * rate).floor();
    before(number + 1) > before(number)
}

impl App {
    fn count<T>(&self, count: impl FnOnce(&mut Counts) -> T) -> T {
        // A count is whole after each statement, so one who died holding it left nothing half.
        count(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the dependency, if there is one, answered well.
    async fn ask_dependency(&self) -> bool {
        let Some(url) = &self.options.dependency else {
            return true;
        };
        let status = match self.http.get(url).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                // Read to the end, so that the connection serves again.
                response.bytes().await.map_or(0, |_| status)
            }
            Err(_) => 0,
        };
        self.count(|counts| *counts.dependency.entry(status).or_default() += 1);
        (200..500).contains(&status)
    }
}

#[cfg(test)]
mod tests;

//! Servers for the tests of providers: on this machine, until the test ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;
use serin_core::analysis::{SecretKey, Secrets};
use serin_core::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Asking, Environment, Tokens, prometheus};

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_250);

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Method, path and query.
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// A server under way.
pub(super) struct Served {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Served {
    /// The requests that came, in their order.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(super) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers each request with the next of `answers`, the last of them again and again.
pub(super) async fn answers<const N: usize>(answers: [(u16, &str); N]) -> Served {
    let answers = answers.map(|(status, body)| (status, body.to_string()));
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let noted = seen.clone();
    let handler = move |request: Request| {
        let (answers, noted) = (answers.clone(), noted.clone());
        async move {
            let request = note(request).await;
            noted.lock().unwrap().push(request);
            let mut answers = answers.lock().unwrap();
            let (status, body) = answers.pop_front().unwrap();
            if answers.is_empty() {
                answers.push_back((status, body.clone()));
            }
            (StatusCode::from_u16(status).unwrap(), body)
        }
    };
    let address = serve(Router::new().fallback(any(handler))).await;
    Served { address, seen }
}

async fn note(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    let headers = head.headers.iter();
    let body = axum::body::to_bytes(body, 100_000).await.unwrap();
    Seen {
        line: format!("{} {}", head.method, head.uri),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: String::from_utf8_lossy(&body).into(),
    }
}

/// Answers each connection with these very bytes, and closes it or leaves it open.
pub(super) async fn bytes(answer: &'static [u8], close: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 65_536];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
            if close {
                let _ = stream.shutdown().await;
            } else {
                open.push(stream);
            }
        }
    });
    address
}

/// What measurements are taken by.
pub(super) fn asking() -> Asking {
    Asking {
        http: prometheus::client().unwrap(),
        prometheus: None,
        instead: false,
        tokens: Tokens::default(),
        aws: Environment::default(),
    }
}

/// A Secret with these entries.
pub(super) fn secret<const N: usize>(name: &str, entries: [(&str, &str); N]) -> Secrets {
    let key = |key: &str| SecretKey {
        name: name.to_string(),
        key: key.to_string(),
    };
    entries
        .map(|(entry, value)| (key(entry), value.to_string()))
        .into()
}

//! An API server in whose front somebody is faster: an object is changed before a controller's write
//! arrives that is meant for the version that it has seen. The server itself then refuses the write,
//! as it does where two controllers meet. The next write of the object gets through.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use kube::Client;
use serde_json::json;
use serin_tests::cluster::{Cluster, MERGE};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The front of an API server; it ends when it is dropped.
pub(super) struct Contended {
    /// Where it answers, over plain HTTP.
    pub(super) url: String,
    writes: Arc<Writes>,
    serving: JoinHandle<()>,
}

/// What was written, and what of that somebody else had changed before.
struct Writes {
    /// Asks as the controller does.
    client: Client,
    /// Changes what it likes.
    other: Client,
    disturbed: Mutex<BTreeSet<String>>,
    changes: AtomicU32,
    refused: Mutex<BTreeMap<String, u32>>,
}

/// More than any object here.
const LIMIT: usize = 4 << 20;

impl Contended {
    /// In front of the cluster's API server, which knows who asks by this token.
    pub(super) async fn start(cluster: &Cluster, token: &str) -> Contended {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let writes = Arc::new(Writes {
            client: cluster.client_of(token),
            other: cluster.client(),
            disturbed: Mutex::default(),
            changes: AtomicU32::new(0),
            refused: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state(writes.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("serves");
        });
        Contended {
            url: format!("http://{address}"),
            writes,
            serving,
        }
    }

    /// How many writes of each kind, by its plural, were refused because the object had changed.
    pub(super) fn refused(&self) -> BTreeMap<String, u32> {
        self.writes.refused.lock().expect("counts").clone()
    }
}

impl Drop for Contended {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(writes): State<Arc<Writes>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LIMIT).await.expect("a body");
    let object = Object::written(parts.method.as_str(), parts.uri.path());
    let object = object.filter(|_| names_a_version(&body));
    if let Some(object) = &object
        && writes.is_turn_of(object)
    {
        writes.disturb(object).await;
    }
    let target = parts.uri.path_and_query().expect("a path").as_str();
    let mut passed_on = http::Request::builder().method(parts.method).uri(target);
    for name in [ACCEPT, CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name) {
            passed_on = passed_on.header(name, value);
        }
    }
    let passed_on = passed_on.body(body.into()).expect("a request");
    match writes.client.send(passed_on).await {
        Ok(answer) => {
            if let Some(object) = object {
                writes.count(&object, answer.status());
            }
            answer.map(Body::new)
        }
        // As a connection that breaks.
        Err(error) => Response::builder()
            .status(StatusCode::BAD_GATEWAY)
            .body(error.to_string().into())
            .expect("an answer"),
    }
}

fn names_a_version(body: &[u8]) -> bool {
    let name = b"resourceVersion";
    body.windows(name.len()).any(|part| part == name)
}

/// An object of a namespace that is there before a request writes it.
struct Object {
    path: String,
    kind: String,
}

impl Object {
    /// `…/namespaces/NAMESPACE/KIND/NAME[/SUBRESOURCE]`.
    fn written(method: &str, path: &str) -> Option<Object> {
        if !["PATCH", "PUT"].contains(&method) {
            return None;
        }
        let (group, rest) = path.split_once("/namespaces/")?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [namespace, kind, name] = parts.get(..3)?.try_into().ok()?;
        // Nobody but the controller writes its Lease, and nobody needs to know of events.
        (!["leases", "events"].contains(&kind)).then(|| Object {
            path: format!("{group}/namespaces/{namespace}/{kind}/{name}"),
            kind: kind.to_string(),
        })
    }
}

impl Writes {
    /// Every other time, so that one that is tried again succeeds.
    fn is_turn_of(&self, object: &Object) -> bool {
        let mut disturbed = self.disturbed.lock().expect("objects");
        let turn = disturbed.insert(object.path.clone());
        if !turn {
            disturbed.remove(&object.path);
        }
        turn
    }

    async fn disturb(&self, object: &Object) {
        let number = self.changes.fetch_add(1, Ordering::Relaxed);
        let touch = json!({"metadata": {"annotations": {"touched": number.to_string()}}});
        let request = http::Request::patch(&object.path)
            .header(CONTENT_TYPE, MERGE)
            .body(touch.to_string().into_bytes())
            .expect("a request");
        let touched = self.other.request::<serde_json::Value>(request).await;
        match touched {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => panic!("{}: {error}", object.path),
        }
    }

    fn count(&self, object: &Object, status: StatusCode) {
        // 422: a JSON Patch whose test of the version fails.
        if [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&status) {
            let mut refused = self.refused.lock().expect("counts");
            *refused.entry(object.kind.clone()).or_default() += 1;
        }
    }
}

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use axum::{Router, routing};
use kube::Config;

use super::*;
use crate::kubernetes::Extent;

/// What was written, where.
type Written = Arc<Mutex<Vec<(String, Value)>>>;

#[tokio::test]
async fn the_status_is_written_first_and_with_the_spec_where_it_is_no_subresource() {
    let spec = json!({"spec": {"paused": false}});
    let status = json!({"status": {"promoteFull": true}});
    let both = json!({"spec": {"paused": false}, "status": {"promoteFull": true}});
    let path = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts/shop";
    let apart = format!("{path}/status");
    for (subresource, expected) in [
        (
            true,
            vec![(apart.clone(), status.clone()), (path.to_string(), spec)],
        ),
        (false, vec![(apart, status), (path.to_string(), both)]),
    ] {
        let written = Written::default();
        let cluster = api_server(subresource, Arc::clone(&written)).await;
        let verb = Verb::Promote { full: true };
        let done = cluster.verb("default", "shop", verb).await.unwrap();
        assert_eq!(done, "promoted in full");
        let written = written.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*written, expected, "subresource: {subresource}");
    }
}

#[tokio::test]
async fn a_server_without_the_kind_is_told_apart_from_one_without_the_rollout() {
    let cluster = api_server(true, Written::default()).await;
    let error = cluster
        .rollout("default", "shoe", Extent::Whole)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "rollout default/shoe is unknown, expected one of default/shop"
    );
    let error = cluster.rollouts(Some("other-api")).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.ends_with("knows no Rollouts (`serin crd | kubectl apply -f -` makes it know them)"),
        "{error}"
    );
}

/// An API server with one paused Rollout, and its status a subresource or not.
async fn api_server(subresource: bool, written: Written) -> Cluster {
    let answer = move |request: Request| {
        let written = Arc::clone(&written);
        async move { answer(request, subresource, &written).await }
    };
    let router = Router::new().fallback(routing::any(answer));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Cluster::at(Config::new(url.parse().unwrap())).unwrap()
}

async fn answer(request: Request, subresource: bool, written: &Written) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_string());
    let body: Bytes = axum::body::to_bytes(request.into_body(), 10_000)
        .await
        .unwrap();
    if method == Method::PATCH {
        let patch = serde_json::from_slice(&body).unwrap();
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        written.push((path.clone(), patch));
    }
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "default"}, "spec": {"paused": true},
        "status": {"stableRS": "old", "currentPodHash": "new"},
    });
    let list = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "RolloutList", "metadata": {},
        "items": [rollout.clone()]});
    let missing = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the server could not find the requested resource", "reason": "NotFound",
        "details": {}, "code": 404});
    match path.strip_prefix("/apis/argoproj.io/v1alpha1/namespaces/default/") {
        Some("rollouts") => Json(list).into_response(),
        Some("rollouts/shop") => Json(rollout).into_response(),
        Some("rollouts/shop/status") if subresource => Json(rollout).into_response(),
        _ => (StatusCode::NOT_FOUND, Json(missing)).into_response(),
    }
}

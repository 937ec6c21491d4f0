//! Who may talk to the API server, and how: clients, the file for kubectl, and bare requests.

use http::Request;
use kube::config::AuthInfo;
use kube::{Client, Config};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::network::NODE;

/// The content type of an object.
pub const JSON: &str = "application/json";
/// The content type of a merge patch.
pub const MERGE: &str = "application/merge-patch+json";
/// What `kubectl get` accepts: columns and rows.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Who may do everything.
const TOKEN: &str = "tests-only";

/// Writes the files of the one who may do everything.
pub(crate) fn grant(dir: &Path) {
    let tokens = format!("{TOKEN},tests,1,system:masters\n");
    fs::write(tokens_file(dir), tokens).expect("the tokens' file");
    write_kubeconfig(&kubeconfig(dir), &url(), TOKEN);
}

pub(crate) fn write_kubeconfig(path: &Path, server: &str, token: &str) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {
            "server": server, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    });
    fs::write(path, config.to_string()).expect("the file for kubectl");
}

pub(crate) fn client() -> Client {
    client_of(TOKEN)
}

pub(crate) fn client_of(token: &str) -> Client {
    let mut config = Config::new(url().parse().expect("is a URL"));
    config.accept_invalid_certs = true;
    config.auth_info = AuthInfo {
        token: Some(SecretString::from(token)),
        ..AuthInfo::default()
    };
    Client::try_from(config).expect("a client")
}

/// Waits until requests are answered, though the API server may not be ready for all of them.
pub(crate) async fn until_answering() {
    until_answered("/livez/ping").await;
}

pub(crate) async fn until_ready() {
    until_answered("/readyz").await;
}

async fn until_answered(path: &str) {
    let client = client();
    loop {
        let request = Request::get(path).body(Vec::new()).expect("is a request");
        if client.request_text(request).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn ask(method: &str, path: &str, kind: &str, body: Option<Value>) -> Value {
    let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
    let accept = match kind {
        TABLE => TABLE,
        _ => JSON,
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind)
        .header("accept", accept)
        .body(body)
        .expect("is a request");
    match client().request::<Value>(request).await {
        Ok(answer) => answer,
        Err(kube::Error::Api(status)) => serde_json::to_value(status).expect("a status is JSON"),
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

/// Where the API server answers.
pub(crate) fn url() -> String {
    format!("https://{NODE}:6443")
}

/// The file with which kubectl and others may do everything.
pub(crate) fn kubeconfig(dir: &Path) -> PathBuf {
    dir.join("kubeconfig")
}

/// The file that tells the API server who may do everything.
pub(crate) fn tokens_file(dir: &Path) -> PathBuf {
    dir.join("tokens.csv")
}

//! istiod: its configuration, and when it is ready.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use serin_core::metric::LABELS;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use super::access::kubeconfig;
use super::network::NODE;
use super::process::{Launch, Process, log_path};

/// Where its own objects are; an object here counts for the whole mesh.
const NAMESPACE: &str = "istio-system";
/// Where proxies ask it for their configuration.
pub(crate) const XDS_PORT: u16 = 15010;
/// Its name for this cluster.
pub(crate) const CLUSTER_ID: &str = "Kubernetes";
/// Where it says whether it is ready. Its default, every address, would take the port from pods.
const HTTP_PORT: u16 = 8080;

/// Creates its configuration and starts it, on the host's thread.
pub(crate) async fn start(dir: &Path, client: &Client) -> Process {
    configure(client).await;
    run(dir)
}

/// Starts it with the configuration that is there, on the host's thread.
pub(crate) fn run(dir: &Path) -> Process {
    let arguments = [
        "discovery".to_string(),
        format!("--kubeconfig={}", kubeconfig(dir).display()),
        // Not this file, but the ConfigMap.
        "--meshConfig=/none".to_string(),
        "--domain=cluster.local".to_string(),
        format!("--grpcAddr={NODE}:{XDS_PORT}"),
        "--secureGRPCAddr=".to_string(),
        "--httpsAddr=".to_string(),
        format!("--httpAddr={NODE}:{HTTP_PORT}"),
        format!("--monitoringAddr={NODE}:15014"),
        "--ctrlz_port=0".to_string(),
    ];
    let environment = [
        // The Envoy here has none of Istio's own extensions.
        ("PILOT_ENABLE_ALPN_FILTER", "false"),
        ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
        // Nobody issues certificates.
        ("ENABLE_CA_SERVER", "false"),
        ("PILOT_CERT_PROVIDER", "none"),
        ("INJECTION_WEBHOOK_CONFIG_NAME", ""),
        ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
        ("POD_NAMESPACE", NAMESPACE),
        ("POD_NAME", "istiod-0"),
        ("REVISION", "default"),
        ("CLUSTER_ID", CLUSTER_ID),
    ];
    let launch = Launch {
        additions: environment
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        log: log_path(dir, "istiod"),
        ..Launch::tool(dir, "pilot-discovery", &arguments)
    };
    Process::start(launch).unwrap_or_else(|error| panic!("istiod does not start: {error}"))
}

async fn configure(client: &Client) {
    let namespace = Namespace {
        metadata: named(NAMESPACE),
        ..Namespace::default()
    };
    let namespaces = Api::<Namespace>::all(client.clone());
    let created = namespaces.create(&PostParams::default(), &namespace).await;
    created.unwrap_or_else(|error| panic!("create namespace {NAMESPACE}: {error}"));
    let mesh = json!({
        // Clusters would wait for certificates.
        "enableAutoMtls": false,
        "rootNamespace": NAMESPACE,
        "defaultConfig": default_config(),
    });
    let config = ConfigMap {
        metadata: named("istio"),
        data: Some(BTreeMap::from([
            ("mesh".to_string(), mesh.to_string()),
            ("meshNetworks".to_string(), "networks: {}".to_string()),
        ])),
        ..ConfigMap::default()
    };
    let configs = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let created = configs.create(&PostParams::default(), &config).await;
    created.unwrap_or_else(|error| panic!("create the mesh's configuration: {error}"));
}

/// What the mesh gives to all proxies. Istio's injector writes it into the pods.
pub(crate) fn default_config() -> Value {
    json!({
        "discoveryAddress": format!("{NODE}:{XDS_PORT}"),
        "controlPlaneAuthPolicy": "NONE",
        // What the filter counts has its labels by these.
        "extraStatTags": LABELS,
    })
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_string()),
        ..ObjectMeta::default()
    }
}

/// Waits until it has read the cluster.
pub(crate) async fn until_ready() {
    let http = serin::http::plain().build().expect("an HTTP client");
    let url = format!("http://{NODE}:{HTTP_PORT}/ready");
    loop {
        let answer = http.get(&url).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What it has generated for a connected proxy, `<name>.<namespace>`, in the form of Envoy's own
/// dump; an error if it has generated nothing yet.
pub(crate) async fn generated_for(proxy: &str) -> Result<Value, String> {
    // It tells this to callers on its own machine only.
    let http = serin::http::plain().local_address(IpAddr::from(Ipv4Addr::LOCALHOST));
    let http = http.build().expect("an HTTP client");
    let url = format!("http://{NODE}:{HTTP_PORT}/debug/config_dump?proxyID={proxy}");
    let answer = http.get(&url).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let text = match answer {
        Ok(answer) => answer.text().await,
        Err(error) => Err(error),
    };
    let text = text.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

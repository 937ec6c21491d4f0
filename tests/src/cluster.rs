//! A real Kubernetes with Istio and no containers: etcd, kube-apiserver, kube-controller-manager and
//! istiod as plain processes in a network namespace of their own, and a stand-in for the kubelet
//! that runs pods as processes with an address each.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

mod access;
mod control_plane;
mod definitions;
mod host;
mod istiod;
pub mod network;
mod objects;
mod pods;
mod process;
pub mod prometheus;
pub mod proxy;
pub mod traffic;
mod wait;

pub use access::{JSON, MERGE, TABLE};
pub use process::Process;
pub use wait::wait_for;

use control_plane::ControlPlane;
use host::Host;
use objects::Kinds;
use process::Launch;

/// How long a part of the cluster may take to start.
const PATIENCE: Duration = Duration::from_secs(90);

/// The running cluster. It ends when it is dropped or stopped, and with the process.
#[derive(Debug)]
pub struct Cluster {
    host: Host,
    control_plane: ControlPlane,
    /// None while it is stopped.
    istiod: tokio::sync::Mutex<Option<Process>>,
    kinds: Kinds,
    numbers: AtomicU16,
}

impl Cluster {
    /// Starts it, in a process that is in a network of its own ([`network::enter`]).
    ///
    /// # Errors
    /// What part does not start, with the end of its log. The logs are kept.
    pub fn start() -> Result<Cluster, String> {
        let host = Host::start();
        let started = host.run(start_parts(host.dir().to_path_buf()));
        match started {
            Ok((control_plane, istiod)) => Ok(Cluster {
                host,
                control_plane,
                istiod: tokio::sync::Mutex::new(Some(istiod)),
                kinds: Kinds::default(),
                numbers: AtomicU16::new(1),
            }),
            Err(trouble) => {
                host.keep_logs();
                Err(format!("{trouble}\nlogs: {}", host.dir().display()))
            }
        }
    }

    /// The whole of a program that needs a cluster: enters a network of its own, starts the cluster,
    /// and ends it after `program`, whose exit code comes back.
    pub fn run(program: impl FnOnce(&Cluster) -> ExitCode) -> ExitCode {
        network::enter();
        match Cluster::start() {
            Ok(cluster) => {
                let code = program(&cluster);
                cluster.stop();
                code
            }
            Err(trouble) => {
                eprintln!("{trouble}");
                ExitCode::FAILURE
            }
        }
    }

    /// Ends every process of the cluster. Nothing can be asked of it afterwards.
    pub fn stop(&self) {
        self.host.end();
    }

    /// Has the directory of the logs stay when the cluster ends; its path.
    pub fn keep_logs(&self) -> &Path {
        self.host.keep_logs();
        self.host.dir()
    }

    /// A client that may do everything; to be made in the runtime that it is used in.
    pub fn client(&self) -> Client {
        access::client()
    }

    /// A client of whom this token belongs to.
    pub fn client_of(&self, token: &str) -> Client {
        access::client_of(token)
    }

    /// The file with which kubectl and others may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        access::kubeconfig(self.host.dir())
    }

    /// The same for whom this token belongs to.
    pub fn kubeconfig_of(&self, token: &str) -> PathBuf {
        self.kubeconfig_through(&access::url(), token)
    }

    /// The same through what answers at `server` in the API server's place.
    pub fn kubeconfig_through(&self, server: &str, token: &str) -> PathBuf {
        let path = self
            .dir()
            .join(format!("kubeconfig-{}", self.next_number()));
        access::write_kubeconfig(&path, server, token);
        path
    }

    /// Starts a program with these additions to its environment; it logs under `name`.
    pub async fn start_program(
        &self,
        name: &str,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Process {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let mut additions = vec![("PATH".to_string(), self.path())];
        additions.extend(environment.iter().map(own));
        let launch = Launch {
            program: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            environment: None,
            additions,
            log: self.log_path(name),
        };
        let started = self.launch(launch).await;
        started.unwrap_or_else(|error| panic!("{program} does not start: {error}"))
    }

    /// Creates a namespace that starts with `prefix` and belongs to the caller alone; its name.
    pub async fn namespace(&self, prefix: &str) -> String {
        let number = self.next_number();
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(format!("{prefix}-{number}")),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let api = Api::<Namespace>::all(self.client());
        let created = api.create(&PostParams::default(), &namespace).await;
        let created = created.unwrap_or_else(|error| panic!("create namespace {prefix}: {error}"));
        created.metadata.name.expect("has a name")
    }

    /// Applies every document of `yaml`, as `kubectl apply --server-side` does. Objects of a
    /// namespaced kind without a namespace go to `namespace`.
    ///
    /// # Panics
    /// If one is refused.
    pub async fn apply(&self, yaml: &str, namespace: &str) {
        self.kinds.apply(&self.client(), yaml, namespace).await;
    }

    /// Sends a request that [`Client`] has no method for and reads the JSON that is answered.
    /// Refusals are answers too.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Option<serde_json::Value>,
    ) -> serde_json::Value {
        access::ask(method, path, kind, body).await
    }

    /// What istiod has generated for a proxy, in the form of Envoy's own dump.
    ///
    /// # Errors
    /// If there is nothing yet.
    pub async fn generated_for(&self, proxy: &proxy::Proxy) -> Result<serde_json::Value, String> {
        istiod::generated_for(&format!("{}.{}", proxy.name, proxy.namespace)).await
    }

    /// What was asked with tokens of the service account `serin` in namespace `serin`, as the API
    /// server's audit log tells it.
    pub fn audited(&self) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(control_plane::audit_log(self.dir()));
        let log = log.expect("the API server's audit log");
        let events = log.lines().map(serde_json::from_str);
        events.map(|event| event.expect("is JSON")).collect()
    }

    /// A token of this service account, valid for an hour.
    pub async fn token_for(&self, namespace: &str, service_account: &str) -> String {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let api = Api::<ServiceAccount>::namespaced(self.client(), namespace);
        let answer = api
            .create_token_request(service_account, &PostParams::default(), &request)
            .await;
        let answer = answer
            .unwrap_or_else(|error| panic!("token for {namespace}/{service_account}: {error}"));
        let token = answer.status.and_then(|status| status.token);
        token.expect("has a token")
    }

    /// Ends the API server at once, as a crash would. Other tests notice: this is for tests that
    /// run alone.
    pub async fn stop_api_server(&self) {
        self.control_plane.stop_api_server().await;
    }

    /// Starts the API server again and waits until it is ready.
    pub async fn start_api_server(&self) {
        self.control_plane.start_api_server(&self.host).await;
        access::until_ready().await;
    }

    /// Ends istiod at once, as a crash would. Other tests notice: this is for tests that run alone.
    pub async fn stop_istiod(&self) {
        if let Some(mut process) = self.istiod.lock().await.take() {
            process.kill();
            process.end().await;
        }
    }

    /// Starts istiod again and waits until it is ready.
    pub async fn start_istiod(&self) {
        let mut running = self.istiod.lock().await;
        if running.is_none() {
            let dir = self.dir().to_path_buf();
            *running = Some(self.host.call(move || istiod::run(&dir)).await);
        }
        istiod::until_ready().await;
    }

    /// Where programs are looked for in the cluster: this workspace's own, then the tools, then
    /// what the machine has.
    pub fn path(&self) -> String {
        pods::path()
    }

    /// A port that nobody else takes, on any address.
    pub fn port(&self) -> u16 {
        18_000 + self.next_number()
    }

    /// A number that nothing had before.
    fn next_number(&self) -> u16 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Where the cluster keeps its files.
    fn dir(&self) -> &Path {
        self.host.dir()
    }

    /// Starts a process that lasts until its owner drops it.
    async fn launch(&self, launch: Launch) -> io::Result<Process> {
        self.host.call(|| Process::start(launch)).await
    }

    /// The last lines that a part of the cluster logged: `kube-apiserver`, `istiod`, or a pod's
    /// container as `NAMESPACE/POD/CONTAINER`.
    pub fn log(&self, name: &str) -> String {
        process::log_end(&self.log_path(name))
    }

    fn log_path(&self, name: &str) -> PathBuf {
        process::log_path(self.dir(), name)
    }
}

/// Starts the parts in the order that they need each other.
async fn start_parts(dir: PathBuf) -> (ControlPlane, Process) {
    access::grant(&dir);
    let mut control_plane = ControlPlane::start(&dir);
    until_up("kube-apiserver", &dir, access::until_answering()).await;
    definitions::install(&access::client()).await;
    // Its garbage collector learns of kinds that come later only after 30 seconds.
    control_plane.start_controllers(&dir);
    until_up("kube-apiserver", &dir, access::until_ready()).await;
    let istiod = istiod::start(&dir, &access::client()).await;
    pods::start(&dir, &access::client()).await;
    until_up("istiod", &dir, istiod::until_ready()).await;
    (control_plane, istiod)
}

/// Waits for a part and, if that takes too long, shows the end of its log.
async fn until_up(name: &str, dir: &Path, up: impl Future<Output = ()>) {
    if tokio::time::timeout(PATIENCE, up).await.is_err() {
        let log = process::log_end(&process::log_path(dir, name));
        panic!("{name} is not ready after {PATIENCE:?}\n{log}");
    }
}

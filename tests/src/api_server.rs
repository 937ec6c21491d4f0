//! A real Kubernetes API server with an etcd of its own, on a loopback address of its own: started
//! once for a test binary, ended with it.

use http::Request;
use kube::config::AuthInfo;
use kube::{Client, Config};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::local::{free_address, tool};

/// How long a test waits for the API server, or for anything it asks of it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Who may do everything.
const TOKEN: &str = "tests-only";

/// The running API server.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    // Kept for as long as the processes that write to it.
    dir: TempDir,
}

impl ApiServer {
    /// The one of this test binary, started with the first call.
    pub fn get() -> &'static ApiServer {
        static RUNNING: OnceLock<ApiServer> = OnceLock::new();
        RUNNING.get_or_init(ApiServer::start)
    }

    fn start() -> ApiServer {
        let dir = tempfile::tempdir().expect("a directory for the API server");
        let address = SocketAddr::new(free_address().ip(), 6443);
        let mut parts = [
            start_etcd(&dir, address.ip()),
            start_api_server(&dir, address),
        ];
        let server = ApiServer { address, dir };
        let runtime = crate::local::runtime();
        let started = Instant::now();
        while let Err(error) = runtime.block_on(server.ready()) {
            let lives = |part: &mut Child| matches!(part.try_wait(), Ok(None));
            assert!(
                started.elapsed() < PATIENCE && parts.iter_mut().all(lives),
                "the API server is not ready: {error}\n{}\n{}",
                server.log("etcd"),
                server.log("kube-apiserver")
            );
            thread::sleep(Duration::from_millis(100));
        }
        server
    }

    async fn ready(&self) -> Result<(), kube::Error> {
        let request = Request::get("/readyz").body(Vec::new());
        let client = self.client();
        let answer = client.request_text(request.expect("is a request"));
        answer.await.map(drop)
    }

    /// A client that may do everything; to be made in the runtime that it is used in.
    pub fn client(&self) -> Client {
        let url = format!("https://{}", self.address);
        let mut config = Config::new(url.parse().expect("is a URL"));
        config.accept_invalid_certs = true;
        config.auth_info = AuthInfo {
            token: Some(SecretString::from(TOKEN)),
            ..AuthInfo::default()
        };
        Client::try_from(config).expect("a client")
    }

    /// A kubeconfig for programs that may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "clusters": [{"name": "tests", "cluster": {
                "server": format!("https://{}", self.address), "insecure-skip-tls-verify": true,
            }}],
            "users": [{"name": "tests", "user": {"token": TOKEN}}],
        });
        let path = self.dir.path().join("kubeconfig");
        fs::write(&path, config.to_string()).expect("a kubeconfig");
        path
    }

    /// Sends a request and reads the JSON that is answered. Refusals are answers too.
    pub async fn ask(&self, method: &str, path: &str, kind: &str, body: Option<Value>) -> Value {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let accept = match kind {
            TABLE => TABLE,
            _ => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("accept", accept)
            .body(body)
            .expect("is a request");
        match self.client().request::<Value>(request).await {
            Ok(answer) => answer,
            Err(kube::Error::Api(status)) => {
                serde_json::to_value(status).expect("a status is JSON")
            }
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// The content type of an object.
pub const JSON: &str = "application/json";
/// The content type of a merge patch.
pub const MERGE: &str = "application/merge-patch+json";
/// What `kubectl get` accepts: columns and rows.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn start_etcd(dir: &TempDir, ip: IpAddr) -> Child {
    let (client, peer) = (format!("http://{ip}:2379"), format!("http://{ip}:2380"));
    let data = dir.path().join("data");
    let arguments = [
        "--data-dir",
        &data.to_string_lossy(),
        "--listen-client-urls",
        &client,
        "--advertise-client-urls",
        &client,
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
        "--initial-cluster",
        &format!("default={peer}"),
        "--unsafe-no-fsync",
    ];
    spawn(dir, "etcd", &arguments.map(ToString::to_string))
}

fn start_api_server(dir: &TempDir, address: SocketAddr) -> Child {
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let key = rcgen::KeyPair::generate().expect("a key for tokens");
    fs::write(path("sa.key"), key.serialize_pem()).expect("the key's file");
    fs::write(path("sa.pub"), key.public_key_pem()).expect("the public key's file");
    let tokens = format!("{TOKEN},tests,1,system:masters\n");
    fs::write(path("tokens.csv"), tokens).expect("the tokens' file");
    let arguments = [
        format!("--etcd-servers=http://{}:2379", address.ip()),
        format!("--cert-dir={}", path("pki")),
        format!("--service-account-key-file={}", path("sa.pub")),
        format!("--service-account-signing-key-file={}", path("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_string(),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--authorization-mode=RBAC".to_string(),
        "--service-cluster-ip-range=10.96.0.0/16".to_string(),
        format!("--bind-address={}", address.ip()),
        format!("--secure-port={}", address.port()),
        // Only told to pods, of which there are none: a loopback address is refused here.
        "--advertise-address=10.77.0.1".to_string(),
        "--disable-admission-plugins=ServiceAccount".to_string(),
    ];
    spawn(dir, "kube-apiserver", &arguments)
}

/// Starts a tool that ends with this process, however that ends: the kernel kills it when the
/// thread that started it is gone, and that one sleeps for as long as there is a process.
fn spawn(dir: &TempDir, name: &'static str, arguments: &[String]) -> Child {
    let log = fs::File::create(dir.path().join(name)).expect("a log file");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(tool(name))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(command.spawn());
        loop {
            thread::park();
        }
    });
    let started = started.recv().expect("the thread says how it went");
    started
        .unwrap_or_else(|error| panic!("{name} does not start (setpriv is in util-linux): {error}"))
}

//! etcd, kube-apiserver and kube-controller-manager: their keys and their arguments.

use std::fs;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;

use super::access::{kubeconfig, tokens_file};
use super::host::Host;
use super::network::{NODE, SERVICES};
use super::process::{Launch, Process};

/// Where etcd listens.
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";

/// The processes of the control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    dir: PathBuf,
    _etcd: Process,
    api_server: Mutex<Option<Process>>,
    controllers: Option<Process>,
}

impl ControlPlane {
    /// Starts etcd and the API server, on the host's thread.
    pub(crate) fn start(dir: &Path) -> ControlPlane {
        let key = rcgen::KeyPair::generate().expect("a key for tokens");
        fs::write(dir.join("sa.key"), key.serialize_pem()).expect("the key's file");
        fs::write(dir.join("sa.pub"), key.public_key_pem()).expect("the public key's file");
        ControlPlane {
            dir: dir.to_path_buf(),
            _etcd: start(etcd(dir)),
            api_server: Mutex::new(Some(start(api_server(dir)))),
            controllers: None,
        }
    }

    /// Starts the controllers, on the host's thread.
    pub(crate) fn start_controllers(&mut self, dir: &Path) {
        self.controllers = Some(start(controllers(dir)));
    }

    pub(crate) async fn stop_api_server(&self) {
        if let Some(mut process) = self.api_server.lock().await.take() {
            process.kill();
            process.end().await;
        }
    }

    pub(crate) async fn start_api_server(&self, host: &Host) {
        let mut running = self.api_server.lock().await;
        if running.is_none() {
            let launch = api_server(&self.dir);
            *running = Some(host.call(|| start(launch)).await);
        }
    }
}

fn start(launch: Launch) -> Process {
    let program = launch.program.clone();
    Process::start(launch).unwrap_or_else(|error| {
        panic!("{program:?} does not start (setpriv is in util-linux): {error}")
    })
}

fn etcd(dir: &Path) -> Launch {
    let data = format!("--data-dir={}", dir.join("etcd").display());
    let arguments = [
        data,
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        format!("--listen-peer-urls={ETCD_PEER}"),
        format!("--initial-advertise-peer-urls={ETCD_PEER}"),
        format!("--initial-cluster=default={ETCD_PEER}"),
        // What it stores need not survive the machine.
        "--unsafe-no-fsync".to_string(),
    ];
    Launch::tool(dir, "etcd", &arguments)
}

/// Where the API server tells what the controllers of tests asked it.
pub(crate) fn audit_log(dir: &Path) -> PathBuf {
    dir.join("audit.log")
}

/// Tells every request of the account that is shipped, and no other.
fn audit_policy(dir: &Path) -> PathBuf {
    let policy = serde_json::json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "users": ["system:serviceaccount:serin:serin"]},
            {"level": "None"},
        ],
    });
    let path = dir.join("audit-policy.json");
    fs::write(&path, policy.to_string()).expect("the policy's file");
    path
}

fn api_server(dir: &Path) -> Launch {
    let path = |name: &str| dir.join(name).display().to_string();
    let arguments = [
        format!("--etcd-servers={ETCD}"),
        format!("--cert-dir={}", path("pki")),
        format!("--service-account-key-file={}", path("sa.pub")),
        format!("--service-account-signing-key-file={}", path("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_string(),
        format!("--token-auth-file={}", tokens_file(dir).display()),
        "--authorization-mode=RBAC".to_string(),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--secure-port=6443".to_string(),
        format!("--bind-address={NODE}"),
        format!("--advertise-address={NODE}"),
        format!("--audit-policy-file={}", audit_policy(dir).display()),
        format!("--audit-log-path={}", audit_log(dir).display()),
        // Clusters that have it are those that need most of an account.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_string(),
        // Pods need no token, and no service account that a controller creates first.
        "--disable-admission-plugins=ServiceAccount".to_string(),
        "--allow-privileged=true".to_string(),
        // Hundreds of pods change at once, and each has a task that writes.
        "--max-requests-inflight=3000".to_string(),
        "--max-mutating-requests-inflight=1500".to_string(),
    ];
    Launch::tool(dir, "kube-apiserver", &arguments)
}

fn controllers(dir: &Path) -> Launch {
    let arguments = [
        format!("--kubeconfig={}", kubeconfig(dir).display()),
        format!(
            "--service-account-private-key-file={}",
            dir.join("sa.key").display()
        ),
        "--leader-elect=false".to_string(),
        format!("--bind-address={NODE}"),
        // The others are about nodes and volumes, of which there are none.
        "--controllers=*,-nodeipam,-nodelifecycle,-attachdetach,-persistentvolume-binder"
            .to_string(),
        // With it a burst of pods makes ReplicaSets wait for caches, ever longer.
        "--feature-gates=StaleControllerConsistencyReplicaSet=false".to_string(),
        // The defaults, 20 and 30 a second, are what hundreds of pods would wait for.
        "--kube-api-qps=500".to_string(),
        "--kube-api-burst=1000".to_string(),
        "--concurrent-deployment-syncs=20".to_string(),
        "--concurrent-replicaset-syncs=20".to_string(),
        "--concurrent-service-endpoint-syncs=20".to_string(),
    ];
    Launch::tool(dir, "kube-controller-manager", &arguments)
}

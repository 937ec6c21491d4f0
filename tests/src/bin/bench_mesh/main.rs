//! How long a change of a release is on its way: from the write of its object through the API server,
//! istiod and Istio's agent to an Envoy that runs it, with one host in flight and with many. Out
//! comes JSON for `make bench`.

mod mesh;

use mesh::Mesh;
use serin_bench::in_flight::{MANY, Releases};
use serin_bench::push::Pushes;
use serin_tests::cluster::{Cluster, wait_for};
use serin_tests::local::{binary, runtime};
use std::process::ExitCode;
use std::time::Duration;

/// Changes of each that are measured.
const CHANGES: usize = 15;

/// How far apart: istiod waits for a change to be the last of several.
const APART: Duration = Duration::from_millis(500);

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    Cluster::run(|cluster| {
        let pushes = runtime().block_on(measure(cluster));
        println!("{}", serde_json::json!(pushes));
        ExitCode::SUCCESS
    })
}

/// The two take turns, so that what else the machine does is the same for both.
async fn measure(cluster: &Cluster) -> [Pushes; 2] {
    let (_controller, url) = controller(cluster).await;
    let one = Mesh::open(cluster, "one", Releases::one(), &url).await;
    let many = Mesh::open(cluster, "many", Releases::with_hosts(MANY), &url).await;
    let mut pushes = [Pushes::default(), Pushes::default()];
    for _ in 0..CHANGES {
        for (mesh, pushes) in [&one, &many].into_iter().zip(&mut pushes) {
            tokio::time::sleep(APART).await;
            mesh.change(pushes).await;
        }
    }
    pushes
}

/// A controller from which agents fetch the module, and its URL.
async fn controller(cluster: &Cluster) -> (serin_tests::cluster::Process, String) {
    let namespace = cluster.namespace("controller").await;
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let listen = format!("{}:0", serin_tests::cluster::network::NODE);
    let arguments = [
        "controller",
        "--kubeconfig",
        &kubeconfig,
        "--namespace",
        &namespace,
        "--leader-elect=false",
        "--listen",
        &listen,
    ];
    let program = binary("serin").display().to_string();
    let controller = cluster.start_program("controller", &program, &arguments, &[]);
    let controller = controller.await;
    let listens = wait_for("the controller listens", PATIENCE, async || {
        let log = cluster.log("controller");
        let address = log.split("listen=").nth(1);
        let address = address.and_then(|rest| rest.split_whitespace().next());
        address.map(|at| format!("http://{at}")).ok_or(log)
    });
    (controller, listens.await)
}

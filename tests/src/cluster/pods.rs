//! The stand-in for the kubelet, with one node: pods come in from one watch, processes and statuses
//! go out. A container with a `command` runs as a process at the pod's address, and one without
//! runs nothing and is ready at once. Init containers, volumes and resources are not looked at.

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, NodeStatus, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

mod container;
mod environment;
mod pod;
mod readiness;
mod record;
mod status;

use super::network::NODE;

/// The name of the only node.
const NODE_NAME: &str = "node";

/// What the tasks of the pods share.
struct Kubelet {
    client: Client,
    /// Where the containers log.
    dir: PathBuf,
    /// Where programs are looked for.
    path: String,
    http: reqwest::Client,
    addresses: AtomicU16,
    /// Bounds the requests to the API server, so that a hundred pods at once do not open a
    /// hundred connections.
    requests: Semaphore,
}

/// Creates the node and runs its pods, on the host's thread.
pub(crate) async fn start(dir: &Path, client: &Client) {
    create_node(client).await;
    let http = serin::http::plain().timeout(readiness::PATIENCE).build();
    let kubelet = Kubelet {
        client: client.clone(),
        dir: dir.to_path_buf(),
        path: path(),
        http: http.expect("an HTTP client"),
        addresses: AtomicU16::new(0),
        requests: Semaphore::new(32),
    };
    tokio::spawn(run(Arc::new(kubelet)));
}

impl Kubelet {
    /// An address that no pod had before: 10.77.1.1 and further.
    fn address(&self) -> Ipv4Addr {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        let (block, last) = (number / 254, number % 254);
        let block = u8::try_from(1 + block).expect("fewer than 64,000 pods");
        Ipv4Addr::new(10, 77, block, 1 + u8::try_from(last).expect("is below 254"))
    }
}

/// Gives every pod a task, which ends with the pod: it then finds nobody who tells it of changes.
async fn run(kubelet: Arc<Kubelet>) {
    let mut pods: HashMap<String, watch::Sender<Pod>> = HashMap::new();
    let mut listed = HashSet::new();
    let api = Api::<Pod>::all(kubelet.client.clone());
    let mut events = pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => {
                listed.insert(uid(&pod));
                heed(&kubelet, &mut pods, pod);
            }
            Ok(Event::InitDone) => pods.retain(|uid, _| listed.contains(uid)),
            Ok(Event::Apply(pod)) => heed(&kubelet, &mut pods, pod),
            Ok(Event::Delete(pod)) => drop(pods.remove(&uid(&pod))),
            // The API server is away; the watch goes on from where it was.
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn heed(kubelet: &Arc<Kubelet>, pods: &mut HashMap<String, watch::Sender<Pod>>, pod: Pod) {
    if let Some(sender) = pods.get(&uid(&pod)) {
        sender.send_replace(pod);
        return;
    }
    let uid = uid(&pod);
    let (sender, receiver) = watch::channel(pod);
    pods.insert(uid, sender);
    tokio::spawn(pod::live(kubelet.clone(), receiver));
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

/// This workspace's programs come first, then the tools, then what the machine has.
pub(crate) fn path() -> String {
    let dir = |file: PathBuf| file.parent().map(|dir| dir.display().to_string());
    let own = dir(crate::local::binary("demo-app")).expect("is in a directory");
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/bin");
    let machine = std::env::var("PATH").unwrap_or_default();
    format!("{own}:{tools}:{machine}")
}

/// EndpointSlices stay empty for pods on a node that there is not.
async fn create_node(client: &Client) {
    let api = Api::<Node>::all(client.clone());
    let node = Node {
        metadata: ObjectMeta {
            name: Some(NODE_NAME.to_string()),
            ..ObjectMeta::default()
        },
        status: Some(NodeStatus {
            addresses: Some(vec![NodeAddress {
                address: NODE.to_string(),
                type_: "InternalIP".to_string(),
            }]),
            allocatable: Some(BTreeMap::from([(
                "pods".to_string(),
                Quantity("10000".to_string()),
            )])),
            conditions: Some(vec![NodeCondition {
                type_: "Ready".to_string(),
                status: "True".to_string(),
                ..NodeCondition::default()
            }]),
            ..NodeStatus::default()
        }),
        ..Node::default()
    };
    let created = api.create(&PostParams::default(), &node).await;
    created.unwrap_or_else(|error| panic!("create the node: {error}"));
}

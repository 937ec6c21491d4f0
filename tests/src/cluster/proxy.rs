//! Envoys that istiod configures: a gateway's, or a sidecar's through which a caller calls. Each is
//! in a network namespace and at an address of its own, as a pod is, so all can take the same ports.

use serde_json::{Value, json};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::istiod::XDS_PORT;
use super::network::NODE;
use super::process::{Launch, Process};
use super::{Cluster, PATIENCE, wait_for};
use crate::client::{Client, Response};
use crate::local::tool;

/// Where the admin interface listens.
pub(crate) const ADMIN_PORT: u16 = 15000;

/// Makes the namespace, whose one link has its other end in the network of the cluster, and becomes
/// Envoy. The link goes with the namespace.
const START: &str = r#"
set -e
ip link add eth0 type veth peer name "$LINK" netns "$NODE_PID"
ip -batch - <<END
link set lo up
link set eth0 up
addr add $ADDRESS/32 dev eth0
route add $NODE dev eth0
route add default via $NODE dev eth0
END
nsenter --target "$NODE_PID" --net ip -batch - <<END
link set $LINK up
route add $ADDRESS/32 dev $LINK
END
exec "$@"
"#;

/// A running proxy. Dropped, it is ended.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    log: String,
    role: Role,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its own address. A gateway's listeners are there.
    pub address: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Gateway,
    Caller,
}

impl Proxy {
    /// A gateway's proxy that has these labels, by which a Gateway selects it.
    pub async fn gateway(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Proxy {
        Proxy::start(cluster, Role::Gateway, namespace, name, labels).await
    }

    /// The sidecar of a caller that has these labels. It captures nothing; instead, all ports of
    /// Services are open on the loopback address of its namespace, where [`Proxy::connect`] calls.
    pub async fn caller(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Proxy {
        Proxy::start(cluster, Role::Caller, namespace, name, labels).await
    }

    async fn start(
        cluster: &Cluster,
        role: Role,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Proxy {
        let number = cluster.next_number();
        let address = address(number);
        let log = format!("{namespace}/{name}/proxy");
        let bootstrap = cluster.dir().join(format!("proxy-{number}.json"));
        let node = node(role, address, namespace, name, labels);
        let text = bootstrap_of(&node).to_string();
        fs::write(&bootstrap, text).expect("the bootstrap's file");
        let launch = launch(cluster.log_path(&log), number, address, &bootstrap);
        let process = cluster.launch(launch).await;
        let process = process.unwrap_or_else(|error| panic!("{log} does not start: {error}"));
        let proxy = Proxy {
            process,
            log,
            role,
            namespace: namespace.to_string(),
            name: name.to_string(),
            address,
        };
        proxy.until_configured(cluster).await;
        proxy
    }

    /// Envoy is ready once istiod has answered it.
    async fn until_configured(&self, cluster: &Cluster) {
        wait_for("a proxy is ready", PATIENCE, async || {
            match self.admin("/ready") {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{}{}", answer.body, cluster.log(&self.log))),
                Err(error) => Err(format!("{error}\n{}", cluster.log(&self.log))),
            }
        })
        .await;
    }

    /// Connects as a client of the gateway, or as the caller, does.
    ///
    /// # Errors
    /// If nobody listens at the port.
    pub fn connect(&self, port: u16) -> io::Result<Client> {
        match self.role {
            Role::Gateway => Client::connect(SocketAddr::from((self.address, port))),
            Role::Caller => {
                let stream = self.connect_inside(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
                Client::over(stream)
            }
        }
    }

    /// Sends one GET over a connection of its own.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, port: u16, host: &str, path: &str) -> io::Result<Response> {
        self.get_with(port, host, path, &[])
    }

    /// The same with these headers.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get_with(
        &self,
        port: u16,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Response> {
        self.connect(port)?.exchange(host, path, headers)
    }

    /// What the admin interface answers at `path`.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn admin(&self, path: &str) -> io::Result<Response> {
        Client::connect(SocketAddr::from((self.address, ADMIN_PORT)))?.exchange("admin", path, &[])
    }

    /// The values of a statistic, one for each set of labels.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn statistic(&self, name: &str) -> io::Result<Vec<f64>> {
        let answer = self.admin(&format!("/stats/prometheus?filter={name}"))?;
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok());
        Ok(values.collect())
    }

    /// A connection belongs to the network of the thread that opened it.
    fn connect_inside(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.process.id()))?;
        let connect = move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpStream::connect_timeout(&address, Duration::from_secs(5))
        };
        let connected = thread::spawn(connect).join();
        connected.unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    }
}

/// Out of a range that is not local to the cluster's network, but routed.
fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 78, high, low)
}

fn launch(log: PathBuf, number: u16, address: Ipv4Addr, bootstrap: &Path) -> Launch {
    let envoy = tool("envoy");
    let words = [
        "--net",
        "--",
        "sh",
        "-c",
        START,
        "sh",
        &envoy.to_string_lossy(),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "warning",
        "--config-path",
        &bootstrap.to_string_lossy(),
    ];
    let variables = [
        ("LINK", format!("proxy{number}")),
        ("ADDRESS", address.to_string()),
        ("NODE", NODE.to_string()),
        ("NODE_PID", std::process::id().to_string()),
    ];
    Launch {
        program: "unshare".into(),
        arguments: words.iter().map(Into::into).collect(),
        environment: None,
        additions: variables
            .map(|(name, value)| (name.to_string(), value))
            .to_vec(),
        log,
    }
}

/// What istiod knows of a proxy.
fn node(
    role: Role,
    address: Ipv4Addr,
    namespace: &str,
    name: &str,
    labels: &[(&str, &str)],
) -> Value {
    let kind = match role {
        Role::Gateway => "router",
        Role::Caller => "sidecar",
    };
    let labels: serde_json::Map<String, Value> = labels
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value)))
        .collect();
    let mut metadata = json!({
        "NAME": name, "NAMESPACE": namespace, "WORKLOAD_NAME": name, "LABELS": labels,
        "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.31.0",
        "INSTANCE_IPS": address,
    });
    if role == Role::Caller {
        // Nothing redirects its connections, so its listeners must take ports themselves.
        metadata["INTERCEPTION_MODE"] = json!("NONE");
    }
    json!({
        "id": format!("{kind}~{address}~{name}.{namespace}~{namespace}.svc.cluster.local"),
        "cluster": format!("{name}.{namespace}"),
        "metadata": metadata,
    })
}

fn bootstrap_of(node: &Value) -> Value {
    let address =
        |ip: Ipv4Addr, port: u16| json!({"socket_address": {"address": ip, "port_value": port}});
    let ads = json!({"ads": {}, "resource_api_version": "V3"});
    let istiod = json!({
        "name": "xds-grpc", "type": "STATIC", "connect_timeout": "5s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        },
        "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(NODE, XDS_PORT)}}]}]},
    });
    json!({
        "node": node,
        "admin": {"address": address(Ipv4Addr::UNSPECIFIED, ADMIN_PORT)},
        "dynamic_resources": {
            "lds_config": ads, "cds_config": ads,
            "ads_config": {"api_type": "GRPC", "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]},
        },
        "static_resources": {"clusters": [istiod]},
    })
}

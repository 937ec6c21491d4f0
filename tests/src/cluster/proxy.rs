//! Envoys that istiod configures: a gateway's, or a sidecar's through which a caller calls, started
//! alone or by Istio's agent as in a mesh. Each is in a network namespace and at an address of its
//! own, as a pod is, so all can take the same ports.

use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

mod agent;
mod alone;

use super::network::NODE;
use super::process::{Launch, Process};
use super::{Cluster, PATIENCE, wait_for};
use crate::client::{Client, Response};

/// Where the admin interface listens.
const ADMIN_PORT: u16 = 15000;

/// Makes the namespace, whose one link has its other end in the network of the cluster, and becomes
/// what runs Envoy. The link goes with the namespace.
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
    starter: Starter,
    dir: PathBuf,
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

/// Who starts Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Starter {
    /// Nobody else: Envoy asks istiod itself, which saves a process of 40 MB.
    Alone,
    /// Istio's agent, which stands between Envoy and istiod and fetches Wasm modules.
    Agent,
}

/// What istiod knows a proxy by.
#[derive(Debug)]
struct Identity<'a> {
    role: Role,
    namespace: &'a str,
    name: &'a str,
    labels: &'a [(&'a str, &'a str)],
}

/// Where a proxy is.
#[derive(Debug)]
struct Place {
    address: Ipv4Addr,
    /// What it writes goes here.
    dir: PathBuf,
}

impl Role {
    /// Istio's word for it.
    fn kind(self) -> &'static str {
        match self {
            Role::Gateway => "router",
            Role::Caller => "sidecar",
        }
    }

    fn named<'a>(
        self,
        namespace: &'a str,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> Identity<'a> {
        Identity {
            role: self,
            namespace,
            name,
            labels,
        }
    }
}

impl Identity<'_> {
    fn labels(&self) -> Value {
        self.labels.iter().copied().collect()
    }
}

/// What becomes Envoy, in the proxy's namespace.
#[derive(Debug)]
struct Command {
    words: Vec<String>,
    /// The whole environment, or none to have that of the tests.
    environment: Option<Vec<(String, String)>>,
}

impl Proxy {
    /// A gateway's proxy that has these labels, by which a Gateway selects it.
    pub async fn gateway(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Proxy {
        let identity = Role::Gateway.named(namespace, name, labels);
        Proxy::start(cluster, Starter::Alone, identity).await
    }

    /// The same, started by Istio's agent.
    pub async fn gateway_by_agent(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Proxy {
        let identity = Role::Gateway.named(namespace, name, labels);
        Proxy::start(cluster, Starter::Agent, identity).await
    }

    /// The sidecar of a caller that has these labels. It captures nothing; instead, all ports of
    /// Services are open on the loopback address of its namespace, where [`Proxy::connect`] calls.
    pub async fn caller(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Proxy {
        let identity = Role::Caller.named(namespace, name, labels);
        Proxy::start(cluster, Starter::Alone, identity).await
    }

    /// The same, started by Istio's agent.
    pub async fn caller_by_agent(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Proxy {
        let identity = Role::Caller.named(namespace, name, labels);
        Proxy::start(cluster, Starter::Agent, identity).await
    }

    async fn start(cluster: &Cluster, starter: Starter, identity: Identity<'_>) -> Proxy {
        let number = cluster.next_number();
        let place = Place {
            address: address(number),
            dir: cluster.dir().join(format!("proxy-{number}")),
        };
        fs::create_dir(&place.dir).expect("a directory for the proxy");
        let command = match starter {
            Starter::Alone => alone::command(&identity, &place),
            Starter::Agent => agent::command(&identity, &place),
        };
        let Identity {
            role,
            namespace,
            name,
            ..
        } = identity;
        let log = format!("{namespace}/{name}/proxy");
        let launch = launch(command, number, place.address, cluster.log_path(&log));
        let process = cluster.launch(launch).await;
        let process = process.unwrap_or_else(|error| panic!("{log} does not start: {error}"));
        let proxy = Proxy {
            process,
            log,
            role,
            starter,
            dir: place.dir,
            namespace: namespace.to_string(),
            name: name.to_string(),
            address: place.address,
        };
        proxy.until_configured(cluster).await;
        proxy
    }

    /// The files in which the agent keeps the modules that it has fetched.
    pub fn modules(&self) -> Vec<PathBuf> {
        let entries = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
        let folders = entries(self.dir.join(agent::MODULES));
        let files = folders.flat_map(|folder| entries(folder.path()));
        files.map(|file| file.path()).collect()
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
        // Under the agent it listens nowhere else.
        let stream = self.connect_inside(SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT)))?;
        Client::over(stream)?.exchange("admin", path, &[])
    }

    /// Where a Prometheus reads its statistics, at `/stats/prometheus`.
    pub fn statistics(&self) -> SocketAddr {
        let port = match self.starter {
            Starter::Alone => ADMIN_PORT,
            Starter::Agent => agent::STATUS_PORT,
        };
        SocketAddr::from((self.address, port))
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

    /// Starts a program of the pod that the proxy is a sidecar of: they share the loopback address.
    pub async fn start_beside(&self, cluster: &Cluster, name: &str, words: &[&str]) -> Process {
        let target = self.process.id().to_string();
        let entrance = ["--target", &target, "--net", "--"];
        let log = format!("{}/{}/{name}", self.namespace, self.name);
        let words = [&entrance, words].concat();
        cluster.start_program(&log, "nsenter", &words, &[]).await
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

fn launch(command: Command, number: u16, address: Ipv4Addr, log: PathBuf) -> Launch {
    let words = ["--net", "--", "sh", "-c", START, "sh"];
    let words = words.iter().map(OsString::from);
    let variables = [
        ("LINK", format!("proxy{number}")),
        ("ADDRESS", address.to_string()),
        ("NODE", NODE.to_string()),
        ("NODE_PID", std::process::id().to_string()),
    ];
    Launch {
        program: "unshare".into(),
        arguments: words
            .chain(command.words.iter().map(OsString::from))
            .collect(),
        environment: command.environment,
        additions: variables
            .map(|(name, value)| (name.to_string(), value))
            .to_vec(),
        log,
    }
}

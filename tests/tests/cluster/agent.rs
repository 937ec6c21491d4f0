//! The filter as Istio's agent brings it: the module comes from a controller over HTTP, into a
//! gateway's proxy and into a sidecar, and no request fails if it cannot be had.

use serde_json::{Value, json};
use serin::mesh::objects::{self, Owner, Wanted};
use serin::mesh::routes;
use serin_core::metric::{DURATION, GENERATION, HOST_ERRORS, LABEL_OVERFLOW, REQUESTS, THREADS};
use serin_core::plan::Plan;
use serin_core::revision::HASH_LABEL;
use serin_core::wire::{VARIANT_HEADER, Variant};
use serin_tests::client::Client;
use serin_tests::cluster::network::NODE;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::{Headers, Traffic};
use serin_tests::cluster::{Cluster, Process, wait_for};
use serin_tests::local::binary;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crate::account::{allow_own, token};
use crate::mesh::{Mesh, for_a_second, in_flight, listeners_changed, rollout, until};
use crate::shop::{PATIENCE, app, until_ready};
use crate::trial::trials;

trials![
    the_agent_fetches_the_filter_for_gateways_and_sidecars,
    a_module_that_cannot_be_had_leaves_all_to_stable,
    a_sidecar_in_front_of_a_pod_counts_its_version,
    an_agent_ends_with_its_envoy,
];

/// The host of the gateway.
const DOOR: &str = "shop.example";

async fn the_agent_fetches_the_filter_for_gateways_and_sidecars(cluster: &Cluster) {
    let shop = Shop::open(cluster).await;
    let namespace = &*shop.mesh.namespace;
    let labels = [("gateway", namespace)];
    let (door, caller) = futures::join!(
        Proxy::gateway_by_agent(cluster, namespace, "door", &labels),
        Proxy::caller_by_agent(cluster, namespace, "caller", &[]),
    );
    let service = format!("shop.{namespace}.svc.cluster.local");
    let ways = [(Arc::new(door), DOOR), (Arc::new(caller), &*service)];
    shop.mesh.tell(&Wanted::default()).await;
    for (proxy, host) in &ways {
        until(proxy, "the shop answers", host, "v1", 1.0).await;
    }
    let changed = ways.clone().map(|(proxy, _)| listeners_changed(&proxy));
    let sending = ways
        .clone()
        .map(|(proxy, host)| Traffic::to(host).through(&proxy));

    shop.tell(2, 0).await;
    for (proxy, host) in &ways {
        shop.mesh.until_shown(proxy, 2).await;
        assert_eq!(share(proxy, host, beta()).await, 1.0, "{host}");
        assert_eq!(share(proxy, host, nobody()).await, 0.0, "{host}");
    }
    shop.tell(3, 5_000).await;
    for (proxy, host) in &ways {
        shop.mesh.until_shown(proxy, 3).await;
        let share = share(proxy, host, users()).await;
        assert!((0.15..0.85).contains(&share), "{host}: {share}");
        until_counted(proxy, namespace).await;
    }

    assert_eq!(ways.map(|(proxy, _)| listeners_changed(&proxy)), changed);
    for sending in sending {
        let outcome = sending.stop();
        assert!(outcome.failed().is_empty(), "{:?}", outcome.failed());
        assert!(outcome.of("v2") > 10, "half of all had the canary");
    }
}

async fn a_module_that_cannot_be_had_leaves_all_to_stable(cluster: &Cluster) {
    let mut shop = Shop::open(cluster).await;
    let namespace = shop.mesh.namespace.clone();
    let proxy = Arc::new(Proxy::caller_by_agent(cluster, &namespace, "caller", &[]).await);
    let host = format!("shop.{namespace}.svc.cluster.local");
    until(&proxy, "the shop answers", &host, "v1", 1.0).await;
    let sending = Traffic::to(&host).through(&proxy);
    let right = shop.mesh.code.clone();

    let mut another = right.clone();
    another["remote"]["sha256"] = json!("0".repeat(64));
    shop.mesh.code = another;
    shop.tell(2, 5_000).await;
    until_fetched(&proxy, "checksum_mismatched").await;
    assert_eq!(share(&proxy, &host, beta()).await, 0.0);

    shop.mesh.code = right.clone();
    shop.tell(3, 5_000).await;
    shop.mesh.until_shown(&proxy, 3).await;
    assert_eq!(share(&proxy, &host, beta()).await, 1.0);

    // Nobody listens there.
    shop.mesh.code = objects::code_at(&format!("http://{NODE}:9"));
    shop.tell(4, 5_000).await;
    // The agent tries for seconds, and what it gives Envoy then is in force even if it has given it
    // a newer configuration by now.
    until_fetched(&proxy, "download_failure").await;
    until(&proxy, "all goes to stable", &host, "v1", 1.0).await;
    assert_eq!(share(&proxy, &host, beta()).await, 0.0);

    shop.mesh.code = right;
    shop.tell(5, 5_000).await;
    shop.mesh.until_shown(&proxy, 5).await;
    assert_eq!(share(&proxy, &host, beta()).await, 1.0);

    let outcome = sending.stop();
    assert!(outcome.failed().is_empty(), "{:?}", outcome.failed());
}

async fn a_sidecar_in_front_of_a_pod_counts_its_version(cluster: &Cluster) {
    let namespace = cluster.namespace("inbound").await;
    let sidecar = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "pod"},
        "spec": {"ingress": [{
            "port": {"number": 9080, "name": "http", "protocol": "HTTP"},
            "defaultEndpoint": "127.0.0.1:8080",
        }]},
    });
    // The listener would wait for certificates, which nobody issues here.
    let plain = json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": "plain"}, "spec": {"mtls": {"mode": "DISABLE"}},
    });
    for object in [
        sidecar,
        plain,
        objects::place(&Owner::of_all(&namespace), 0),
    ] {
        cluster.apply(&object.to_string(), &namespace).await;
    }
    let labels = [(HASH_LABEL, "two")];
    let pod = Proxy::caller_by_agent(cluster, &namespace, "pod", &labels).await;
    let app = ["demo-app", "--listen", "127.0.0.1:8080", "--version", "v2"];
    let _app = pod.start_beside(cluster, "app", &app).await;
    let (_controller, url) = controller(cluster, &namespace).await;
    let mesh = Mesh {
        cluster,
        namespace: namespace.clone(),
        code: objects::code_at(&url),
    };
    let wanted = in_flight(&namespace, 2, 0);
    mesh.tell(&wanted).await;
    let generation = format!(r#"{GENERATION}{{config="serin-destination"}}"#);
    until_told(&pod, &[&generation]).await;

    let address = SocketAddr::from((pod.address, 9080));
    wait_for("the pod answers", PATIENCE, async || {
        let answer = Client::connect(address).and_then(|mut pod| pod.get("shop", "/", &[]));
        match answer {
            Ok(answer) if answer.body.trim() == "v2" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let count = format!(
        r#"{REQUESTS}{{namespace="{namespace}",reporter="destination",response_code="200",revision="two",rollout="shop",variant="canary"}}"#
    );
    until_told(&pod, &[&count]).await;
}

async fn an_agent_ends_with_its_envoy(cluster: &Cluster) {
    let namespace = cluster.namespace("ended").await;
    let proxy = Proxy::gateway_by_agent(cluster, &namespace, "door", &[]).await;
    // The agent's, and what Envoy listens at by itself.
    let addresses = [proxy.statistics(), (proxy.address, 15090).into()];
    for address in addresses {
        TcpStream::connect(address).expect("somebody listens");
    }
    drop(proxy);
    wait_for("both end", PATIENCE, async || {
        let left = addresses.map(|address| TcpStream::connect(address).is_ok());
        (left == [false; 2])
            .then_some(())
            .ok_or(format!("{left:?}"))
    })
    .await;
}

/// Two versions of an app behind the filter's header, and a controller that has the module.
struct Shop<'c> {
    mesh: Mesh<'c>,
    _controller: Process,
}

impl<'c> Shop<'c> {
    async fn open(cluster: &'c Cluster) -> Shop<'c> {
        let namespace = cluster.namespace("agent").await;
        for (name, version) in [("shop", "v1"), ("shop-canary", "v2")] {
            cluster.apply(&app(name, version, 1), &namespace).await;
        }
        let plan = Plan::parse(&rollout(), &namespace).expect("a plan");
        let for_callers = routes::own(&plan).expect("two Services");
        let place = objects::place(&Owner::of_all(&namespace), 0);
        for object in [for_callers, gateway(&namespace), for_the_door(), place] {
            cluster.apply(&object.to_string(), &namespace).await;
        }
        let (controller, url) = controller(cluster, &namespace).await;
        until_ready(cluster, &namespace, 2).await;
        Shop {
            mesh: Mesh {
                cluster,
                namespace,
                code: objects::code_at(&url),
            },
            _controller: controller,
        }
    }

    /// A release with this weight, and with a header route for [`beta`].
    async fn tell(&self, generation: u64, weight_bp: u16) {
        let mut wanted = in_flight(&self.mesh.namespace, generation, weight_bp);
        wanted.rules[0].hosts.push(DOOR.to_string());
        self.mesh.tell(&wanted).await;
    }
}

/// A controller that answers on the network of the proxies, and its URL.
async fn controller(cluster: &Cluster, namespace: &str) -> (Process, String) {
    allow_own(cluster, namespace).await;
    let kubeconfig = cluster.kubeconfig_of(&token(cluster).await);
    let kubeconfig = kubeconfig.display().to_string();
    let listen = format!("{NODE}:0");
    let arguments = [
        "controller",
        "--kubeconfig",
        &kubeconfig,
        "--namespace",
        namespace,
        "--leader-election-namespace",
        namespace,
        "--listen",
        &listen,
    ];
    let program = binary("serin").display().to_string();
    let log = format!("{namespace}/controller");
    let controller = cluster.start_program(&log, &program, &arguments, &[]);
    let controller = controller.await;
    let listens = wait_for("the controller listens", PATIENCE, async || {
        let log = cluster.log(&log);
        let address = log.split("listen=").nth(1);
        let address = address.and_then(|rest| rest.split_whitespace().next());
        address.map(|at| format!("http://{at}")).ok_or(log)
    });
    (controller, listens.await)
}

fn gateway(namespace: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "door"},
        "spec": {
            "selector": {"gateway": namespace},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"},
                "hosts": [DOOR]}],
        },
    })
}

/// The routes of the gateway's host, which never change.
fn for_the_door() -> Value {
    let route = |host: &str| json!([{"destination": {"host": host}}]);
    let canary = json!({"headers": {VARIANT_HEADER: {"exact": Variant::Canary.as_str()}}});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "door"},
        "spec": {"hosts": [DOOR], "gateways": ["door"], "http": [
            {"match": [canary], "route": route("shop-canary")},
            {"route": route("shop")},
        ]},
    })
}

/// The share of the canary among requests with these headers.
async fn share(proxy: &Arc<Proxy>, host: &str, headers: Headers) -> f64 {
    let traffic = Traffic {
        headers,
        ..Traffic::to(host)
    };
    for_a_second(traffic, proxy).await.share_of("v2")
}

fn beta() -> Headers {
    Arc::new(|_| vec![("x-canary".into(), "true".into())])
}

fn users() -> Headers {
    Arc::new(|number| vec![("x-user-id".into(), format!("user-{number}"))])
}

fn nobody() -> Headers {
    Arc::new(|_| Vec::new())
}

/// What the agent tells of itself and of its Envoy.
fn told(proxy: &Proxy) -> Result<String, String> {
    // It complains of requests without.
    let headers = [("accept", "text/plain")];
    let answer = Client::connect(proxy.statistics())
        .and_then(|mut client| client.exchange("agent", "/stats/prometheus", &headers));
    answer
        .map(|answer| answer.body)
        .map_err(|error| error.to_string())
}

/// Waits until there are lines that begin so and end with more than nothing.
async fn until_told(proxy: &Proxy, beginnings: &[&str]) -> String {
    wait_for("the agent tells", PATIENCE, async || {
        let told = told(proxy)?;
        let is_there = |beginning: &&str| {
            let mut values = told
                .lines()
                .filter_map(|line| line.strip_prefix(beginning)?.trim().parse::<f64>().ok());
            values.any(|value| value > 0.0)
        };
        match beginnings.iter().find(|beginning| !is_there(beginning)) {
            None => Ok(told),
            Some(missing) => Err(format!("no {missing}\n{told}")),
        }
    })
    .await
}

/// Waits until the agent has tried to fetch a module and it ended so.
async fn until_fetched(proxy: &Proxy, result: &str) {
    let count = format!(r#"istio_agent_wasm_remote_fetch_count{{result="{result}"}}"#);
    until_told(proxy, &[&count]).await;
}

/// Waits until requests are counted by version, with the labels that a count has and no others:
/// those of a name that Envoy takes apart at the wrong places would be in it.
async fn until_counted(proxy: &Proxy, namespace: &str) {
    let labels = |revision: &str, variant: &str| {
        format!(
            r#"namespace="{namespace}",reporter="source",response_code="200",revision="{revision}",rollout="shop",variant="{variant}"}}"#
        )
    };
    let (stable, canary) = (labels("one", "stable"), labels("two", "canary"));
    let told = until_told(
        proxy,
        &[
            &format!("{REQUESTS}{{{stable}"),
            &format!("{REQUESTS}{{{canary}"),
            &format!(r#"{DURATION}_bucket{{le="+Inf",{canary}"#),
            &format!(r#"{GENERATION}{{config="serin-source"}}"#),
        ],
    )
    .await;
    let families = told.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families = families.filter_map(|line| line.split(' ').next());
    let own: BTreeSet<&str> = families
        .filter(|name| name.contains("serin") && !name.starts_with("envoy_wasm_serin_"))
        .collect();
    let buckets = ["bucket", "count", "sum"].map(|part| format!("{DURATION}_{part}"));
    let known = [REQUESTS, GENERATION, THREADS, HOST_ERRORS, LABEL_OVERFLOW];
    let known = known.into_iter().chain(buckets.iter().map(|name| &**name));
    assert_eq!(own, known.collect());
}

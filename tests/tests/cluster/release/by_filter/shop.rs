//! A shop behind a gateway and with a caller in the mesh, and who watches the proxies of both.

use serde_json::{Value, json};
use serin_tests::cluster::network::NODE;
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::{Headers, Sending, Traffic};
use serin_tests::cluster::{Cluster, wait_for};
use std::sync::Arc;
use std::time::Duration;

use super::super::controller::World;
use super::super::manifests::service;
use crate::shop::PATIENCE;

/// The host of the gateway.
pub(super) const DOOR: &str = "shop.example.com";

/// What Services get from a controller.
const HASH: &str = "rollouts-pod-template-hash";
const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

pub(super) struct Shop<'c> {
    pub(super) world: World<'c>,
    pub(super) door: Arc<Proxy>,
    pub(super) caller: Arc<Proxy>,
    pub(super) prometheus: Prometheus,
}

/// A way to the shop: a proxy, and the host that its callers name.
pub(super) struct Way {
    pub(super) proxy: Arc<Proxy>,
    pub(super) host: String,
}

impl<'c> Shop<'c> {
    /// With a controller that has these options too.
    pub(super) async fn open(cluster: &'c Cluster, prefix: &str, options: &[&str]) -> Shop<'c> {
        let namespace = cluster.namespace(prefix).await;
        let labels = [("gateway", &*namespace)];
        let (door, caller) = futures::join!(
            Proxy::gateway_by_agent(cluster, &namespace, "door", &labels),
            Proxy::caller_by_agent(cluster, &namespace, "caller", &[]),
        );
        let prometheus = Prometheus::start(cluster, &[&door, &caller]).await;
        let port = cluster.port();
        let mut all = vec![
            "--leader-elect=false".to_string(),
            format!("--listen={NODE}:{port}"),
            format!("--module-url=http://{NODE}:{port}"),
            format!("--prometheus={}", prometheus.url()),
            format!("--root-namespace={namespace}"),
            "--proxies-deadline=5".to_string(),
        ];
        all.extend(options.iter().map(ToString::to_string));
        Shop {
            world: World::inside(cluster, namespace, all).await,
            door: Arc::new(door),
            caller: Arc::new(caller),
            prometheus,
        }
    }

    /// What every shop has beside its Rollout.
    pub(super) fn ground(&self) -> [Value; 3] {
        let gateway = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
            "metadata": {"name": "door"},
            "spec": {"selector": {"gateway": self.world.namespace}, "servers": [
                {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [DOOR]}]},
        });
        [service("shop"), service("shop-canary"), gateway]
    }

    /// Through the gateway, and from a caller in the mesh.
    pub(super) fn ways(&self) -> [Way; 2] {
        let service = format!("shop.{}.svc.cluster.local", self.world.namespace);
        [(&self.door, DOOR.to_string()), (&self.caller, service)].map(|(proxy, host)| Way {
            proxy: proxy.clone(),
            host,
        })
    }

    pub(super) async fn until_all_answer(&self, version: &str) {
        for way in self.ways() {
            way.until(version).await;
        }
    }

    /// Sends through all ways.
    pub(super) fn send(&self) -> [Sending; 2] {
        self.ways().map(|way| way.send())
    }

    /// The user's objects: those that are never written whole, the Services without what a
    /// controller of Rollouts adds to them.
    pub(super) async fn of_the_user(&self) -> Value {
        let world = &self.world;
        let mut services = Vec::new();
        for name in ["shop", "shop-canary"] {
            let mut service = world.given("services", name).await;
            service["metadata"]["resourceVersion"].take();
            let selector = service["spec"]["selector"].as_object_mut();
            selector.and_then(|selector| selector.remove(HASH));
            let annotations = service["metadata"]["annotations"].as_object_mut();
            annotations.and_then(|annotations| annotations.remove(MANAGED_BY));
            services.push(service);
        }
        json!([
            world.virtual_service().await,
            world.given("gateways", "door").await,
            services,
        ])
    }

    /// The filter's configuration.
    pub(super) async fn configuration(&self) -> Value {
        let alpha = "/apis/networking.istio.io/v1alpha3";
        self.world.get(alpha, "envoyfilters/serin-config").await
    }

    /// Waits until proxies are told to let everything through.
    pub(super) async fn until_at_rest(&self) {
        wait_for("no filter is left", PATIENCE, async || {
            let object = self.configuration().await;
            match object.to_string().contains("filters.http.wasm") {
                false => Ok(()),
                true => Err(object.to_string()),
            }
        })
        .await;
    }
}

impl Way {
    pub(super) fn send(&self) -> Sending {
        Traffic::to(&self.host).through(&self.proxy)
    }

    /// The share of a version among two seconds' requests with these headers.
    pub(super) async fn share(&self, version: &str, headers: Headers) -> f64 {
        let traffic = Traffic {
            headers,
            ..Traffic::to(&self.host)
        };
        let outcome = traffic
            .through_for(&self.proxy, Duration::from_secs(2))
            .await;
        assert!(outcome.answers.len() >= 30, "{outcome:?}");
        outcome.share_of(version)
    }

    /// Waits until everybody gets a version.
    pub(super) async fn until(&self, version: &str) {
        wait_for("a version answers everybody", PATIENCE, async || {
            let short = Duration::from_millis(200);
            let outcome = Traffic::to(&self.host)
                .through_for(&self.proxy, short)
                .await;
            match outcome.answers.len() > 3 && outcome.share_of(version) == 1.0 {
                true => Ok(()),
                false => Err(format!("{}: {outcome:?}", self.host)),
            }
        })
        .await;
    }
}

/// Routes as a user keeps them in Git.
pub(super) fn routes() -> Value {
    let to = |host: &str| json!([{"destination": {"host": host}}]);
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "shop", "annotations": {"team": "web"}},
        "spec": {"hosts": ["shop", DOOR], "gateways": ["mesh", "door"], "http": [
            {"name": "canary", "match": [{"headers": {"x-serin-variant": {"exact": "canary"}}}],
                "route": to("shop-canary"), "timeout": "7s", "retries": {"attempts": 0}},
            {"name": "stable", "route": to("shop"), "timeout": "7s", "retries": {"attempts": 0}}]},
    })
}

/// A canary that the filter routes.
pub(super) fn canary(wasm: &Value, steps: &Value) -> Value {
    json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {
            "managedRoutes": [{"name": "beta"}, {"name": "copies"}],
            "plugins": {"serin/wasm": wasm},
        },
        "scaleDownDelaySeconds": 3, "abortScaleDownDelaySeconds": 3,
        "steps": steps,
    })
}

//! A shop behind a gateway and with a caller in the mesh, and who watches the proxies of both.

use serde_json::{Value, json};
use serin_tests::cluster::network::NODE;
use serin_tests::cluster::prometheus::Prometheus;
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::traffic::{Headers, Sending, Traffic};
use serin_tests::cluster::{Cluster, JSON, MERGE, Process, wait_for};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::super::controller::World;
use super::super::manifests::{rollout, service};
use crate::shop::PATIENCE;

/// The host of the gateway.
pub(super) const DOOR: &str = "shop.example.com";

/// What Services get from a controller.
const HASH: &str = "rollouts-pod-template-hash";
const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

pub(super) struct Shop<'c> {
    pub(super) world: World<'c>,
    pub(super) door: Arc<Proxy>,
    pub(super) callers: Vec<Arc<Proxy>>,
    pub(super) prometheus: Prometheus,
}

/// What a shop is like.
pub(super) struct Setup {
    /// Seconds until proxies that are behind are told of.
    pub(super) deadline: u32,
    /// The port where proxies look for the module; none: the controller's.
    pub(super) module: Option<u16>,
    /// How many callers it has.
    pub(super) callers: usize,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            deadline: 5,
            module: None,
            callers: 1,
        }
    }
}

/// A way to the shop: a proxy, and the host that its callers name.
pub(super) struct Way {
    pub(super) proxy: Arc<Proxy>,
    pub(super) host: String,
}

impl<'c> Shop<'c> {
    pub(super) async fn open(cluster: &'c Cluster, prefix: &str, setup: Setup) -> Shop<'c> {
        let namespace = cluster.namespace(prefix).await;
        let labels = [("gateway", &*namespace)];
        let names: Vec<String> = (1..=setup.callers).map(|n| format!("caller-{n}")).collect();
        let callers = names
            .iter()
            .map(|name| Proxy::caller_by_agent(cluster, &namespace, name, &[]));
        let (door, callers) = futures::join!(
            Proxy::gateway_by_agent(cluster, &namespace, "door", &labels),
            futures::future::join_all(callers),
        );
        let all: Vec<&Proxy> = callers.iter().chain([&door]).collect();
        let prometheus = Prometheus::start(cluster, &all).await;
        let port = cluster.port();
        let module = setup.module.unwrap_or(port);
        let options = vec![
            "--leader-elect=false".to_string(),
            format!("--listen={NODE}:{port}"),
            format!("--module-url=http://{NODE}:{module}"),
            format!("--prometheus={}", prometheus.url()),
            format!("--root-namespace={namespace}"),
            format!("--proxies-deadline={}", setup.deadline),
        ];
        Shop {
            world: World::inside(cluster, namespace, options).await,
            door: Arc::new(door),
            callers: callers.into_iter().map(Arc::new).collect(),
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

    /// Through the gateway, and from the callers in the mesh.
    pub(super) fn ways(&self) -> Vec<Way> {
        let way = |proxy: &Arc<Proxy>, host: &str| Way {
            proxy: proxy.clone(),
            host: host.to_string(),
        };
        let service = format!("shop.{}.svc.cluster.local", self.world.namespace);
        let callers = self.callers.iter().map(|caller| way(caller, &service));
        std::iter::once(way(&self.door, DOOR))
            .chain(callers)
            .collect()
    }

    /// The first caller's way.
    pub(super) fn callers_way(&self) -> Way {
        self.ways().remove(1)
    }

    pub(super) async fn until_all_answer(&self, version: &str) {
        for way in self.ways() {
            way.until(version).await;
        }
    }

    /// Sends through all ways.
    pub(super) fn send(&self) -> Vec<Sending> {
        self.ways().iter().map(Way::send).collect()
    }

    /// With this version, behind the user's routes, once all ways lead there.
    pub(super) async fn stand(&self, version: &str, canary: &Value) {
        let ground = [&self.ground()[..], &[routes(), rollout(version, 1, canary)]].concat();
        self.world.stand(&ground).await;
        self.until_all_answer(version).await;
    }

    /// Waits until so many of a hundred get the canary, as is known of all proxies.
    pub(super) async fn until_weight_is(&self, weight: u32) -> Value {
        let what = format!("the weight is {weight}");
        let is_known = |rollout: &Value| {
            let weights = &rollout["status"]["canary"]["weights"];
            weights["canary"]["weight"] == weight && weights["verified"] == true
        };
        self.world.until(&what, is_known).await
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

    /// Deletes the controller's own objects that a selector of fields names, as `kubectl delete -l`
    /// does.
    pub(super) async fn delete_own(&self, fields: &str) {
        let namespace = &self.world.namespace;
        for (group, kind) in [
            ("networking.istio.io/v1alpha3", "envoyfilters"),
            ("networking.istio.io/v1", "virtualservices"),
            ("telemetry.istio.io/v1", "telemetries"),
        ] {
            let path = format!(
                "/apis/{group}/namespaces/{namespace}/{kind}?labelSelector=\
                 app.kubernetes.io/managed-by%3Dserin&fieldSelector={}",
                fields.replace('=', "%3D")
            );
            let answer = self.world.cluster.ask("DELETE", &path, JSON, None).await;
            assert_ne!(answer["status"], "Failure", "{answer}");
        }
    }

    /// The filter's configuration.
    pub(super) async fn configuration(&self) -> Value {
        let alpha = "/apis/networking.istio.io/v1alpha3";
        let name = format!("envoyfilters/serin-config-{}", self.world.namespace);
        self.world.get(alpha, &name).await
    }

    /// Its generation; 0 before there is one.
    pub(super) async fn generation(&self) -> u64 {
        let object = self.configuration().await;
        let generation = &object["metadata"]["annotations"]["serin.dev/generation"];
        let generation = generation.as_str().unwrap_or("0");
        generation.parse().expect("is a number")
    }

    /// Takes the label from the filter's configuration by which it is watched.
    pub(super) async fn unlabel(&self) {
        let namespace = &self.world.namespace;
        let path = format!(
            "/apis/networking.istio.io/v1alpha3/namespaces/{namespace}/envoyfilters/\
             serin-config-{namespace}"
        );
        let patch = json!({"metadata": {"labels": null}});
        let answer = self.world.cluster.ask("PATCH", &path, MERGE, Some(patch));
        assert_eq!(answer.await["kind"], "EnvoyFilter");
    }

    /// Another controller that works too, with a port of its own.
    pub(super) async fn second_controller(&mut self) -> Process {
        let port = self.world.cluster.port();
        self.world
            .another_with(&format!("--listen={NODE}:{port}"))
            .await
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

    /// Waits until a version has such a share, and no request fails.
    pub(super) async fn until_share(&self, version: &str, wanted: Range<f64>) {
        wait_for("a version has its share", PATIENCE, async || {
            let traffic = Traffic {
                headers: super::users(),
                ..Traffic::to(&self.host)
            };
            let second = Duration::from_secs(1);
            let outcome = traffic.through_for(&self.proxy, second).await;
            match outcome.failed().is_empty() && wanted.contains(&outcome.share_of(version)) {
                true => Ok(()),
                false => Err(format!("{}: {}", self.host, outcome.share_of(version))),
            }
        })
        .await;
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

/// A canary with the user's routes that goes to these weights, with a pause after each.
pub(super) fn to_weights(weights: &[u32]) -> Value {
    let steps = weights.iter();
    let steps = steps.flat_map(|weight| [json!({"setWeight": weight}), json!({"pause": {}})]);
    canary(
        &json!({"hosts": [DOOR], "virtualService": {"name": "shop"}}),
        &steps.collect(),
    )
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

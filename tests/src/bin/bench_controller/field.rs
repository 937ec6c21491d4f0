//! Many Rollouts of one shape, each with its Services and its VirtualService.

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use serin_tests::cluster::{Cluster, JSON, MERGE, wait_for};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(600);
/// How exactly the first weight is timed.
const LOOK: Duration = Duration::from_millis(50);
const ARGO: &str = "/apis/argoproj.io/v1alpha1";
const ISTIO: &str = "/apis/networking.istio.io/v1";

/// Rollouts that are healthy.
pub(crate) struct Field<'c> {
    cluster: &'c Cluster,
    namespace: String,
    names: Vec<String>,
}

impl<'c> Field<'c> {
    /// Makes them, and waits until all are healthy.
    pub(crate) async fn make(cluster: &'c Cluster, namespace: &str, count: usize) -> Field<'c> {
        let names: Vec<String> = (0..count).map(|number| format!("shop-{number}")).collect();
        let field = Field {
            cluster,
            namespace: namespace.to_string(),
            names,
        };
        let made = stream::iter(&field.names).map(|name| async {
            let objects = objects(name).map(|object| object.to_string());
            cluster.apply(&objects.join("\n---\n"), namespace).await;
        });
        made.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        wait_for("all are healthy", PATIENCE, async || {
            let list = field.list(ARGO, "rollouts").await;
            let healthy = list
                .iter()
                .filter(|rollout| rollout["status"]["phase"] == "Healthy");
            let healthy = healthy.count();
            (healthy == count)
                .then_some(())
                .ok_or_else(|| format!("{healthy} of {count}"))
        })
        .await;
        field
    }

    /// Changes all templates at once; how long each took until the canary had its weight, in order.
    pub(crate) async fn update(&self) -> Vec<Duration> {
        let changing = stream::iter(&self.names).map(|name| self.change(name));
        let changing = changing.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let (changed, weighed) = tokio::join!(changing, self.weighed());
        let changed: HashMap<String, Instant> = changed.into_iter().collect();
        let mut delays: Vec<Duration> = weighed
            .into_iter()
            .map(|(name, at)| at.saturating_duration_since(changed[&name]))
            .collect();
        delays.sort();
        delays
    }

    /// Changes a template; when.
    async fn change(&self, name: &str) -> (String, Instant) {
        let path = format!("{ARGO}/namespaces/{}/rollouts/{name}", self.namespace);
        let changed = Instant::now();
        let asked = self
            .cluster
            .ask("PATCH", &path, MERGE, Some(image("app:2")));
        let answer = asked.await;
        assert_eq!(answer["kind"], "Rollout", "{answer}");
        (name.to_string(), changed)
    }

    /// When each VirtualService was first seen with its weight.
    async fn weighed(&self) -> HashMap<String, Instant> {
        let (started, mut weighed) = (Instant::now(), HashMap::new());
        while weighed.len() < self.names.len() {
            let (now, list) = (Instant::now(), self.list(ISTIO, "virtualservices").await);
            for object in &list {
                let weight = &object["spec"]["http"][0]["route"][1]["weight"];
                if *weight == 10 {
                    let name = object["metadata"]["name"].as_str().unwrap_or_default();
                    weighed.entry(name.to_string()).or_insert(now);
                }
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{} have their weight",
                weighed.len()
            );
            tokio::time::sleep(LOOK).await;
        }
        weighed
    }

    async fn list(&self, group: &str, kind: &str) -> Vec<Value> {
        let path = format!(
            "{group}/namespaces/{}/{kind}?resourceVersion=0",
            self.namespace
        );
        let list = self.cluster.ask("GET", &path, JSON, None).await;
        list["items"].as_array().cloned().unwrap_or_default()
    }
}

fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}})
}

fn objects(name: &str) -> [Value; 4] {
    let canary = format!("{name}-canary");
    let service = |service: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": service},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
        })
    };
    let to = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
    let virtual_service = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": [name], "http": [{"route": [to(name, 100), to(&canary, 0)]}]},
    });
    let mut rollout = image("app:1");
    rollout["apiVersion"] = json!("argoproj.io/v1alpha1");
    rollout["kind"] = json!("Rollout");
    rollout["metadata"] = json!({"name": name});
    rollout["spec"]["replicas"] = json!(1);
    rollout["spec"]["selector"] = json!({"matchLabels": {"app": name}});
    rollout["spec"]["template"]["metadata"] = json!({"labels": {"app": name}});
    rollout["spec"]["strategy"] = json!({"canary": {
        "stableService": name, "canaryService": canary,
        "trafficRouting": {"istio": {"virtualService": {"name": name}}},
        "steps": [{"setWeight": 10}, {"pause": {}}],
    }});
    [service(name), service(&canary), virtual_service, rollout]
}

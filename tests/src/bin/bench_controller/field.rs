//! Many Rollouts of one shape, each with its Services and its VirtualService.

use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use serin_tests::cluster::{Cluster, JSON, wait_for};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(600);
const ARGO: &str = "/apis/argoproj.io/v1alpha1";

/// Rollouts that are healthy.
pub(crate) struct Field<'c> {
    cluster: &'c Cluster,
    client: Client,
    namespace: String,
    pub(crate) names: Vec<String>,
}

impl<'c> Field<'c> {
    /// Makes them, and waits until all are healthy.
    pub(crate) async fn make(cluster: &'c Cluster, namespace: &str, count: usize) -> Field<'c> {
        let names: Vec<String> = (0..count).map(|number| format!("shop-{number}")).collect();
        let field = Field {
            cluster,
            client: cluster.client(),
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

    /// Changes these Rollouts' templates at once; how long each took until the canary had its
    /// weight, in order.
    pub(crate) async fn update(&self, names: &[String]) -> Vec<Duration> {
        let mut changes = self.changes().boxed();
        // What is there now; changes come as they happen from here on.
        while !matches!(changes.next().await, Some(Ok(Event::InitDone))) {}
        let changing = stream::iter(names).map(|name| self.change(name));
        let changing = changing.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let (changed, weighed) = tokio::join!(changing, weighed(changes, names));
        let changed: HashMap<String, Instant> = changed.into_iter().collect();
        let mut delays: Vec<Duration> = weighed
            .into_iter()
            .map(|(name, at)| at.saturating_duration_since(changed[&name]))
            .collect();
        delays.sort();
        delays
    }

    /// Changes a template; when that was answered.
    async fn change(&self, name: &str) -> (String, Instant) {
        let kind = kind("argoproj.io", "v1alpha1", "Rollout", "rollouts");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind);
        let patch = Patch::Merge(image("app:2"));
        let patched = api.patch(name, &PatchParams::default(), &patch).await;
        patched.unwrap_or_else(|error| panic!("change {name}: {error}"));
        (name.to_string(), Instant::now())
    }

    /// The VirtualServices and how they change.
    fn changes(&self) -> impl Stream<Item = Told> + Send + use<> {
        let kind = kind(
            "networking.istio.io",
            "v1",
            "VirtualService",
            "virtualservices",
        );
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind);
        kube::runtime::watcher(api, watcher::Config::default())
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

fn kind(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: format!("{group}/{version}"),
        kind: kind.into(),
        plural: plural.into(),
    }
}

type Told = Result<Event<DynamicObject>, watcher::Error>;

/// When each of these VirtualServices was first told with its weight.
async fn weighed(mut changes: BoxStream<'_, Told>, names: &[String]) -> HashMap<String, Instant> {
    let mut waited_for: HashSet<&str> = names.iter().map(String::as_str).collect();
    let (started, mut weighed) = (Instant::now(), HashMap::new());
    while !waited_for.is_empty() {
        let left = PATIENCE.saturating_sub(started.elapsed());
        let change = tokio::time::timeout(left, changes.next()).await;
        let change = change.unwrap_or_else(|_| panic!("{} have their weight", weighed.len()));
        let Some(Ok(Event::Apply(object) | Event::InitApply(object))) = change else {
            continue;
        };
        let name = object.name_any();
        let weight = &object.data["spec"]["http"][0]["route"][1]["weight"];
        if *weight == 10 && waited_for.remove(name.as_str()) {
            weighed.insert(name, Instant::now());
        }
    }
    weighed
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

//! What is held of the cluster: every kind that a Rollout has to do with, watched, and of each object
//! no more than is needed.

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use futures::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Container, PodSpec, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_core::revision::HASH_LABEL;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::backoff::backoff;
use super::metrics::objects::run::outline;
use super::outage::Outage;
use super::owned::{NOBODY, Owned, controller};
use super::services::MANAGED_BY;
use crate::api::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Rollout};
use crate::mesh::objects;

/// Objects as they change; an object that is gone comes a last time.
pub(super) type Changes<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// What is held and told about: by whoever is asked for metrics.
#[derive(Debug)]
pub(super) struct Held {
    pub rollouts: Store<Rollout>,
    pub runs: Store<AnalysisRun>,
    pub templates: Store<AnalysisTemplate>,
    pub cluster_templates: Store<ClusterAnalysisTemplate>,
    /// The instance id that Rollouts and runs must have to be told about.
    pub instance_id: Option<String>,
}

/// What is held of the cluster.
pub(super) struct Watched {
    pub rollouts: Store<Rollout>,
    /// Those of Rollouts; of the specs of their pods no more than the images.
    sets: Owned<ReplicaSet>,
    /// Names and selectors, by the Rollouts that they are managed by.
    services: Owned<Service>,
    /// Without what their metrics ask for, and what came of it.
    runs: Owned<AnalysisRun>,
    pub templates: Store<AnalysisTemplate>,
    pub cluster_templates: Store<ClusterAnalysisTemplate>,
    virtual_services: Owned<DynamicObject>,
    /// By the Rollouts that they are managed by.
    destination_rules: Owned<DynamicObject>,
    /// Those that the controller writes.
    pub envoy_filters: Store<DynamicObject>,
    /// The kinds by which Istio's objects are kept.
    pub istio: Istio,
    /// Whether the API server was found not to serve them.
    without_istio: Arc<AtomicBool>,
    /// When the API server was not reached.
    pub outage: Arc<Outage>,
}

/// Whether Istio's objects are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// They are.
    Held,
    /// Not yet.
    Soon,
    /// The API server does not serve their kinds.
    Never,
}

/// Istio's kinds.
#[derive(Clone, Debug)]
pub(super) struct Istio {
    pub virtual_service: ApiResource,
    pub destination_rule: ApiResource,
}

/// The changes of what is held; whoever drives them keeps it up to date.
pub(super) struct AllChanges {
    pub rollouts: Changes<Rollout>,
    pub sets: Changes<ReplicaSet>,
    pub services: Changes<Service>,
    pub runs: Changes<AnalysisRun>,
    pub templates: Changes<AnalysisTemplate>,
    pub cluster_templates: Changes<ClusterAnalysisTemplate>,
    pub virtual_services: Changes<DynamicObject>,
    pub destination_rules: Changes<DynamicObject>,
    pub deployments: Changes<PartialObjectMeta<Deployment>>,
    pub envoy_filters: Changes<DynamicObject>,
}

/// Begins to watch all namespaces, or one, and Istio's root namespace for what is the controller's own.
pub(super) fn watch(
    client: &Client,
    namespace: Option<&str>,
    root_namespace: &str,
    outage: Arc<Outage>,
) -> (Watched, AllChanges) {
    let all = watcher::Config::default();
    let of_rollouts = watcher::Config::default().labels(HASH_LABEL);
    let istio = Istio {
        virtual_service: istio_kind("VirtualService", "virtualservices"),
        destination_rule: istio_kind("DestinationRule", "destinationrules"),
    };
    let (rollouts, rollout_changes) = held(
        &outage,
        api(client, namespace),
        all.clone(),
        |rollout: &mut Rollout| {
            forget_managers(&mut rollout.metadata);
        },
    );
    let (sets, set_changes) = owned(
        &outage,
        api(client, namespace),
        of_rollouts,
        forget_pod_spec,
        controller,
    );
    let (services, service_changes) = owned(
        &outage,
        api(client, namespace),
        all.clone(),
        forget_ports,
        managed_by,
    );
    let (runs, run_changes) = owned(
        &outage,
        api(client, namespace),
        all.clone(),
        forget_metrics,
        controller,
    );
    let (templates, template_changes) = held(
        &outage,
        api(client, namespace),
        all.clone(),
        |template: &mut AnalysisTemplate| {
            forget_managers(&mut template.metadata);
        },
    );
    let (cluster_templates, cluster_template_changes) = held(
        &outage,
        Api::all(client.clone()),
        all.clone(),
        |template: &mut ClusterAnalysisTemplate| {
            forget_managers(&mut template.metadata);
        },
    );
    let without_istio = Arc::new(AtomicBool::new(false));
    let (virtual_services, virtual_service_changes) = held_istio(
        client,
        &outage,
        namespace,
        &istio.virtual_service,
        all.clone(),
        &without_istio,
    );
    let (destination_rules, destination_rule_changes) = held_istio(
        client,
        &outage,
        namespace,
        &istio.destination_rule,
        all.clone(),
        &without_istio,
    );
    let (label, value) = objects::MANAGED_BY;
    let (envoy_filters, envoy_filter_changes) = held_istio(
        client,
        &outage,
        Some(root_namespace),
        &envoy_filter(),
        watcher::Config::default().labels(&format!("{label}={value}")),
        &without_istio,
    );
    let deployments = watcher(api::<PartialObjectMeta<Deployment>>(client, namespace), all);
    let watched = Watched {
        rollouts,
        sets,
        services,
        runs,
        templates,
        cluster_templates,
        virtual_services,
        destination_rules,
        envoy_filters: envoy_filters.store.clone(),
        istio,
        without_istio,
        outage: outage.clone(),
    };
    let changes = AllChanges {
        rollouts: rollout_changes,
        sets: set_changes,
        services: service_changes,
        runs: run_changes,
        templates: template_changes,
        cluster_templates: cluster_template_changes,
        virtual_services: virtual_service_changes,
        destination_rules: destination_rule_changes,
        deployments: told(&outage, deployments.backoff(backoff()).touched_objects()),
        envoy_filters: envoy_filter_changes,
    };
    (watched, changes)
}

impl Watched {
    /// What metrics are read off.
    pub(super) fn held(&self, instance_id: Option<String>) -> Held {
        Held {
            rollouts: self.rollouts.clone(),
            runs: self.runs.store.clone(),
            templates: self.templates.clone(),
            cluster_templates: self.cluster_templates.clone(),
            instance_id,
        }
    }

    /// Ends once everything that every Rollout needs is held; Istio may not be there at all.
    pub(super) fn ready(&self) -> BoxFuture<'static, ()> {
        let (rollouts, sets) = (self.rollouts.clone(), self.sets.store.clone());
        let (services, runs) = (self.services.store.clone(), self.runs.store.clone());
        let (templates, shared) = (self.templates.clone(), self.cluster_templates.clone());
        async move {
            // An error says that the watch has ended, and with it the controller.
            let _ = rollouts.wait_until_ready().await;
            let _ = sets.wait_until_ready().await;
            let _ = services.wait_until_ready().await;
            let _ = runs.wait_until_ready().await;
            let _ = templates.wait_until_ready().await;
            let _ = shared.wait_until_ready().await;
        }
        .boxed()
    }

    /// The ReplicaSets of a Rollout.
    pub(super) fn sets_of(&self, rollout: &Rollout) -> Vec<Arc<ReplicaSet>> {
        self.sets.by(&rollout.uid().unwrap_or_default())
    }

    /// ReplicaSets of Rollouts that nobody controls.
    pub(super) fn free_sets(&self) -> Vec<Arc<ReplicaSet>> {
        self.sets.by(NOBODY)
    }

    /// The analysis runs of a Rollout.
    pub(super) fn runs_of(&self, rollout: &Rollout) -> Vec<Arc<AnalysisRun>> {
        self.runs.by(&rollout.uid().unwrap_or_default())
    }

    /// The Services that a Rollout manages.
    pub(super) fn services_of(&self, namespace: &str, rollout: &str) -> Vec<Arc<Service>> {
        self.services.by(&manager(namespace, rollout))
    }

    /// The DestinationRules that a Rollout manages.
    pub(super) fn rules_of(&self, namespace: &str, rollout: &str) -> Vec<Arc<DynamicObject>> {
        self.destination_rules.by(&manager(namespace, rollout))
    }

    /// The Rollouts that manage anything, by namespace and name.
    pub(super) fn managers(&self) -> BTreeSet<(String, String)> {
        let all = [self.services.owners(), self.destination_rules.owners()].concat();
        let names = all.iter().filter_map(|name| name.split_once('/'));
        let names = names.map(|(namespace, name)| (namespace.to_string(), name.to_string()));
        names.collect()
    }

    /// A Service by its name.
    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        let name = ObjectRef::new(name).within(namespace);
        self.services.store.get(&name)
    }

    /// A VirtualService by its name.
    pub(super) fn virtual_service(&self, namespace: &str, name: &str) -> Option<Value> {
        let kind = self.istio.virtual_service.clone();
        istio_object(&self.virtual_services.store, kind, namespace, name)
    }

    /// The VirtualServices of a namespace.
    pub(super) fn virtual_services_in(&self, namespace: &str) -> Vec<Arc<DynamicObject>> {
        let mut all = self.virtual_services.store.state();
        all.retain(|object| object.metadata.namespace.as_deref() == Some(namespace));
        all
    }

    /// A DestinationRule by its name.
    pub(super) fn destination_rule(&self, namespace: &str, name: &str) -> Option<Value> {
        let kind = self.istio.destination_rule.clone();
        istio_object(&self.destination_rules.store, kind, namespace, name)
    }

    /// Whether Istio's objects are held.
    pub(super) fn holds_istio(&self) -> Holding {
        let listed = |store: &Store<DynamicObject>| {
            let ready = store.wait_until_ready().now_or_never();
            ready.is_some_and(|ready| ready.is_ok())
        };
        if listed(&self.virtual_services.store) && listed(&self.destination_rules.store) {
            Holding::Held
        } else if self.without_istio.load(Ordering::Relaxed) {
            Holding::Never
        } else {
            Holding::Soon
        }
    }
}

fn istio_object(
    store: &Store<DynamicObject>,
    kind: ApiResource,
    namespace: &str,
    name: &str,
) -> Option<Value> {
    let object = store.get(&ObjectRef::new_with(name, kind).within(namespace))?;
    serde_json::to_value(&*object).ok()
}

/// The Rollout that an object is managed by.
fn managed_by<K: Resource>(object: &K) -> Cow<'_, str> {
    let annotations = object.meta().annotations.as_ref();
    let rollout = annotations.and_then(|annotations| annotations.get(MANAGED_BY));
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    match rollout.filter(|rollout| !rollout.is_empty()) {
        Some(rollout) => manager(namespace, rollout).into(),
        None => NOBODY.into(),
    }
}

/// How a Rollout is told apart as one that manages.
fn manager(namespace: &str, rollout: &str) -> String {
    format!("{namespace}/{rollout}")
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The changes, and errors in the log alone: whoever reads the changes of all kinds would wait with
/// all of them for the one that failed.
fn told<K: Resource + Send + 'static>(
    outage: &Arc<Outage>,
    changes: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
) -> Changes<K> {
    let outage = Arc::clone(outage);
    let changes = changes.filter_map(move |change| {
        ready(match change {
            Ok(object) => {
                outage.told();
                Some(Ok(object))
            }
            Err(error) => {
                outage.note(&error);
                let kind = std::any::type_name::<K>();
                let kind = kind
                    .rsplit("::")
                    .next()
                    .unwrap_or(kind)
                    .trim_end_matches('>');
                tracing::warn!(%error, kind, "watching");
                None
            }
        })
    });
    changes.boxed()
}

fn held<K>(
    outage: &Arc<Outage>,
    api: Api<K>,
    config: watcher::Config,
    forget: impl FnMut(&mut K) + Send + 'static,
) -> (Store<K>, Changes<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let writer = Writer::new(());
    let store = writer.as_reader();
    let events = reflected(api, config, forget, writer);
    (store, told(outage, events.touched_objects()))
}

/// The same, found by whom they belong to.
fn owned<K>(
    outage: &Arc<Outage>,
    api: Api<K>,
    config: watcher::Config,
    forget: impl FnMut(&mut K) + Send + 'static,
    owner: fn(&K) -> Cow<'_, str>,
) -> (Owned<K>, Changes<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let writer = Writer::new(());
    let owned = Owned::new(writer.as_reader(), (), owner);
    let events = reflected(api, config, forget, writer).inspect_ok(owned.notes());
    (owned, told(outage, events.touched_objects()))
}

fn reflected<K>(
    api: Api<K>,
    config: watcher::Config,
    forget: impl FnMut(&mut K) + Send + 'static,
    writer: Writer<K>,
) -> impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let events = watcher(api, config).backoff(backoff()).modify(forget);
    events.reflect(writer)
}

/// Istio's kinds may not be served yet, or never: they are watched once they are.
fn held_istio(
    client: &Client,
    outage: &Arc<Outage>,
    namespace: Option<&str>,
    kind: &ApiResource,
    config: watcher::Config,
    without: &Arc<AtomicBool>,
) -> (Owned<DynamicObject>, Changes<DynamicObject>) {
    let writer = Writer::new(kind.clone());
    let owned = Owned::new(writer.as_reader(), kind.clone(), managed_by);
    let api = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
        None => Api::all_with(client.clone(), kind),
    };
    let (client, kind, without) = (client.clone(), kind.clone(), Arc::clone(without));
    let events = stream::once(async move { until_served(&client, &kind, &without).await })
        .flat_map(move |()| watcher(api.clone(), config.clone()))
        .backoff(backoff())
        .modify(|object: &mut DynamicObject| forget_managers(&mut object.metadata))
        .reflect(writer)
        .inspect_ok(owned.notes());
    (owned, told(outage, events.touched_objects()))
}

async fn until_served(client: &Client, kind: &ApiResource, without: &AtomicBool) {
    const AGAIN: Duration = Duration::from_secs(10);
    loop {
        match client.list_api_group_resources(&kind.api_version).await {
            Ok(list)
                if list
                    .resources
                    .iter()
                    .any(|served| served.name == kind.plural) =>
            {
                without.store(false, Ordering::Relaxed);
                return;
            }
            Ok(_) => without.store(true, Ordering::Relaxed),
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                without.store(true, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(%error, kind = kind.kind, "cannot find out what is served")
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Istio's kind for what is put into proxies.
pub(super) fn envoy_filter() -> ApiResource {
    ApiResource {
        version: "v1alpha3".to_string(),
        api_version: objects::API.to_string(),
        ..istio_kind("EnvoyFilter", "envoyfilters")
    }
}

fn istio_kind(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "networking.istio.io".to_string(),
        version: "v1".to_string(),
        api_version: "networking.istio.io/v1".to_string(),
        kind: kind.to_string(),
        plural: plural.to_string(),
    }
}

fn forget_managers(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Names and images of containers stay.
fn forget_pod_spec(set: &mut ReplicaSet) {
    forget_managers(&mut set.metadata);
    let template = set.spec.template.as_mut();
    if let Some(spec) = template.and_then(|template| template.spec.as_mut()) {
        let containers = std::mem::take(&mut spec.containers).into_iter();
        let containers = containers.map(|container| Container {
            name: container.name,
            image: container.image,
            ..Container::default()
        });
        *spec = PodSpec {
            containers: containers.collect(),
            ..PodSpec::default()
        };
    }
}

fn forget_ports(service: &mut Service) {
    forget_managers(&mut service.metadata);
    service.status = None;
    if let Some(spec) = &mut service.spec {
        let selector = spec.selector.take();
        *spec = k8s_openapi::api::core::v1::ServiceSpec {
            selector,
            ..Default::default()
        };
    }
}

fn forget_metrics(run: &mut AnalysisRun) {
    forget_managers(&mut run.metadata);
    run.spec.args = None;
    let results = run.status.as_mut();
    let results = results.and_then(|status| status.metric_results.as_mut());
    outline(&mut run.spec.metrics, results);
}

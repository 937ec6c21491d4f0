//! What a decision asks for is done: pods, analysis runs, Services, then the router's objects, each
//! only where it differs from what is seen. Later kinds wait until earlier ones are seen as written,
//! so that no request is sent to a version that nothing leads to yet.

mod endpoints;
mod history;
mod metadata;
mod restarts;
mod runs;
mod scale;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde::Deserialize as _;
use serde_json::{Value, json};
use serin_core::plan::{Plan, Router, WorkloadKind};
use serin_core::step::Decision;
use serin_core::workload::deployment_replicas;

use super::analysis::Unfit;
use super::context::ROLLOUT;
use super::identity::Version;
use super::memory::Asked;
use super::reconcile::{Pass, PassError, Source, mesh_key};
use super::router::{Kind, Objects, Write};
use super::sets;
use super::status::Pods;
use super::{let_go, services, tell};
use crate::mesh::objects::MANAGER;
use crate::mesh::rule_of;

/// What is acted on.
pub(super) struct Acting<'a> {
    pub pass: &'a Pass<'a>,
    pub plan: &'a Plan,
    /// The selector as written, of the Rollout or of its workload.
    pub selector: &'a Value,
    pub source: Option<&'a Source>,
    pub decision: &'a Decision,
    pub asked: &'a Asked,
    /// Whether proxies may run a canary.
    pub ran: bool,
    pub objects: &'a Objects,
    /// The version asked for.
    pub version: &'a Version,
    /// Pods by template hash.
    pub pods: &'a BTreeMap<String, Pods>,
    /// Analyses that cannot begin.
    pub unfit: &'a [Unfit],
}

/// How long until endpoints are looked for again.
const SOON: Duration = Duration::from_millis(100);

/// How long until a write that is not seen is looked for again.
const LATE: Duration = Duration::from_secs(5);

impl Acting<'_> {
    /// Acts; when to act again although nothing changes.
    pub(super) async fn act(&self) -> Result<Option<Duration>, PassError> {
        // Whatever fails here must not keep traffic from being taken back.
        let scaled = self.scale_all().await;
        let runs = self.keep_runs().await;
        let moved = self.move_traffic().await;
        scaled?;
        runs?;
        let waits = moved?;
        let given_back = let_go::by_plan(self.pass.context, self.pass.rollout, self.plan).await;
        self.tell_revision().await?;
        self.scale_workload().await?;
        self.dress_pods().await?;
        self.forget_old().await?;
        let restarts = self.restart_pods().await?;
        given_back?;
        Ok([waits, restarts].into_iter().flatten().min())
    }

    /// Services first. What they select must be seen before traffic is sent there. When to try again
    /// although nothing changes.
    async fn move_traffic(&self) -> Result<Option<Duration>, PassError> {
        // What takes a canary back waits for nothing: stable's Service leads where it should.
        if self.asked.traffic.canary.is_none() && self.objects.lead_to_stable(self.plan, self.asked)
        {
            self.tell_proxies();
        }
        let mut waits = false;
        for (name, hash) in &self.asked.services {
            waits |= self.select(name, hash).await?;
        }
        if waits {
            return Ok(Some(LATE));
        }
        if let Some(routes) = self.objects.own_routes(self.plan, self.asked) {
            self.write_own_routes(&routes).await?;
            return Ok(Some(LATE));
        }
        self.tell_proxies();
        let writes = match self.objects.writes(self.plan, self.asked) {
            Ok(writes) => writes,
            // Looked at before, so this is about one pass: the object was changed since.
            Err(refusal) => {
                tracing::warn!(rollout = self.plan.name, refusal, "traffic is not moved");
                return Ok(None);
            }
        };
        let subsets = writes
            .iter()
            .find(|write| write.kind == Kind::DestinationRule);
        if let Some(write) = subsets {
            if !self.endpoints_hold(&write.before, &write.after).await? {
                return Ok(Some(SOON));
            }
            self.write(write).await?;
            return Ok(Some(LATE));
        }
        for write in &writes {
            self.write(write).await?;
        }
        Ok((!writes.is_empty()).then_some(LATE))
    }

    /// Makes a Service select a version; whether that was needed.
    async fn select(&self, name: &str, hash: &str) -> Result<bool, PassError> {
        let Some(service) = self.objects.services.get(name) else {
            return Ok(false);
        };
        let (context, uid) = (self.pass.context, self.pass.uid);
        let object = format!("Service {name}");
        if context.is_behind(uid, &object, service.resource_version().as_deref()) {
            return Ok(true);
        }
        let pods = self.pods.get(hash).copied().unwrap_or_default();
        let desired = self.decision.sets.get(hash).copied().unwrap_or(0);
        let Some(patch) = services::patch(service, &self.plan.name, hash, pods, desired) else {
            return Ok(false);
        };
        let api: Api<Service> = Api::namespaced(self.client(), &self.plan.namespace);
        let patched = api
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        let patched = patched.map_err(PassError::api(format!("patch {object}")))?;
        context.wrote(uid, &object, patched.resource_version().as_deref());
        if services::selected(service) != Some(hash) {
            let told = format!("Switched selector for service '{name}' to value '{hash}'");
            tell::event(self.pass, "SwitchService", &told);
        }
        Ok(true)
    }

    async fn write(&self, write: &Write) -> Result<(), PassError> {
        let istio = &self.pass.context.watched.istio;
        let kind = match write.kind {
            Kind::DestinationRule => &istio.destination_rule,
            Kind::VirtualService => &istio.virtual_service,
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), &write.namespace, kind);
        let (context, uid) = (self.pass.context, self.pass.uid);
        let object = format!("{} {}/{}", kind.kind, write.namespace, write.name);
        let held = write.before["metadata"]["resourceVersion"].as_str();
        if context.is_behind(uid, &object, held) {
            return Ok(());
        }
        let patch = Patch::Json::<()>(write.patch.clone());
        match api
            .patch(&write.name, &PatchParams::default(), &patch)
            .await
        {
            Ok(patched) => context.wrote(uid, &object, patched.resource_version().as_deref()),
            // A JSON Patch whose test fails is answered so, without a cause.
            Err(kube::Error::Api(status)) if is_failed_test(&status) => {
                return Err(PassError::Stale { what: object });
            }
            Err(error) => return Err(PassError::api(format!("patch {object}"))(error)),
        }
        tracing::debug!(kind = kind.kind, name = write.name, "written");
        Ok(())
    }

    /// The controller's own VirtualService, as a whole.
    async fn write_own_routes(&self, routes: &Value) -> Result<(), PassError> {
        let kind = &self.pass.context.watched.istio.virtual_service;
        let name = routes["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = &self.plan.namespace;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, kind);
        let object = format!("VirtualService {namespace}/{name}");
        let context = self.pass.context;
        let seen = context.watched.virtual_service(namespace, name);
        let written = match seen {
            Some(_) => {
                let params = PatchParams::apply(MANAGER).force();
                api.patch(name, &params, &Patch::Apply(routes)).await
            }
            None => {
                let object =
                    DynamicObject::deserialize(routes).map_err(|source| PassError::Json {
                        what: "a VirtualService",
                        source,
                    })?;
                api.create(&PostParams::default(), &object).await
            }
        };
        written.map_err(PassError::api(format!("write {object}")))?;
        tracing::debug!(namespace, name, "written");
        Ok(())
    }

    /// What the filter is to do, once the Services select what it will send there.
    fn tell_proxies(&self) {
        let key = mesh_key(self.pass.rollout);
        let mesh = &self.pass.context.mesh;
        let Router::Wasm(router) = &self.plan.router else {
            mesh.let_go(&key);
            return;
        };
        let traffic = &self.asked.traffic;
        mesh.want(&key, rule_of(self.plan, router, traffic), self.ran);
    }

    /// The Rollout's own annotations: its revision, and the generation of its workload.
    async fn tell_revision(&self) -> Result<(), PassError> {
        let owned = self.pass.context.watched.sets_of(self.pass.rollout);
        let current = owned
            .iter()
            .find(|set| sets::hash_of(set) == Some(&self.version.hash));
        let revision = current.and_then(|set| set.annotations().get(sets::REVISION).cloned());
        let workload = self
            .source
            .and_then(|source| source.object.metadata.generation);
        let wanted = [
            (sets::REVISION, revision),
            (sets::WORKLOAD_GENERATION, workload.map(|n| n.to_string())),
        ];
        let has = self.pass.rollout.annotations();
        let missing: BTreeMap<&str, String> = wanted
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .filter(|(key, value)| has.get(*key) != Some(value))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let patch = json!({"metadata": {"annotations": missing}});
        let patched = self
            .pass
            .rollouts()
            .patch(
                &self.plan.name,
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await;
        let patched = patched.map_err(PassError::api("annotate the Rollout"))?;
        let version = patched.resource_version();
        self.pass
            .context
            .wrote(self.pass.uid, ROLLOUT, version.as_deref());
        Ok(())
    }

    /// Takes pods from the Deployment whose template the Rollout has taken.
    async fn scale_workload(&self) -> Result<(), PassError> {
        let (Some(source), Some(reference)) = (self.source, &self.plan.workload_ref) else {
            return Ok(());
        };
        if reference.kind != WorkloadKind::Deployment {
            return Ok(());
        }
        let owned = self.pass.context.watched.sets_of(self.pass.rollout);
        let hash = &self.version.hash;
        let current = owned.iter().find(|set| sets::hash_of(set) == Some(hash));
        let revision = current.map_or(0, |set| sets::seen(set).revision);
        let ready = self.pods.get(hash).map_or(0, |pods| pods.ready);
        let wanted = deployment_replicas(self.plan, revision, self.decision.phase, ready);
        let has = source.object.data["spec"]["replicas"].as_u64();
        let Some(wanted) = wanted.filter(|wanted| has != Some(u64::from(*wanted))) else {
            return Ok(());
        };
        let api: Api<Deployment> = Api::namespaced(self.client(), &self.plan.namespace);
        let patch = json!({"spec": {"replicas": wanted}});
        let patched = api
            .patch(
                &reference.name,
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await;
        patched.map_err(PassError::api(format!(
            "scale Deployment {}",
            reference.name
        )))?;
        Ok(())
    }

    fn client(&self) -> kube::Client {
        self.pass.context.client.clone()
    }

    fn sets_api(&self) -> Api<ReplicaSet> {
        Api::namespaced(self.client(), &self.plan.namespace)
    }
}

/// Whether a JSON Patch was refused since the object is not the one that was read.
pub(super) fn is_failed_test(status: &kube::core::Status) -> bool {
    let causes = status.details.as_ref().map(|details| details.causes.len());
    status.code == 422 && causes.unwrap_or(0) == 0
}

//! One pass over one Rollout. It observes, decides, stores and acts, in that order: what is done is
//! stored first, so whoever goes on after a crash knows what was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::{Map, Value, json};
use serin_core::plan::{Plan, Router, WasmRouter, Workload, WorkloadRef};
use serin_core::revision::HASH_LABEL;
use serin_core::step::{Observation, RunSeen, SetSeen, State, Traffic, WantedRun, step};
use serin_core::time::Timestamp;

use super::act::Acting;
use super::analysis::{Said, Unfit};
use super::context::{Context, ROLLOUT};
use super::identity::{self, IdentityError, Version};
use super::memory::{self, Asked, Memory, Origin};
use super::merge;
use super::metrics::key;
use super::router::{self, Objects};
use super::sets;
use super::status::{self, Facts, Pods};
use super::watched::Holding;
use super::{analysis, tell};
use crate::api::Rollout;
use crate::clock;
use crate::kubernetes::workload;
use crate::manifest::Key;
use crate::mesh;

/// The label that says which controller looks after a Rollout; none: the one without an id.
pub(super) const INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// Why a pass came to no end. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    /// The API server did not do what it was asked.
    #[error("{what}: {source}")]
    Api {
        /// What it was asked.
        what: String,
        /// Its answer.
        source: kube::Error,
    },
    /// An object was changed since it was seen.
    #[error("{what} was changed meanwhile")]
    Stale {
        /// Which.
        what: String,
    },
    /// A ReplicaSet has the name of the version's and cannot be taken over.
    #[error("{why}")]
    Unadopted {
        /// Which, and what is in the way.
        why: String,
    },
    /// An object cannot be written as JSON, or read.
    #[error("read {what}: {source}")]
    Json {
        /// Which.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

impl PassError {
    pub(super) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> PassError {
        let what = what.into();
        move |source| PassError::Api { what, source }
    }

    /// Whether somebody else was faster: what is held is old, and there is nothing to tell.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            PassError::Stale { .. } => true,
            PassError::Api {
                source: kube::Error::Api(status),
                ..
            } => status.is_conflict(),
            _ => false,
        }
    }
}

/// How long until a pass that came too early is tried again.
const SOON: Duration = Duration::from_millis(50);

/// How long until a Rollout that is refused is looked at again although nothing changes.
const REFUSED: Duration = Duration::from_secs(20);

/// One pass over one Rollout.
///
/// # Errors
/// If the API server does not do what it is asked.
pub(super) async fn reconcile(
    rollout: Arc<Rollout>,
    context: Arc<Context>,
) -> Result<Action, PassError> {
    context.ready.clone().await;
    let uid = rollout.uid().unwrap_or_default();
    let gone = rollout.metadata.deletion_timestamp.is_some();
    if gone || rollout.labels().get(INSTANCE_ID) != context.instance_id.as_ref() {
        context.forget(&uid);
        context.metrics.forget(&key(&*rollout));
        if gone {
            context.mesh.let_go(&mesh_key(&rollout));
        }
        return Ok(Action::await_change());
    }
    if context.is_behind(&uid, ROLLOUT, rollout.resource_version().as_deref()) {
        return Ok(Action::requeue(SOON * 20));
    }
    let began = Instant::now();
    let pass = Pass::over(&rollout, &uid, &context)?;
    let ended = pass.run().await;
    let failed = ended.as_ref().is_err_and(|error| !error.is_conflict());
    context
        .metrics
        .pass(key(&*rollout), began.elapsed(), failed);
    match ended {
        Ok(Some(again)) => Ok(Action::requeue(again.max(SOON))),
        Ok(None) => Ok(Action::await_change()),
        Err(error) if error.is_conflict() => Ok(Action::requeue(SOON)),
        Err(error) => Err(error),
    }
}

/// The Rollout as proxies are told of it.
pub(super) fn mesh_key(rollout: &Rollout) -> Key {
    Key {
        namespace: rollout.namespace().unwrap_or_default(),
        name: rollout.name_any(),
    }
}

/// How the weight that is asked for changes, in Argo Rollouts' words.
fn moved(plan: &Plan, before: &Asked, now: &Asked) -> Option<String> {
    let weight = |asked: &Asked| {
        let canary = asked.traffic.canary.as_ref();
        let bp = canary.map_or(0, |canary| canary.weight_bp);
        u32::from(bp) * plan.max_weight / 10_000
    };
    let (before, now) = (weight(before), weight(now));
    let changes = before != now && plan.router != Router::ReplicaRatio;
    changes.then(|| format!("Traffic weight updated from {before} to {now}"))
}

/// What one pass works with.
pub(super) struct Pass<'a> {
    pub context: &'a Context,
    pub rollout: &'a Rollout,
    pub uid: &'a str,
    /// The Rollout as JSON.
    pub document: Value,
    /// Its status.
    pub status: Map<String, Value>,
    pub now: Timestamp,
}

/// A workload that a Rollout's template is from.
pub(super) struct Source {
    pub object: DynamicObject,
    pub template: Value,
    pub selector: Option<Value>,
}

/// What a pass knows once it has looked.
struct Seen {
    objects: Objects,
    sets: BTreeMap<String, SetSeen>,
    pods: BTreeMap<String, Pods>,
    runs: BTreeMap<String, RunSeen>,
    /// What is said of blind queries.
    blind: Vec<String>,
    version: Version,
}

/// What is remembered of a release.
struct Remembered {
    memory: Memory,
    /// How long it takes until every proxy can be taken to run what was asked for; none if that is
    /// not shown.
    spreading: Option<Duration>,
    /// What is told of proxies that are behind.
    behind: Option<String>,
}

/// What is to be tried again later, or the reasons why the Rollout is refused.
enum Look<T> {
    Seen(T),
    Early,
    Refused(Vec<String>),
}

impl<'a> Pass<'a> {
    fn over(rollout: &'a Rollout, uid: &'a str, context: &'a Context) -> Result<Self, PassError> {
        let document = serde_json::to_value(rollout).map_err(|source| PassError::Json {
            what: "the Rollout",
            source,
        })?;
        let status = document.get("status").and_then(Value::as_object);
        let status = status.cloned().unwrap_or_default();
        Ok(Pass {
            context,
            rollout,
            uid,
            document,
            status,
            now: clock::now(),
        })
    }

    /// Runs the pass; when to look again although nothing changes.
    async fn run(&self) -> Result<Option<Duration>, PassError> {
        let source = match self.source().await? {
            Look::Seen(source) => source,
            Look::Early => return Ok(Some(SOON)),
            Look::Refused(why) => return self.refuse(&why).await,
        };
        let namespace = self.rollout.namespace().unwrap_or_default();
        let workload = source.as_ref().map(|source| Workload {
            template: &source.template,
            selector: source.selector.as_ref(),
        });
        let plan = match Plan::parse_with(&self.document, &namespace, workload) {
            Ok(plan) => plan,
            Err(errors) => {
                let told = errors.0.iter().map(ToString::to_string).collect::<Vec<_>>();
                return self.refuse(&told).await;
            }
        };
        let selector = match &self.document["spec"]["selector"] {
            Value::Null => source.as_ref().and_then(|source| source.selector.clone()),
            selector => Some(selector.clone()),
        };
        let selector = selector.unwrap_or_default();
        let seen = match self.look(&plan, &selector).await? {
            Look::Seen(seen) => seen,
            Look::Early => return Ok(Some(SOON)),
            Look::Refused(why) => return self.refuse(&why).await,
        };
        self.decide(&plan, &selector, source.as_ref(), &seen).await
    }

    /// The workload that the template is from, if it is from one.
    async fn source(&self) -> Result<Look<Option<Source>>, PassError> {
        let reference = match WorkloadRef::of(&self.document) {
            Ok(None) => return Ok(Look::Seen(None)),
            Ok(Some(reference)) => reference,
            Err(errors) => {
                return Ok(Look::Refused(
                    errors.0.iter().map(ToString::to_string).collect(),
                ));
            }
        };
        let (kind, pointer) = workload::resource(reference.kind);
        let namespace = self.rollout.namespace().unwrap_or_default();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.context.client.clone(), &namespace, &kind);
        let found = api.get_opt(&reference.name).await;
        let found = found.map_err(PassError::api(format!(
            "get {} {}",
            kind.kind, reference.name
        )))?;
        let Some(object) = found else {
            return Ok(Look::Refused(vec![format!(
                "spec.workloadRef: {} {:?} is not found in namespace {namespace:?}, expected one \
                 that is there (create it)",
                kind.kind, reference.name
            )]));
        };
        let value = serde_json::to_value(&object).map_err(|source| PassError::Json {
            what: "the workload",
            source,
        })?;
        Ok(Look::Seen(Some(Source {
            template: value.pointer(pointer).cloned().unwrap_or_default(),
            selector: value.pointer("/spec/selector").cloned(),
            object,
        })))
    }

    /// Looks at everything that belongs to the Rollout.
    async fn look(&self, plan: &Plan, selector: &Value) -> Result<Look<Seen>, PassError> {
        let watched = &self.context.watched;
        let istio = plan.router != Router::ReplicaRatio;
        if istio && watched.holds_istio() == Holding::Soon {
            return Ok(Look::Early);
        }
        if let (Router::Wasm(_), Some(why)) = (&plan.router, self.context.mesh.trouble()) {
            let field = "spec.strategy.canary.trafficRouting.plugins[serin/wasm]";
            return Ok(Look::Refused(vec![format!("{field}: {why}")]));
        }
        let objects = match Objects::look(watched, self.rollout, plan) {
            Ok(objects) => objects,
            Err(why) => return Ok(Look::Refused(why)),
        };
        if self.adopt(plan, selector).await? {
            return Ok(Look::Early);
        }
        let owned = watched.sets_of(self.rollout);
        let collisions = self.status.get("collisionCount").and_then(Value::as_u64);
        let version = identity::identify(
            &self.context.client,
            plan,
            &self.document,
            selector,
            &owned,
            collisions.unwrap_or(0),
        );
        let version = match version.await {
            Ok(version) => version,
            Err(refused @ IdentityError::Refused(_)) => {
                return Ok(Look::Refused(vec![refused.to_string()]));
            }
            Err(IdentityError::Unknown(source)) => {
                return Err(PassError::api("have a ReplicaSet filled in")(source));
            }
        };
        let mut sets = BTreeMap::new();
        let mut pods = BTreeMap::new();
        let leaving = |set: &k8s_openapi::api::apps::v1::ReplicaSet| {
            set.metadata.deletion_timestamp.is_some()
        };
        for set in owned.iter().filter(|set| !leaving(set)) {
            if let Some(hash) = sets::hash_of(set) {
                sets.insert(hash.to_string(), sets::seen(set));
                pods.insert(hash.to_string(), sets::pods(set));
            }
        }
        let runs = watched.runs_of(self.rollout);
        let blind = analysis::blind(&runs, &version.hash).collect();
        let runs = runs.iter().map(|run| (run.name_any(), analysis::seen(run)));
        Ok(Look::Seen(Seen {
            objects,
            sets,
            pods,
            runs: runs.collect(),
            blind,
            version,
        }))
    }

    /// Decides, stores and acts.
    async fn decide(
        &self,
        plan: &Plan,
        selector: &Value,
        source: Option<&Source>,
        seen: &Seen,
    ) -> Result<Option<Duration>, PassError> {
        let Remembered {
            mut memory,
            mut spreading,
            behind,
        } = self.remember(plan, seen);
        let Said {
            unfit,
            notices: traps,
        } = analysis::look_at(&self.context.watched, plan, &self.document);
        let why = |unfit: &Unfit| unfit.why.clone();
        let unfollowed = seen.objects.unfollowed.iter().cloned();
        let refused: Vec<String> = unfit.iter().map(why).chain(unfollowed).collect();
        // One that is under way is held, and can be taken back.
        if !refused.is_empty() && begins(&memory.state, &seen.version.hash) {
            return self.refuse(&refused).await;
        }
        let overtaken = memory.asked.as_ref().map(|asked| &asked.traffic) != memory.known.as_ref()
            || spreading.is_none() && memory.known.is_some();
        let mut observation = Observation {
            state: memory.state.clone(),
            template: seen.version.hash.clone(),
            sets: seen.sets.clone(),
            runs: seen.runs.clone(),
            traffic: memory.known.clone(),
            overtaken,
        };
        // The steps would go on to their end without an analysis beside them that cannot begin.
        let is_missing = |run: &WantedRun| run.step.is_none() && !seen.runs.contains_key(&run.name);
        let lacks = unfit.iter().any(|unfit| unfit.step.is_none());
        let holds = !seen.objects.unfollowed.is_empty();
        let decide = |observation: &Observation| {
            if holds {
                return step(&at_rest(plan), observation, self.now);
            }
            let decision = step(plan, observation, self.now);
            match lacks && decision.runs.iter().any(is_missing) {
                true => step(&at_rest(plan), observation, self.now),
                false => decision,
            }
        };
        let mut decision = decide(&observation);
        if let Some(running) = may_run(plan, &memory, &decision.traffic) {
            memory.known = Some(running);
            observation.traffic = memory.known.clone();
            decision = decide(&observation);
        }
        let asked = router::asked(plan, &decision);
        if memory.asked.as_ref() != Some(&asked) {
            spreading = None;
        }
        let moved = memory
            .asked
            .as_ref()
            .and_then(|before| moved(plan, before, &asked));
        memory.state = decision.state.clone();
        memory.asked = Some(asked.clone());

        // A release that is under way is taken back, scaled and told of as any other.
        let is_begun = |step: Option<usize>| {
            let mut runs = decision.runs.iter();
            runs.any(|run| run.step == step && seen.runs.contains_key(&run.name))
        };
        let ahead = analysis::ahead(&unfit, &decision.state, is_begun);
        let stuck = ahead.iter().map(|unfit| &*unfit.why);
        let stuck: Vec<&str> = stuck
            .chain(seen.objects.unfollowed.iter().map(|why| &**why))
            .collect();
        let stuck = (!stuck.is_empty()).then(|| stuck.join("; "));

        let acting = Acting {
            pass: self,
            plan,
            selector,
            source,
            decision: &decision,
            asked: &asked,
            ran: memory.known.as_ref().is_some_and(has_canary),
            objects: &seen.objects,
            version: &seen.version,
            pods: &seen.pods,
            unfit: &unfit,
        };
        let generation = |metadata: &ObjectMeta| metadata.generation.unwrap_or(0);
        let after = status::status(&Facts {
            plan,
            decision: &decision,
            memory: &memory,
            before: &self.status,
            generation: generation(&self.rollout.metadata),
            workload_generation: source.map(|source| generation(&source.object.metadata)),
            pods: &seen.pods,
            runs: &seen.runs,
            selector: selector_text(selector),
            failure: self.context.failure(self.uid),
            unfit: stuck,
            behind: behind.clone(),
            overtaken,
            now: self.now,
        });
        let told_later = self.store(after).await?;
        let of_mesh = match plan.router {
            Router::Wasm(_) => self.context.mesh.findings(),
            _ => Vec::new(),
        };
        let notices = unfit.iter().map(why).chain(of_mesh).chain(traps);
        let notices = notices.chain(seen.blind.iter().cloned());
        tell::notices(self, notices.chain(plan.notices.iter().cloned()).collect());
        tell::tell(self, &decision);
        if let Some(moved) = moved {
            tell::event(self, "TrafficWeightUpdated", &moved);
        }
        if self.context.is_behind_since_now(self.uid, behind.is_some()) {
            tell::behind(self, &behind.unwrap_or_default());
        }
        let later = acting.act().await?;
        let spreading = spreading.filter(|left| !left.is_zero());
        Ok([decision.look_again, spreading, later, told_later]
            .into_iter()
            .flatten()
            .min())
    }

    /// What is remembered, with what the objects and the proxies show of what was asked for.
    fn remember(&self, plan: &Plan, seen: &Seen) -> Remembered {
        let mut memory = match memory::read(self.rollout.status.as_ref(), plan, self.now) {
            Origin::New => Memory::default(),
            Origin::Stored(memory) => *memory,
            Origin::TakenOver(mut state) => {
                let owned = self.context.watched.sets_of(self.rollout);
                let owned = owned
                    .iter()
                    .filter_map(|set| Some((sets::hash_of(set)?, &**set)));
                state.scale_down_at = sets::deadlines(owned);
                let known = seen.objects.left_behind(plan, &state);
                Memory {
                    known: known.or_else(|| pods_alone(plan, &state.stable)),
                    state: *state,
                    asked: None,
                }
            }
        };
        let Some(asked) = &memory.asked else {
            return Remembered {
                memory,
                spreading: None,
                behind: None,
            };
        };
        let shows = seen.objects.show(plan, asked);
        let mut spreading = self.context.spreading(self.uid, asked, shows);
        let mut behind = None;
        if let Router::Wasm(router) = &plan.router {
            let ran = memory.known.as_ref().is_some_and(has_canary);
            if !self.shown(plan, router, asked, ran) {
                // Proxies are asked, so there is no time after which all are taken to know.
                spreading = None;
            }
            behind = self.context.mesh.behind(&mesh_key(self.rollout));
        }
        // Before anything was known, Services may have led elsewhere: to a Deployment, say.
        let same = memory
            .known
            .as_ref()
            .is_some_and(|known| *known == asked.traffic);
        let by_pods = plan.router == Router::ReplicaRatio;
        let spreading = match spreading {
            Some(_) if same || by_pods => Some(Duration::ZERO),
            other => other,
        };
        if spreading == Some(Duration::ZERO) {
            memory.known = Some(asked.traffic.clone());
        }
        Remembered {
            memory,
            spreading,
            behind,
        }
    }

    /// Whether all proxies run what was asked for; `ran` says whether they may run a canary.
    fn shown(&self, plan: &Plan, router: &WasmRouter, asked: &Asked, ran: bool) -> bool {
        let rule = mesh::rule_of(plan, router, &asked.traffic);
        self.context.mesh.shown(&mesh_key(self.rollout), &rule, ran)
    }

    /// Writes the status, if it says something else; when to write what can wait.
    async fn store(&self, after: Map<String, Value>) -> Result<Option<Duration>, PassError> {
        let can_wait = status::can_wait(&self.status, &after);
        if let Some(left) = self.context.postponed(self.uid, can_wait) {
            return Ok(Some(left));
        }
        self.write_status(after).await?;
        Ok(None)
    }

    /// Tells why the Rollout is not carried out; nothing of it is touched.
    async fn refuse(&self, why: &[String]) -> Result<Option<Duration>, PassError> {
        let name = self.rollout.name_any();
        let why = format!("Rollout {name:?} is not carried out: {}", why.join("; "));
        let generation = self.rollout.metadata.generation.unwrap_or(0);
        self.write_status(status::refused(&self.status, &why, generation, self.now))
            .await?;
        if self.context.is_news(self.uid, &why) {
            tell::refused(self, &why);
        }
        // What admission refuses changes without a sign, as with Argo Rollouts.
        Ok(Some(REFUSED))
    }

    /// Writes a status over the one that was read; nothing if they are the same.
    async fn write_status(&self, after: Map<String, Value>) -> Result<(), PassError> {
        let Some(patch) = merge::patch(&self.status, &after) else {
            return Ok(());
        };
        tracing::debug!(rollout = %self.rollout.name_any(), %patch, "the status changes");
        let patch = json!({
            "metadata": {"resourceVersion": self.rollout.resource_version()},
            "status": patch,
        });
        let api = self.rollouts();
        let params = PatchParams::default();
        let name = self.rollout.name_any();
        let written = api
            .patch_status(&name, &params, &Patch::Merge(&patch))
            .await;
        let written = written.map_err(PassError::api("write the status"))?;
        self.context
            .wrote(self.uid, ROLLOUT, written.resource_version().as_deref());
        Ok(())
    }

    pub(super) fn rollouts(&self) -> Api<Rollout> {
        let namespace = self.rollout.namespace().unwrap_or_default();
        Api::namespaced(self.context.client.clone(), &namespace)
    }
}

fn has_canary(traffic: &Traffic) -> bool {
    traffic.canary.is_some()
}

/// What proxies may run where a canary is not wanted any more before they were known to run it: none
/// of them is known to run stable alone.
fn may_run(plan: &Plan, memory: &Memory, wanted: &Traffic) -> Option<Traffic> {
    let asked = memory.asked.as_ref()?;
    let canary = asked.traffic.canary.as_ref()?;
    let is_known = memory.known.as_ref().is_some_and(has_canary);
    let by_filter = matches!(plan.router, Router::Wasm(_));
    (by_filter && wanted.canary.is_none() && !is_known).then(|| Traffic {
        stable: asked.traffic.stable.clone(),
        canary: Some(canary.clone()),
    })
}

/// The plan with its steps held.
fn at_rest(plan: &Plan) -> Plan {
    Plan {
        paused: true,
        ..plan.clone()
    }
}

/// Whether a version begins a release: those under way go on, and what is stable needs no steps.
fn begins(state: &State, hash: &str) -> bool {
    state.current.is_empty() || ![&*state.current, &*state.stable].contains(&hash)
}

/// Where no router moves traffic, stable's pods get it.
fn pods_alone(plan: &Plan, stable: &str) -> Option<Traffic> {
    (plan.router == Router::ReplicaRatio && !stable.is_empty()).then(|| Traffic {
        stable: stable.to_string(),
        canary: None,
    })
}

/// The label selector of a Rollout's ReplicaSets and pods: its own, and that there is a hash. Without
/// its own part every list would be of the whole namespace.
pub(super) fn own_labels(selector: &Value) -> String {
    let own = selector_text(selector);
    match own.is_empty() {
        true => HASH_LABEL.to_string(),
        false => format!("{own},{HASH_LABEL}"),
    }
}

/// A selector as the scale subresource has it: labels with commas between.
fn selector_text(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let expressions = expressions.map(|expression| {
        let text = |field: &str| expression[field].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten();
        let values = values
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(",");
        match text("operator") {
            "In" => format!("{} in ({values})", text("key")),
            "NotIn" => format!("{} notin ({values})", text("key")),
            "Exists" => text("key").to_string(),
            _ => format!("!{}", text("key")),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_written_as_clients_of_scale_read_it() {
        let selector = json!({
            "matchLabels": {"app": "shop", "tier": "web"},
            "matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(
            selector_text(&selector),
            "app=shop,tier=web,zone in (a,b),!old"
        );
    }
}

//! A Rollout's status: a decision and what is seen come in, the status that Argo Rollouts' clients
//! read goes out. Fields that are not ours stay as they are.

use serde_json::{Map, Value, json};
use serin_core::plan::{Plan, Router};
use serin_core::step::{Decision, Phase, RunSeen, State, WantedRun, routed_services};
use serin_core::time::Timestamp;
use std::collections::BTreeMap;

use super::conditions::{self, Condition};
use super::memory::{self, Memory};
use crate::clock;

/// What is seen of one ReplicaSet's pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pods {
    /// Those that exist.
    pub replicas: u32,
    /// Those that are ready.
    pub ready: u32,
    /// Those ready for at least `minReadySeconds`.
    pub available: u32,
}

/// What a status is made of.
pub(super) struct Facts<'a> {
    pub plan: &'a Plan,
    pub decision: &'a Decision,
    pub memory: &'a Memory,
    /// The status so far.
    pub before: &'a Map<String, Value>,
    /// `metadata.generation`.
    pub generation: i64,
    /// The generation of the workload that the template is from.
    pub workload_generation: Option<i64>,
    /// Pods by template hash.
    pub pods: &'a BTreeMap<String, Pods>,
    /// Analysis runs by name.
    pub runs: &'a BTreeMap<String, RunSeen>,
    /// The selector as clients of the scale subresource read it.
    pub selector: String,
    /// What keeps it from being carried out, such as a ReplicaSet that is refused.
    pub failure: Option<String>,
    /// Why the release cannot go on to its end.
    pub unfit: Option<String>,
    /// Which proxies do not run what they should.
    pub behind: Option<String>,
    /// Whether what was known is not so any more.
    pub overtaken: bool,
    pub now: Timestamp,
}

/// The whole status.
pub(super) fn status(facts: &Facts<'_>) -> Map<String, Value> {
    let (plan, decision) = (facts.plan, facts.decision);
    let state = &decision.state;
    let mut status = facts.before.clone();
    let mut set = |field: &str, value: Value| {
        match value {
            Value::Null => status.remove(field),
            value => status.insert(field.to_string(), value),
        };
    };
    let current = facts.pods.get(&state.current).copied().unwrap_or_default();
    let sum = |count: fn(&Pods) -> u32| facts.pods.values().map(count).sum::<u32>();
    set("replicas", json!(sum(|pods| pods.replicas)));
    set("HPAReplicas", json!(sum(|pods| pods.replicas)));
    set("readyReplicas", json!(sum(|pods| pods.ready)));
    set("availableReplicas", json!(sum(|pods| pods.available)));
    set("updatedReplicas", json!(current.replicas));
    set("selector", json!(facts.selector));
    set("observedGeneration", json!(facts.generation.to_string()));
    let workload = facts
        .workload_generation
        .map(|generation| generation.to_string());
    set("workloadObservedGeneration", json!(workload));

    set("stableRS", text(&state.stable));
    set("currentPodHash", text(&state.current));
    set("currentStepHash", text(&state.steps));
    let index = (!plan.steps.is_empty()).then_some(state.index);
    set("currentStepIndex", json!(index));
    set("controllerPause", flag(shows_controller_pause(state)));
    set("pauseConditions", pause_conditions(state));
    set("abort", flag(state.abort.is_some()));
    let aborted = state.abort.as_ref().map(|abort| clock::text(abort.since));
    set("abortedAt", json!(aborted));
    set("promoteFull", flag(state.promote_full));
    let restarted = state.restarted_at.map(clock::text);
    set("restartedAt", json!(restarted));

    let (phase, message) = match &facts.unfit {
        Some(why) => ("Degraded", format!("{}: {why}", conditions::INVALID)),
        None => (phase(decision), message(decision, facts.behind.as_deref())),
    };
    set("phase", json!(phase));
    set("message", text(&message));
    let before = facts.before.get("conditions").and_then(Value::as_array);
    let before = before.map(Vec::as_slice).unwrap_or_default();
    let list = conditions::merged(before, &wanted(facts), &clock::text(facts.now));
    set("conditions", json!(list));
    set("canary", canary(facts));
    let memory = serde_json::to_value(facts.memory).unwrap_or_default();
    set(memory::FIELD, without_nulls(memory));
    status
}

/// Whether a status says no more than how far pods are, which the next change is likely to say anew.
/// What it does not say yet is found again from the pods.
pub(super) fn can_wait(before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    const COUNTS: [&str; 6] = [
        "replicas",
        "HPAReplicas",
        "readyReplicas",
        "availableReplicas",
        "updatedReplicas",
        "message",
    ];
    const PROGRESS: [&str; 2] = ["progress", "progressedAt"];
    let rest = |status: &Map<String, Value>| {
        let mut rest = status.clone();
        rest.retain(|field, _| !COUNTS.contains(&field.as_str()));
        let state = rest.get_mut(memory::FIELD);
        let state = state.and_then(|memory| memory.get_mut("state")?.as_object_mut());
        if let Some(state) = state {
            state.retain(|field, _| !PROGRESS.contains(&field.as_str()));
        }
        rest
    };
    before != after && rest(before) == rest(after)
}

/// The status of a Rollout that cannot be carried out: everything else stays as it was.
pub(super) fn refused(
    before: &Map<String, Value>,
    why: &str,
    generation: i64,
    now: Timestamp,
) -> Map<String, Value> {
    let mut status = before.clone();
    let list = status.get("conditions").and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    let wanted = [Condition::invalid(why)];
    let list = conditions::merged(list, &wanted, &clock::text(now));
    let message = format!("{}: {why}", conditions::INVALID);
    for (field, value) in [
        ("conditions", json!(list)),
        ("phase", json!("Degraded")),
        ("message", json!(message)),
        ("observedGeneration", json!(generation.to_string())),
    ] {
        status.insert(field.to_string(), value);
    }
    status
}

fn wanted(facts: &Facts<'_>) -> Vec<Condition> {
    let available: u32 = facts.pods.values().map(|pods| pods.available).sum();
    let least = facts.plan.replicas - facts.plan.unavailable();
    let set = format!("{}-{}", facts.plan.name, facts.decision.state.current);
    let mut list = conditions::of_decision(facts.decision, available >= least, &set);
    list.extend(facts.unfit.as_ref().map(Condition::invalid));
    if let Some(why) = &facts.failure {
        list.push(Condition::new(
            conditions::FAILURE,
            true,
            "FailedCreate",
            why,
        ));
    }
    list
}

/// A controller's pause that has ended but is still to be taken note of would look like a pause that
/// waits to be ended: clients are shown one only with its condition.
fn shows_controller_pause(state: &State) -> bool {
    state.controller_pause && state.pause.is_some()
}

fn pause_conditions(state: &State) -> Value {
    match &state.pause {
        Some(pause) => json!([{
            "reason": format!("{:?}", pause.reason), "startTime": clock::text(pause.since),
        }]),
        None => Value::Null,
    }
}

fn canary(facts: &Facts<'_>) -> Value {
    let before = facts.before.get("canary").and_then(Value::as_object);
    let mut canary = before.cloned().unwrap_or_default();
    let mut set = |field: &str, value: Value| {
        match value {
            Value::Null => canary.remove(field),
            value => canary.insert(field.to_string(), value),
        };
    };
    set("weights", weights(facts));
    let run = |beside: bool| {
        let of = |run: &&WantedRun| run.step.is_none() == beside;
        let run = facts.decision.runs.iter().find(of)?;
        let seen = facts.runs.get(&run.name);
        let phase = seen.map(|seen| seen.phase).unwrap_or_default();
        let message = seen.map(|seen| &*seen.message).unwrap_or_default();
        let mut shown = json!({"name": run.name, "status": format!("{phase:?}")});
        if !message.is_empty() {
            shown["message"] = json!(message);
        }
        Some(shown)
    };
    // A run that decided the release is shown until another begins, as Argo Rollouts does.
    for (field, beside) in [
        ("currentStepAnalysisRunStatus", false),
        ("currentBackgroundAnalysisRunStatus", true),
    ] {
        match run(beside) {
            Some(run) => set(field, run),
            None if facts.decision.state.abort.is_some() => {}
            None => set(field, Value::Null),
        }
    }
    let turn = facts.plan.ping_pong.as_ref();
    let turn = turn.and(facts.decision.state.stable_ping_pong);
    set("stablePingPong", json!(turn));
    Value::Object(canary)
}

/// The weights that the proxies are known to have.
fn weights(facts: &Facts<'_>) -> Value {
    if facts.plan.router == Router::ReplicaRatio {
        return Value::Null;
    }
    let Some(known) = &facts.memory.known else {
        return Value::Null;
    };
    let most = facts.plan.max_weight;
    let bp = known.canary.as_ref().map_or(0, |canary| canary.weight_bp);
    let weight = u32::from(bp) * most / 10_000;
    let revision = known.canary.as_ref().map(|canary| &canary.revision);
    let revision = revision.unwrap_or(&facts.decision.state.current);
    let (stable, canary) = routed_services(facts.plan, &facts.decision.state);
    let destination = |weight: u32, hash: &str, service: Option<&str>| {
        let mut shown = json!({"weight": weight, "podTemplateHash": hash});
        if let Some(service) = service {
            shown["serviceName"] = json!(service);
        }
        shown
    };
    json!({
        "canary": destination(weight, revision, canary),
        "stable": destination(most.saturating_sub(weight), &known.stable, stable),
        "verified": *known == facts.decision.traffic && !facts.overtaken,
    })
}

/// Why the release stands as it does, and which proxies keep it from getting on.
fn message(decision: &Decision, behind: Option<&str>) -> String {
    let why = decision.why.to_string();
    match behind {
        Some(behind) if why.is_empty() => behind.to_string(),
        Some(behind) => format!("{why}: {behind}"),
        None => why,
    }
}

fn phase(decision: &Decision) -> &'static str {
    match decision.phase {
        Phase::Progressing => "Progressing",
        Phase::Paused => "Paused",
        Phase::Healthy => "Healthy",
        Phase::Degraded => "Degraded",
    }
}

/// A merge patch cannot write a null: what is not there must not look like a change each time.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            let fields = fields.map(|(field, value)| (field, without_nulls(value)));
            fields.collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

fn text(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => json!(text),
    }
}

fn flag(holds: bool) -> Value {
    if holds { json!(true) } else { Value::Null }
}

#[cfg(test)]
mod tests {
    use serin_core::step::{Observation, step};

    use super::*;
    use crate::cluster::merge;

    #[test]
    fn only_counts_can_wait() {
        let status = |replicas: u32, phase: &str, progress: u32, index: u32| {
            let state = json!({"index": index, "progress": {"replicas": progress}});
            let status = json!({
                "replicas": replicas, "phase": phase, "serin": {"state": state},
            });
            status.as_object().cloned().expect("an object")
        };
        let before = status(1, "Progressing", 1, 0);
        assert!(can_wait(&before, &status(2, "Progressing", 2, 0)));
        assert!(!can_wait(&before, &status(2, "Healthy", 2, 0)));
        assert!(!can_wait(&before, &status(2, "Progressing", 2, 1)));
        assert!(!can_wait(&before, &before), "there is nothing to write");
    }

    #[test]
    fn what_says_the_same_is_not_written_again() {
        let template = json!({"metadata": {"labels": {"app": "shop"}}, "spec": {}});
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template,
                "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}}},
        });
        let plan = Plan::parse(&document, "web").expect("a plan");
        let observation = Observation {
            state: State::default(),
            template: "one".into(),
            sets: BTreeMap::new(),
            runs: BTreeMap::new(),
            traffic: None,
            overtaken: false,
        };
        let decision = step(&plan, &observation, Timestamp(1_000));
        let memory = Memory {
            state: decision.state.clone(),
            ..Memory::default()
        };
        let told = |before: &Map<String, Value>| {
            status(&Facts {
                plan: &plan,
                decision: &decision,
                memory: &memory,
                before,
                generation: 1,
                workload_generation: None,
                pods: &BTreeMap::new(),
                runs: &BTreeMap::new(),
                selector: "app=shop".into(),
                failure: None,
                unfit: None,
                behind: None,
                overtaken: false,
                now: Timestamp(1_000),
            })
        };
        let mut stored = json!({});
        let patch = merge::patch(&Map::new(), &told(&Map::new())).expect("a change");
        json_patch::merge(&mut stored, &patch);
        let stored = stored.as_object().expect("an object");
        assert_eq!(merge::patch(stored, &told(stored)), None);
    }
}

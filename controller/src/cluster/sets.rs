//! ReplicaSets: what a Rollout's versions are called, and what they are made of. The Rollout and its
//! template come in, objects for the API server go out.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::ResourceExt as _;
use serde_json::{Map, Value, json};
use serin_core::plan::{AntiAffinity, Metadata, Plan, Router, WorkloadName};
use serin_core::revision::{self, HASH_LABEL, WORKLOAD_LABEL};
use serin_core::step::SetSeen;
use serin_core::time::{Timestamp, parse_time};

use super::status::Pods;

/// A ReplicaSet's revision number, also on the Rollout.
pub(super) const REVISION: &str = "rollout.argoproj.io/revision";
/// How many pods the Rollout asks for in all.
pub(super) const DESIRED: &str = "rollout.argoproj.io/desired-replicas";
/// When a ReplicaSet that serves nobody loses its pods.
pub(super) const DEADLINE: &str = "scale-down-deadline";
/// The hash of the template as it was written, which finds the ReplicaSet of a template again
/// whoever made it.
pub(super) const TEMPLATE: &str = "serin/template-hash";
/// What pods have for their role alone, as JSON.
pub(super) const ROLE: &str = "rollout.argoproj.io/ephemeral-metadata";
/// What the generation of a workload was when its template was taken, on the Rollout.
pub(super) const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";

/// Annotations that a ReplicaSet has for itself and not from its Rollout.
const OWN: [&str; 7] = [
    REVISION,
    DESIRED,
    DEADLINE,
    TEMPLATE,
    ROLE,
    WORKLOAD_GENERATION,
    "rollout.argoproj.io/revision-history",
];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a new ReplicaSet is made of.
pub(super) struct Making<'a> {
    pub plan: &'a Plan,
    /// The Rollout's document.
    pub rollout: &'a Value,
    /// The selector as written, of the Rollout or of its workload.
    pub selector: &'a Value,
    /// Its template hash.
    pub hash: &'a str,
    /// The hash of the template as written.
    pub written: &'a str,
    /// Its revision number.
    pub revision: u64,
    /// How many pods it has.
    pub replicas: u32,
    /// What its pods have for their role.
    pub role: &'a Metadata,
    /// Another version whose pods keep away.
    pub apart_from: Option<&'a str>,
}

/// The ReplicaSet to create.
pub(super) fn object(making: &Making<'_>) -> Value {
    let plan = making.plan;
    let rollout_meta = &making.rollout["metadata"];
    let mut template = plan.template.clone();
    let labels = ensure(&mut template, &["metadata", "labels"]);
    labels.insert(HASH_LABEL.to_string(), json!(making.hash));
    let set_labels = labels.clone();
    if names_workload(plan) {
        let workload = revision::workload(&plan.name, making.hash);
        labels
            .entry(WORKLOAD_LABEL)
            .or_insert_with(|| json!(workload));
    }
    add_role(&mut template, making.role);
    if let (Some(rule), Some(other)) = (&plan.anti_affinity, making.apart_from) {
        keep_apart(&mut template, rule, other);
    }
    let mut selector = making.selector.clone();
    ensure(&mut selector, &["matchLabels"]).insert(HASH_LABEL.to_string(), json!(making.hash));
    let mut annotations = inherited(&rollout_meta["annotations"]);
    annotations.insert(REVISION.to_string(), json!(making.revision.to_string()));
    annotations.insert(DESIRED.to_string(), json!(plan.replicas.to_string()));
    annotations.insert(TEMPLATE.to_string(), json!(making.written));
    if !making.role.is_empty() {
        annotations.insert(ROLE.to_string(), json!(role_text(making.role)));
    }
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name(plan, making.hash), "namespace": plan.namespace,
            "labels": set_labels, "annotations": annotations,
            "ownerReferences": [owner(plan, rollout_meta["uid"].as_str().unwrap_or_default())],
        },
        "spec": {
            "replicas": making.replicas, "minReadySeconds": plan.min_ready.as_secs(),
            "selector": selector, "template": template,
        },
    })
}

/// Whether pods say which workload they are of, a version each.
fn names_workload(plan: &Plan) -> bool {
    matches!(&plan.router, Router::Wasm(wasm) if wasm.workload_name == WorkloadName::Revision)
}

/// The reference to the Rollout with this uid as the one that controls a ReplicaSet.
pub(super) fn owner(plan: &Plan, uid: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": plan.name, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The name of a version's ReplicaSet.
pub(super) fn name(plan: &Plan, hash: &str) -> String {
    revision::workload(&plan.name, hash)
}

/// What pods have for their role, as a ReplicaSet's annotation tells it.
pub(super) fn role_text(role: &Metadata) -> String {
    json!({"labels": role.labels, "annotations": role.annotations}).to_string()
}

/// A Rollout's annotations as far as its ReplicaSets have them too.
fn inherited(annotations: &Value) -> Map<String, Value> {
    let mut annotations = annotations.as_object().cloned().unwrap_or_default();
    annotations.retain(|key, _| key != LAST_APPLIED && !OWN.contains(&&**key));
    annotations
}

fn add_role(template: &mut Value, role: &Metadata) {
    for (field, entries) in [("labels", &role.labels), ("annotations", &role.annotations)] {
        if !entries.is_empty() {
            let map = ensure(template, &["metadata", field]);
            map.extend(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), json!(value))),
            );
        }
    }
}

/// Adds that pods keep away from those of another version, on another node.
fn keep_apart(template: &mut Value, rule: &AntiAffinity, other: &str) {
    let term = json!({
        "labelSelector": {"matchExpressions": [
            {"key": HASH_LABEL, "operator": "In", "values": [other]},
        ]},
        "topologyKey": "kubernetes.io/hostname",
    });
    let affinity = ensure(template, &["spec", "affinity", "podAntiAffinity"]);
    let (field, term) = match rule {
        AntiAffinity::Required => ("requiredDuringSchedulingIgnoredDuringExecution", term),
        AntiAffinity::Preferred(weight) => (
            "preferredDuringSchedulingIgnoredDuringExecution",
            json!({"weight": weight, "podAffinityTerm": term}),
        ),
    };
    let terms = affinity.entry(field).or_insert_with(|| json!([]));
    if let Some(terms) = terms.as_array_mut() {
        terms.push(term);
    }
}

/// The object at this path, made where it is missing.
fn ensure<'v>(value: &'v mut Value, path: &[&str]) -> &'v mut Map<String, Value> {
    let mut at = value;
    for field in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*field];
    }
    if !at.is_object() {
        *at = json!({});
    }
    match at {
        Value::Object(map) => map,
        _ => unreachable!("was made an object"),
    }
}

/// A template without what a ReplicaSet's has for itself: the hash, the name of its workload, what
/// its pods have for their role, and whom they keep away from.
pub(super) fn bare(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    revision::remove_own_workload(&mut template);
    let role = set["metadata"]["annotations"][ROLE].as_str();
    let role: Value = role
        .and_then(|role| serde_json::from_str(role).ok())
        .unwrap_or_default();
    for field in ["labels", "annotations"] {
        if let Some(map) = template["metadata"][field].as_object_mut() {
            map.retain(|key, _| key != HASH_LABEL && role[field].get(key).is_none());
        }
        if template["metadata"][field]
            .as_object()
            .is_none_or(Map::is_empty)
        {
            remove(&mut template["metadata"], field);
        }
    }
    remove(&mut template["metadata"], "creationTimestamp");
    without_apart(&mut template);
    template
}

fn without_apart(template: &mut Value) {
    let affinity = &mut template["spec"]["affinity"];
    for field in [
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ] {
        if let Some(terms) = affinity["podAntiAffinity"][field].as_array_mut() {
            terms.retain(|term| !term.to_string().contains(HASH_LABEL));
        }
        let anti = &mut affinity["podAntiAffinity"];
        if anti[field].as_array().is_none_or(Vec::is_empty) {
            remove(anti, field);
        }
    }
    if affinity["podAntiAffinity"]
        .as_object()
        .is_none_or(Map::is_empty)
    {
        remove(affinity, "podAntiAffinity");
    }
    if affinity.as_object().is_none_or(Map::is_empty) {
        remove(&mut template["spec"], "affinity");
    }
}

fn remove(value: &mut Value, field: &str) {
    if let Some(map) = value.as_object_mut() {
        map.remove(field);
    }
}

/// The template hash of a ReplicaSet.
pub(super) fn hash_of(set: &ReplicaSet) -> Option<&str> {
    set.labels().get(HASH_LABEL).map(String::as_str)
}

/// The number in an annotation; 0 if there is none.
fn number(set: &ReplicaSet, annotation: &str) -> u64 {
    let text = set.annotations().get(annotation);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What a decision needs to know of a ReplicaSet.
pub(super) fn seen(set: &ReplicaSet) -> SetSeen {
    let pods = pods(set);
    let created = set.metadata.creation_timestamp.as_ref();
    SetSeen {
        revision: number(set, REVISION),
        created: created.map_or(Timestamp(0), |at| Timestamp(at.0.as_millisecond())),
        desired: desired(set),
        replicas: pods.replicas,
        available: pods.available,
    }
}

/// How many pods it is to have.
pub(super) fn desired(set: &ReplicaSet) -> u32 {
    let replicas = set.spec.replicas.unwrap_or(1);
    u32::try_from(replicas).unwrap_or(0)
}

/// Its pods.
pub(super) fn pods(set: &ReplicaSet) -> Pods {
    let count = |count: Option<i32>| u32::try_from(count.unwrap_or(0)).unwrap_or(0);
    let status = set.status.as_ref();
    Pods {
        replicas: count(status.map(|status| status.replicas)),
        ready: count(status.and_then(|status| status.ready_replicas)),
        available: count(status.and_then(|status| status.available_replicas)),
    }
}

/// When those that serve nobody lose their pods, as their annotations tell it.
pub(super) fn deadlines<'s>(
    sets: impl Iterator<Item = (&'s str, &'s ReplicaSet)>,
) -> BTreeMap<String, Timestamp> {
    let deadline = |(hash, set): (&str, &ReplicaSet)| {
        let at = set.annotations().get(DEADLINE)?;
        Some((hash.to_string(), parse_time(at)?))
    };
    sets.filter_map(deadline).collect()
}

/// The number of the next revision.
pub(super) fn next_revision<'s>(sets: impl Iterator<Item = &'s ReplicaSet>) -> u64 {
    sets.map(|set| number(set, REVISION)).max().unwrap_or(0) + 1
}

#[cfg(test)]
mod tests;

//! The revisions of a Rollout: its ReplicaSets with their pods, and the analysis runs made for them.

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition};
use k8s_openapi::jiff;
use serin_core::revision::HASH_LABEL;
use serin_core::time::Timestamp;

use super::{Objects, count, created, is_owned, pod, revision_of, run, strategy};
use crate::api::{AnalysisRun, Rollout};
use crate::view::{PodView, RevisionView, SetHealth, Strategy};

/// The annotation of a ReplicaSet that serves nobody any more: when its pods go.
const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";

/// The revisions, newest first.
pub(super) fn revisions(objects: &Objects) -> Vec<RevisionView> {
    let owner = objects.rollout.metadata.uid.as_deref();
    let sets = objects.sets.iter();
    let owned = sets.filter(|set| is_owned(&set.metadata, owner));
    let mut revisions: Vec<RevisionView> = owned.map(|set| view(objects, set)).collect();
    let runs = objects.runs.iter();
    for run in runs.filter(|run| is_owned(&run.metadata, owner)) {
        add(&mut revisions, run);
    }
    for revision in &mut revisions {
        revision
            .runs
            .sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    }
    revisions.sort_by(|a, b| (b.number, &a.replica_set).cmp(&(a.number, &b.replica_set)));
    revisions
}

/// Puts a run to its revision. A ReplicaSet that is asked for again gets a new number, and the
/// runs made for it before keep the old one.
fn add(revisions: &mut Vec<RevisionView>, run: &AnalysisRun) {
    let number = revision_of(&run.metadata);
    let run = run::view(run);
    match revisions.iter_mut().find(|other| other.number == number) {
        Some(revision) => revision.runs.push(run),
        None => revisions.push(RevisionView {
            number,
            replica_set: String::new(),
            hash: String::new(),
            images: Vec::new(),
            role: None,
            desired: 0,
            health: SetHealth::ScaledDown,
            created: run.created,
            scale_down_at: None,
            pods: Vec::new(),
            runs: vec![run],
        }),
    }
}

fn view(objects: &Objects, set: &ReplicaSet) -> RevisionView {
    let meta = &set.metadata;
    let annotations = meta.annotations.as_ref();
    let deadline = annotations.and_then(|annotations| annotations.get(SCALE_DOWN_DEADLINE));
    RevisionView {
        number: revision_of(meta),
        replica_set: meta.name.clone().unwrap_or_default(),
        images: images(set),
        role: role(&objects.rollout, hash(set)).map(str::to_string),
        hash: hash(set).to_string(),
        desired: count(set.spec.replicas),
        health: health(set),
        created: created(meta),
        scale_down_at: deadline.and_then(|text| time(text)),
        pods: pods(objects, set),
        runs: Vec::new(),
    }
}

fn time(text: &str) -> Option<Timestamp> {
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.ok().map(|time| Timestamp(time.as_millisecond()))
}

fn images(set: &ReplicaSet) -> Vec<String> {
    let template = set.spec.template.as_ref();
    let pod = template.and_then(|template| template.spec.as_ref());
    let containers = pod.map_or(&[][..], |pod| pod.containers.as_slice());
    let images = containers.iter().filter_map(|c| c.image.clone());
    images.collect()
}

/// How many pods of the canary are available, if there is a canary.
pub(super) fn canary_available(objects: &Objects) -> u32 {
    let owner = objects.rollout.metadata.uid.as_deref();
    let canary = objects.sets.iter().find(|set| {
        is_owned(&set.metadata, owner) && role(&objects.rollout, hash(set)) == Some("canary")
    });
    let status = canary.and_then(|set| set.status.as_ref());
    count(status.and_then(|status| status.available_replicas))
}

fn hash(set: &ReplicaSet) -> &str {
    let labels = set.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(HASH_LABEL))
        .map_or("", String::as_str)
}

fn role(rollout: &Rollout, hash: &str) -> Option<&'static str> {
    let status = rollout.status.as_ref().filter(|_| !hash.is_empty())?;
    let is = |known: Option<&str>| known == Some(hash);
    let stable = is(status.stable_rs.as_deref());
    let blue_green = status.rest.get("blueGreen");
    let selects = |selector: &str| is(blue_green.and_then(|status| status[selector].as_str()));
    match strategy(rollout) {
        Strategy::Canary if stable => Some("stable"),
        Strategy::Canary if is(status.current_pod_hash.as_deref()) => Some("canary"),
        Strategy::BlueGreen if selects("activeSelector") => match stable {
            true => Some("stable,active"),
            false => Some("active"),
        },
        Strategy::BlueGreen if stable => Some("stable"),
        Strategy::BlueGreen if selects("previewSelector") => Some("preview"),
        _ => None,
    }
}

fn health(set: &ReplicaSet) -> SetHealth {
    let status = set.status.clone().unwrap_or_default();
    let wanted = count(set.spec.replicas);
    let conditions = status.conditions.as_deref().unwrap_or_default();
    if set.metadata.generation > status.observed_generation {
        SetHealth::Progressing
    } else if conditions.iter().any(is_failure) {
        SetHealth::ReplicaFailure
    } else if count(status.available_replicas) < wanted {
        SetHealth::Progressing
    } else if wanted == 0 {
        SetHealth::ScaledDown
    } else {
        SetHealth::Healthy
    }
}

fn is_failure(condition: &ReplicaSetCondition) -> bool {
    let is = |field: &Option<String>, text: &str| field.as_deref() == Some(text);
    is(&condition.type_, "ReplicaFailure") && is(&condition.status, "True")
}

fn pods(objects: &Objects, set: &ReplicaSet) -> Vec<PodView> {
    let owner = set.metadata.uid.as_deref();
    let pods = objects.pods.iter();
    let owned = pods.filter(|pod| is_owned(&pod.metadata, owner));
    let mut pods: Vec<PodView> = owned.map(|pod| pod::view(pod)).collect();
    pods.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    pods
}

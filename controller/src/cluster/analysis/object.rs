//! The objects of a Rollout's runs: made of templates and arguments, and read again.

use std::sync::Arc;

use kube::ResourceExt as _;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use serin_core::analysis::{ArgContext, RunStatus};
use serin_core::plan::{BlindQueries, RunHistory};
use serin_core::revision::HASH_LABEL;
use serin_core::step::{RunPhase, RunSeen, WantedRun};
use serin_core::time::Timestamp;

use super::status;
use super::templates::{Beginning, Templates};
use crate::api::AnalysisRun;
use crate::cluster::reconcile::INSTANCE_ID;
use crate::cluster::sets::REVISION;

/// What a new run is made of.
pub(crate) struct Making<'a> {
    /// The run that is wanted.
    pub wanted: &'a WantedRun,
    /// The Rollout's document.
    pub rollout: &'a Value,
    /// All templates that it may refer to.
    pub templates: &'a Templates,
    /// The template hash of the version on trial.
    pub latest: &'a str,
    /// The stable template hash.
    pub stable: &'a str,
    /// The revision number on trial.
    pub revision: u64,
    /// What a query comes to that sees nothing.
    pub blind_queries: BlindQueries,
    /// The time now.
    pub now: Timestamp,
}

/// The AnalysisRun to create; one that cannot begin has ended in Error.
pub(crate) fn object(making: &Making<'_>) -> Value {
    let (wanted, rollout) = (making.wanted, making.rollout);
    let context = ArgContext {
        latest_hash: making.latest,
        stable_hash: making.stable,
        rollout,
    };
    let Beginning { draft, refusal } = making.templates.begin(wanted, &context);
    let metadata = &rollout["metadata"];
    let mut object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {
            "name": wanted.name, "namespace": metadata["namespace"],
            "labels": labels(making), "annotations": annotations(making),
            "ownerReferences": [{
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "name": metadata["name"], "uid": metadata["uid"],
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": draft.document(),
    });
    if let Some(why) = refusal {
        let refused = RunStatus::refused(why, making.now);
        object["status"] = Value::Object(status::written(&refused));
    }
    object
}

fn labels(making: &Making<'_>) -> Map<String, Value> {
    let selector = &making.rollout["spec"]["selector"]["matchLabels"];
    let own = &making.wanted.analysis.metadata.labels;
    let own = own.iter().map(|(key, value)| (key.clone(), json!(value)));
    let mut labels: Map<String, Value> = own.collect();
    labels.extend(selector.as_object().cloned().unwrap_or_default());
    let mut set = |key: &str, value: Value| labels.insert(key.to_string(), value);
    set(HASH_LABEL, json!(making.latest));
    match making.wanted.step {
        Some(step) => {
            set("rollout-type", json!("Step"));
            set("step-index", json!(step.to_string()));
        }
        None => {
            set("rollout-type", json!("Background"));
        }
    }
    let instance = &making.rollout["metadata"]["labels"][INSTANCE_ID];
    if instance.is_string() {
        set(INSTANCE_ID, instance.clone());
    }
    labels
}

fn annotations(making: &Making<'_>) -> Map<String, Value> {
    let own = &making.wanted.analysis.metadata.annotations;
    let own = own.iter().map(|(key, value)| (key.clone(), json!(value)));
    let revision = (REVISION.to_string(), json!(making.revision.to_string()));
    let inconclusive = making.blind_queries == BlindQueries::Inconclusive;
    let blind = inconclusive.then(|| (BLIND_QUERIES.to_string(), json!(INCONCLUSIVE)));
    own.chain([revision]).chain(blind).collect()
}

/// Tells who measures the run what a query comes to that sees nothing.
const BLIND_QUERIES: &str = "serin/blind-queries";
const INCONCLUSIVE: &str = "inconclusive";

/// What a query of this run comes to that sees nothing.
pub(super) fn blind_queries(run: &AnalysisRun) -> BlindQueries {
    match run.annotations().get(BLIND_QUERIES).map(String::as_str) {
        Some(INCONCLUSIVE) => BlindQueries::Inconclusive,
        _ => BlindQueries::Warn,
    }
}

/// What is said of blind queries of a version's runs.
pub(crate) fn blind<'a>(
    runs: &'a [Arc<AnalysisRun>],
    version: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let of_version = move |run: &&Arc<AnalysisRun>| {
        let hash = run.labels().get(HASH_LABEL).map(String::as_str);
        hash == Some(version)
    };
    // Only a run that is blind, or judges tick by tick, says something while it goes well.
    let says = |run: &&Arc<AnalysisRun>| !seen(run).message.is_empty();
    runs.iter().filter(of_version).filter(says).flat_map(|run| {
        let document = serde_json::to_value(&run.status).unwrap_or_default();
        let status = status::read(&document).unwrap_or_default();
        let name = run.name_any();
        let told = status
            .blind()
            .map(|why| format!("analysis run {name}: {why}"));
        told.collect::<Vec<_>>()
    })
}

/// What a decision needs to know of a run.
pub(crate) fn seen(run: &AnalysisRun) -> RunSeen {
    let status = run.status.as_ref();
    let message = status.and_then(|status| status.message.clone());
    let phase = status.map_or(RunPhase::Pending, |status| phase(&status.phase));
    let message = message.unwrap_or_default();
    // While it runs, only one that judges tick by tick has something to say.
    let speaks = phase == RunPhase::Running && !message.is_empty();
    RunSeen {
        holds: speaks.then(|| holds(run)).flatten(),
        phase,
        message,
    }
}

fn holds(run: &AnalysisRun) -> Option<String> {
    let status = serde_json::to_value(&run.status).ok()?;
    let status = status::read(&status).ok()?;
    status.holds().map(str::to_string)
}

fn phase(text: &str) -> RunPhase {
    RunPhase::deserialize(&json!(text)).unwrap_or_default()
}

/// The ended runs that are not remembered: those beyond the history, the oldest first, and those of
/// versions that are gone. The version on trial reads the verdicts of its own again in every pass.
pub(crate) fn surplus(
    runs: &[Arc<AnalysisRun>],
    history: RunHistory,
    current: &str,
    is_known: impl Fn(&str) -> bool,
) -> Vec<String> {
    let hash = |run: &AnalysisRun| run.labels().get(HASH_LABEL).cloned().unwrap_or_default();
    let ended = runs.iter().filter(|run| seen(run).phase.completed());
    let mut ended: Vec<&Arc<AnalysisRun>> = ended.filter(|run| hash(run) != current).collect();
    ended.sort_by_key(|run| (run.creation_timestamp(), run.name_any()));
    let (orphans, ended): (Vec<_>, Vec<_>) =
        ended.into_iter().partition(|run| !is_known(&hash(run)));
    let mut gone: Vec<String> = orphans.iter().map(|run| run.name_any()).collect();
    for (good, kept) in [(true, history.successful), (false, history.unsuccessful)] {
        let of_kind = |run: &&&Arc<AnalysisRun>| (seen(run).phase == RunPhase::Successful) == good;
        let names: Vec<String> = ended
            .iter()
            .filter(of_kind)
            .map(|run| run.name_any())
            .collect();
        let many = names.len().saturating_sub(kept);
        gone.extend(names.into_iter().take(many));
    }
    gone
}

#[cfg(test)]
mod tests {
    use serin_core::analysis::{Draft, Provider};
    use serin_core::plan::{AnalysisRef, TemplateRef};

    use super::*;

    fn made(step: Option<usize>, metric: Value) -> Value {
        let template = json!({
            "kind": "AnalysisTemplate", "metadata": {"name": "errors"},
            "spec": {"args": [{"name": "host"}], "metrics": [metric]},
        });
        let wanted = WantedRun {
            name: "shop-two-2-1".into(),
            step,
            analysis: AnalysisRef {
                templates: vec![TemplateRef {
                    name: "errors".into(),
                    cluster_scope: false,
                }],
                args: vec![json!({"name": "host", "value": "shop"})],
                ..AnalysisRef::default()
            },
        };
        let rollout = json!({
            "metadata": {"name": "shop", "namespace": "web", "uid": "u"},
            "spec": {"selector": {"matchLabels": {"app": "shop"}}},
        });
        object(&Making {
            wanted: &wanted,
            rollout: &rollout,
            templates: &Templates::from_iter([template]),
            latest: "two",
            stable: "one",
            revision: 2,
            blind_queries: BlindQueries::Inconclusive,
            now: Timestamp(1_000),
        })
    }

    fn metric() -> Value {
        json!({"name": "errors", "successCondition": "result[0] < 1",
            "provider": {"prometheus": {"address": "http://p", "query": "up{host=\"{{args.host}}\"}"}}})
    }

    #[test]
    fn a_run_is_what_argo_rollouts_makes_and_can_be_read_again() {
        let run = made(Some(1), metric());
        let labels =
            json!({"app": "shop", HASH_LABEL: "two", "rollout-type": "Step", "step-index": "1"});
        assert_eq!(run["metadata"]["labels"], labels);
        let annotations = json!({REVISION: "2", "serin/blind-queries": "inconclusive"});
        assert_eq!(run["metadata"]["annotations"], annotations);
        assert_eq!(
            run["spec"]["args"],
            json!([{"name": "host", "value": "shop"}])
        );
        assert_eq!(run["spec"]["metrics"][0], metric(), "as in the template");
        let spec = Draft::read(&run["spec"]).unwrap().spec().unwrap();
        let Provider::Prometheus(query) = &spec.metrics[0].provider else {
            panic!("{spec:?}");
        };
        assert_eq!(query.query, "up{host=\"shop\"}");
    }

    #[test]
    fn the_selectors_labels_come_before_those_that_the_rollout_gives_its_runs() {
        let mut wanted = WantedRun {
            name: "shop".into(),
            step: None,
            analysis: AnalysisRef::default(),
        };
        let own = &mut wanted.analysis.metadata;
        own.labels = [("app", "mine"), ("team", "web")]
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .into();
        own.annotations = [("note".to_string(), "x".to_string())].into();
        let run = object(&Making {
            wanted: &wanted,
            rollout: &json!({"metadata": {"labels": {INSTANCE_ID: "i"}},
                "spec": {"selector": {"matchLabels": {"app": "shop"}}}}),
            templates: &Templates::default(),
            latest: "two",
            stable: "one",
            revision: 3,
            blind_queries: BlindQueries::Warn,
            now: Timestamp(0),
        });
        assert_eq!(
            run["metadata"]["labels"],
            json!({"app": "shop", "team": "web", "rollout-type": "Background",
                HASH_LABEL: "two", INSTANCE_ID: "i"})
        );
        assert_eq!(
            run["metadata"]["annotations"],
            json!({"note": "x", REVISION: "3"})
        );
    }

    #[test]
    fn a_run_holds_its_release_by_what_is_kept_of_it() {
        let run = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": "a", "labels": {HASH_LABEL: "two"}},
            "spec": {"metrics": []},
            "status": {"phase": "Running", "message": "judge: so", "metricResults": [
                {"name": "judge", "phase": "Running", "metadata": {"serin/blind": "blind: so"},
                    "measurements": [{"phase": "Running", "message": "stable is failing too",
                        "startedAt": "2026-01-01T00:00:00Z",
                        "metadata": {"serin/verdict": "hold"}}]}]},
        });
        let run: AnalysisRun = serde_json::from_value(run).unwrap();
        assert_eq!(seen(&run).holds.as_deref(), Some("stable is failing too"));
        let told: Vec<String> = blind(&[Arc::new(run)], "two").collect();
        assert_eq!(told, ["analysis run a: metric \"judge\" is blind: so"]);
    }

    #[test]
    fn one_that_cannot_begin_has_ended_and_says_why() {
        let mut metric = metric();
        metric["interval"] = json!("5s");
        let run = made(Some(1), metric);
        assert_eq!(run["status"]["phase"], "Error");
        assert_eq!(run["status"]["completedAt"], "1970-01-01T00:00:01Z");
        let message = run["status"]["message"].as_str().unwrap();
        assert!(message.contains("runs indefinitely"), "{message}");
    }

    #[test]
    fn runs_beyond_the_history_go_the_oldest_first() {
        let run = |name: &str, hash: &str, phase: &str, second: u32| {
            let run = json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
                "metadata": {"name": name, "labels": {HASH_LABEL: hash},
                    "creationTimestamp": format!("2026-01-01T00:00:0{second}Z")},
                "spec": {"metrics": []}, "status": {"phase": phase},
            });
            Arc::new(serde_json::from_value(run).unwrap())
        };
        let runs = [
            run("a", "one", "Successful", 1),
            run("b", "one", "Successful", 2),
            run("c", "one", "Failed", 3),
            run("d", "gone", "Failed", 4),
            run("e", "two", "Failed", 5),
            run("f", "one", "Running", 0),
        ];
        let history = RunHistory {
            successful: 1,
            unsuccessful: 1,
        };
        assert_eq!(
            surplus(&runs, history, "two", |hash| hash != "gone"),
            ["d", "a"]
        );
    }
}

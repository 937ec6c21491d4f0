use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;

/// What `kubectl apply` keeps of an object in an annotation, at most.
const LAST_APPLIED_MAX: usize = 262_144;

#[test]
fn the_definitions_checked_in_are_those_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds.yaml");
    let checked_in = fs::read_to_string(path).unwrap();
    let current = definitions_yaml().unwrap();
    assert!(
        checked_in == current,
        "deploy/crds.yaml is not what `serin crd` prints (make manifests writes it)"
    );
}

#[test]
fn each_definition_is_small_enough_for_a_plain_apply() {
    for definition in definitions() {
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(size < LAST_APPLIED_MAX / 10, "{size} bytes");
    }
}

/// The object as the types give it back.
fn through<T: serde::Serialize + serde::de::DeserializeOwned>(object: &Value) -> Value {
    let typed: T = serde_json::from_value(object.clone()).unwrap();
    serde_json::to_value(typed).unwrap()
}

#[test]
fn an_object_goes_through_the_types_whole() {
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "replicas": 3, "minReadySeconds": 5, "restartAt": "2026-01-02T03:04:05Z",
            "selector": {"matchLabels": {"app": "shop"}},
            "strategy": {"canary": {"steps": [{"setWeight": 5}, {"pause": {"duration": "1h"}}]}},
            "template": {"spec": {"containers": [{"name": "app", "env": []}]}},
            "laterField": {"deep": [1, null, {"x": 0.5}]},
        },
        "status": {
            "HPAReplicas": 3, "stableRS": "abc", "conditions": [{"type": "Available"}],
            "canary": {"weights": {"canary": {"weight": 5}}}, "alb": {"later": true},
        },
    });
    assert_eq!(through::<Rollout>(&rollout), rollout);
    let run = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "shop-1"},
        "spec": {"metrics": [{"name": "up", "count": "3"}], "later": 1},
        "status": {"phase": "Running", "metricResults": [{"name": "up"}], "later": [true]},
    });
    assert_eq!(through::<AnalysisRun>(&run), run);
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ClusterAnalysisTemplate",
        "metadata": {"name": "up"},
        "spec": {"args": [{"name": "host"}], "metrics": [{"name": "up"}], "later": "x"},
    });
    assert_eq!(through::<ClusterAnalysisTemplate>(&template), template);
}

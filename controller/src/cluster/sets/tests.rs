use serde_json::{Value, json};

use super::*;

fn rollout(canary: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "uid": "u-1", "annotations": {
            "team": "web", LAST_APPLIED: "{}", REVISION: "7"}},
        "spec": {
            "replicas": 3, "minReadySeconds": 5,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}},
            "strategy": {"canary": canary},
        },
    })
}

fn made(canary: Value, apart_from: Option<&str>) -> Value {
    made_of(&rollout(canary), apart_from)
}

fn made_of(rollout: &Value, apart_from: Option<&str>) -> Value {
    let plan = Plan::parse(rollout, "default").unwrap();
    object(&Making {
        plan: &plan,
        rollout,
        selector: &rollout["spec"]["selector"],
        hash: "abc",
        written: "xyz",
        revision: 8,
        replicas: 2,
        role: &plan.canary_metadata,
        apart_from,
    })
}

#[test]
fn a_set_is_what_argo_rollouts_makes() {
    let set = made(json!({}), None);
    assert_eq!(set["metadata"]["name"], "shop-abc");
    let labels = json!({"app": "shop", HASH_LABEL: "abc"});
    assert_eq!(set["metadata"]["labels"], labels);
    assert_eq!(set["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(set["spec"]["template"]["metadata"]["labels"], labels);
    let annotations = json!({"team": "web", REVISION: "8", DESIRED: "3", TEMPLATE: "xyz"});
    assert_eq!(set["metadata"]["annotations"], annotations);
    assert_eq!(set["metadata"]["ownerReferences"][0]["uid"], "u-1");
    assert_eq!(
        (&set["spec"]["replicas"], &set["spec"]["minReadySeconds"]),
        (&json!(2), &json!(5))
    );
}

#[test]
fn what_a_set_has_for_itself_is_no_part_of_its_template() {
    let canary = json!({
        "canaryMetadata": {"labels": {"role": "canary"}, "annotations": {"note": "new"}},
        "antiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}},
    });
    let set = made(canary.clone(), Some("old"));
    assert_eq!(
        set["spec"]["template"]["metadata"]["labels"]["role"],
        "canary"
    );
    let terms = &set["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(terms.as_array().unwrap().len(), 1);
    assert_eq!(bare(&set), rollout(canary)["spec"]["template"]);
}

#[test]
fn a_preference_keeps_its_weight() {
    let canary = json!({
        "antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 7}}});
    let set = made(canary.clone(), Some("old"));
    let terms = &set["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(terms[0]["weight"], 7);
    assert_eq!(bare(&set), rollout(canary)["spec"]["template"]);
}

/// A canary that the filter routes, whose workload is named so.
fn filtered(workload_name: &str) -> Value {
    json!({
        "stableService": "shop", "canaryService": "shop-canary",
        "trafficRouting": {"plugins": {"serin/wasm": {"workloadName": workload_name}}},
    })
}

#[test]
fn the_name_of_a_version_s_workload_is_on_its_pods_and_no_part_of_the_template() {
    let set = made(filtered("revision"), None);
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels[WORKLOAD_LABEL], "shop-abc");
    assert_eq!(set["metadata"]["labels"][WORKLOAD_LABEL], Value::Null);
    let without = made(filtered("rollout"), None);
    let labels = &without["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels[WORKLOAD_LABEL], Value::Null);
    // Whoever compares them finds the same version.
    assert_eq!(bare(&set), bare(&without));
}

#[test]
fn a_user_s_name_of_the_workload_stays() {
    let mut rollout = rollout(filtered("revision"));
    rollout["spec"]["template"]["metadata"]["labels"][WORKLOAD_LABEL] = json!("mine");
    let set = made_of(&rollout, None);
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels[WORKLOAD_LABEL], "mine");
    assert_eq!(bare(&set), rollout["spec"]["template"]);
}

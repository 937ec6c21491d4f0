//! What Services select: a plan and a decision come in, the hash that each Service is to select and
//! the changes to the objects go out.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use serin_core::plan::Plan;
use serin_core::revision::HASH_LABEL;
use serin_core::step::Services;

use super::status::Pods;

/// Says which Rollout writes to an object.
pub(super) const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";

/// The Services that a plan names, with the field that does.
pub(super) fn named(plan: &Plan) -> Vec<(String, &str)> {
    const CANARY: &str = "spec.strategy.canary";
    let turns = plan.ping_pong.as_ref();
    let all = [
        ("stableService", plan.stable_service.as_deref()),
        ("canaryService", plan.canary_service.as_deref()),
        ("pingPong.pingService", turns.map(|turns| &*turns.ping)),
        ("pingPong.pongService", turns.map(|turns| &*turns.pong)),
    ];
    let named = |(field, name): (&str, Option<_>)| Some((format!("{CANARY}.{field}"), name?));
    all.into_iter().filter_map(named).collect()
}

/// The template hash that each Service is to select.
pub(super) fn wanted(plan: &Plan, services: &Services) -> BTreeMap<String, String> {
    let mut wanted = BTreeMap::new();
    let mut select = |service: &Option<String>, hash: &String| {
        if let Some(service) = service {
            wanted.insert(service.clone(), hash.clone());
        }
    };
    select(&plan.stable_service, &services.stable);
    select(&plan.canary_service, &services.canary);
    if let (Some(names), Some(turns)) = (&plan.ping_pong, &services.ping_pong) {
        select(&Some(names.ping.clone()), &turns.ping);
        select(&Some(names.pong.clone()), &turns.pong);
    }
    wanted
}

/// The template hash that a Service selects.
pub(super) fn selected(service: &Service) -> Option<&str> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    selector.get(HASH_LABEL).map(String::as_str)
}

/// Whether a Service may select this version now. One that selects pods without a hash serves
/// somebody's pods: it is taken over once the version can serve all. One that selects a version goes
/// on to another that has a pod to answer.
fn may_select(service: &Service, pods: Pods, desired: u32) -> bool {
    match selected(service) {
        None => pods.available >= desired.max(1),
        Some(_) => pods.available > 0,
    }
}

/// The merge patch that makes a Service select this version, which `desired` pods are asked of; none
/// if it does, or may not yet.
pub(super) fn patch(
    service: &Service,
    rollout: &str,
    hash: &str,
    pods: Pods,
    desired: u32,
) -> Option<Value> {
    let managed = service.annotations().get(MANAGED_BY).map(String::as_str) == Some(rollout);
    let selects = selected(service) == Some(hash);
    if hash.is_empty() || selects && managed || !selects && !may_select(service, pods, desired) {
        return None;
    }
    Some(json!({
        "metadata": {
            "resourceVersion": service.resource_version(),
            "annotations": {MANAGED_BY: rollout},
        },
        "spec": {"selector": {HASH_LABEL: hash}},
    }))
}

/// The merge patch that takes from a Service what it had for a Rollout.
pub(super) fn given_back(service: &Service) -> Value {
    let mut patch = json!({"metadata": {
        "resourceVersion": service.resource_version(), "annotations": {MANAGED_BY: null},
    }});
    if selected(service).is_some() {
        patch["spec"] = json!({"selector": {HASH_LABEL: null}});
    }
    patch
}

/// What is wrong with a Service that a field names; none if it will do.
pub(super) fn trouble(
    service: Option<&Service>,
    plan: &Plan,
    field: &str,
    name: &str,
) -> Option<String> {
    let namespace = &plan.namespace;
    let Some(service) = service else {
        return Some(format!(
            "{field}: Service {name:?} is not found in namespace {namespace:?}, expected one that \
             selects the pods of the template (create it with that selector; this controller adds \
             {HASH_LABEL} to it)"
        ));
    };
    let other = service.annotations().get(MANAGED_BY);
    if let Some(other) = other.filter(|other| **other != plan.name) {
        return Some(format!(
            "{field}: Service {name:?} is managed by Rollout {other:?}, expected one of its own (its \
             annotation {MANAGED_BY} tells)"
        ));
    }
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    let labels = &plan.template["metadata"]["labels"];
    let foreign = selector.into_iter().flatten().find(|(key, value)| {
        *key != HASH_LABEL && labels.get(key.as_str()).and_then(Value::as_str) != Some(value)
    });
    foreign.map(|(key, value)| {
        format!(
            "{field}: Service {name:?} selects {key}={value}, which the template's pods are not \
             labelled with, expected labels of spec.template.metadata.labels"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(selector: Value, annotations: Value) -> Service {
        let document = json!({
            "metadata": {"name": "shop", "resourceVersion": "4", "annotations": annotations},
            "spec": {"selector": selector},
        });
        serde_json::from_value(document).unwrap()
    }

    fn plan() -> Plan {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "strategy": {"canary": {"stableService": "shop", "canaryService": "shop-canary"}},
            },
        });
        Plan::parse(&document, "default").unwrap()
    }

    fn available(available: u32) -> Pods {
        Pods {
            replicas: available,
            ready: available,
            available,
        }
    }

    #[test]
    fn a_service_of_somebodys_pods_is_taken_over_once_all_are_there() {
        let service = service(json!({"app": "shop"}), json!({}));
        assert_eq!(patch(&service, "shop", "abc", available(2), 3), None);
        let patch = patch(&service, "shop", "abc", available(3), 3).unwrap();
        assert_eq!(patch["spec"]["selector"], json!({HASH_LABEL: "abc"}));
        assert_eq!(patch["metadata"]["annotations"][MANAGED_BY], "shop");
        assert_eq!(patch["metadata"]["resourceVersion"], "4");
    }

    #[test]
    fn a_service_goes_on_to_a_version_with_a_pod() {
        let service = service(json!({HASH_LABEL: "old"}), json!({MANAGED_BY: "shop"}));
        assert_eq!(patch(&service, "shop", "new", available(0), 3), None);
        assert!(patch(&service, "shop", "new", available(1), 3).is_some());
        assert_eq!(
            patch(&service, "shop", "old", available(0), 3),
            None,
            "it does"
        );
    }

    #[test]
    fn a_service_that_will_not_do_is_told_of_by_its_field() {
        let told = |service: Option<&Service>| trouble(service, &plan(), "f", "shop");
        assert!(
            told(None)
                .unwrap()
                .starts_with("f: Service \"shop\" is not found in namespace")
        );
        let theirs = service(json!({"app": "shop"}), json!({MANAGED_BY: "cart"}));
        assert!(
            told(Some(&theirs))
                .unwrap()
                .contains("is managed by Rollout \"cart\"")
        );
        let other = service(json!({"app": "cart"}), json!({}));
        assert!(told(Some(&other)).unwrap().contains("selects app=cart"));
        let good = service(
            json!({"app": "shop", HASH_LABEL: "x"}),
            json!({MANAGED_BY: "shop"}),
        );
        assert_eq!(told(Some(&good)), None);
    }

    #[test]
    fn fields_that_name_a_service_are_told() {
        let plan = plan();
        let fields: Vec<_> = named(&plan)
            .into_iter()
            .map(|(field, name)| format!("{field}={name}"))
            .collect();
        assert_eq!(
            fields,
            [
                "spec.strategy.canary.stableService=shop",
                "spec.strategy.canary.canaryService=shop-canary"
            ]
        );
    }
}

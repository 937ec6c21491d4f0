//! Which Rollouts an object has to do with: those whose manifests name it.

use std::collections::HashSet;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use serde_json::Value;

use super::owned::controlling;
use super::sets;
use crate::api::{AnalysisTemplate, ClusterAnalysisTemplate, Free, Rollout};

/// Finds the Rollouts that name an object.
#[derive(Clone)]
pub(super) struct Related {
    rollouts: Store<Rollout>,
}

type Found = Vec<ObjectRef<Rollout>>;

impl Related {
    pub(super) fn new(rollouts: Store<Rollout>) -> Related {
        Related { rollouts }
    }

    /// The Rollout that controls a ReplicaSet or, if nobody does, the one that it is named after.
    pub(super) fn sets(&self) -> impl Fn(ReplicaSet) -> Found + Send + Sync + use<> {
        |set| rollout_of(&set).into_iter().collect()
    }

    pub(super) fn services(&self) -> impl Fn(Service) -> Found + Send + Sync + use<> {
        self.of("Service", names_service)
    }

    pub(super) fn templates(&self) -> impl Fn(AnalysisTemplate) -> Found + Send + Sync + use<> {
        self.of("AnalysisTemplate", names_template)
    }

    pub(super) fn cluster_templates(
        &self,
    ) -> impl Fn(ClusterAnalysisTemplate) -> Found + Send + Sync + use<> {
        self.of("ClusterAnalysisTemplate", names_template)
    }

    pub(super) fn virtual_services(&self) -> impl Fn(DynamicObject) -> Found + Send + Sync + use<> {
        self.of("VirtualService", names_virtual_service)
    }

    pub(super) fn destination_rules(
        &self,
    ) -> impl Fn(DynamicObject) -> Found + Send + Sync + use<> {
        self.of("DestinationRule", names_rule)
    }

    pub(super) fn deployments(
        &self,
    ) -> impl Fn(PartialObjectMeta<Deployment>) -> Found + Send + Sync + use<> {
        self.of("Deployment", names_workload)
    }

    fn of<K: Resource>(
        &self,
        kind: &'static str,
        names: fn(&Rollout, &Named<'_>) -> bool,
    ) -> impl Fn(K) -> Found + Send + Sync + use<K> {
        let rollouts = self.rollouts.clone();
        move |object: K| {
            let namespace = object.namespace();
            let name = object.name_any();
            let named = Named {
                kind,
                namespace: namespace.as_deref(),
                name: &name,
            };
            let found = rollouts.state_filter(|rollout| names(rollout, &named));
            let refs: HashSet<_> = found
                .iter()
                .map(|rollout| ObjectRef::from_obj(&**rollout))
                .collect();
            refs.into_iter().collect()
        }
    }
}

/// An object that a manifest may name.
struct Named<'a> {
    kind: &'static str,
    namespace: Option<&'a str>,
    name: &'a str,
}

impl Named<'_> {
    fn beside(&self, rollout: &Rollout) -> bool {
        self.namespace == rollout.metadata.namespace.as_deref()
    }
}

fn rollout_of(set: &ReplicaSet) -> Option<ObjectRef<Rollout>> {
    let name = match controlling(set) {
        Some(owner) => (owner.kind == "Rollout").then(|| owner.name.clone())?,
        None => {
            let name = set.name_any();
            let hash = sets::hash_of(set)?;
            name.strip_suffix(hash)?.strip_suffix('-')?.to_string()
        }
    };
    Some(ObjectRef::new(&name).within(&set.namespace()?))
}

fn canary(rollout: &Rollout) -> Option<&Value> {
    let Free(strategy) = rollout.spec.strategy.as_ref()?;
    strategy.get("canary")
}

/// What a manifest asks of the filter; none if another router moves its traffic.
pub(super) fn filter(rollout: &Rollout) -> Option<&Value> {
    let router = canary(rollout)?.pointer("/trafficRouting/plugins/serin~1wasm");
    router.filter(|router| !router.is_null())
}

fn names_service(rollout: &Rollout, named: &Named<'_>) -> bool {
    const FIELDS: [&str; 4] = [
        "/stableService",
        "/canaryService",
        "/pingPong/pingService",
        "/pingPong/pongService",
    ];
    let is = |canary: &Value, field: &&str| {
        canary.pointer(field).and_then(Value::as_str) == Some(named.name)
    };
    named.beside(rollout)
        && canary(rollout).is_some_and(|canary| FIELDS.iter().any(|field| is(canary, field)))
}

fn names_virtual_service(rollout: &Rollout, named: &Named<'_>) -> bool {
    const ISTIO: &str = "/trafficRouting/istio";
    let filter = filter(rollout);
    if filter.is_some() && named.beside(rollout) {
        // Its own, or one that may be for the same host.
        return true;
    }
    let istio = || canary(rollout)?.pointer(ISTIO);
    let Some(router) = filter.or_else(istio) else {
        return false;
    };
    let one = router.get("virtualService").into_iter();
    let many = router.get("virtualServices").and_then(Value::as_array);
    let mut all = one.chain(many.into_iter().flatten());
    all.any(|reference| {
        let name = reference
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match name.split_once('.') {
            Some((name, namespace)) => name == named.name && Some(namespace) == named.namespace,
            None => name == named.name && named.beside(rollout),
        }
    })
}

fn names_rule(rollout: &Rollout, named: &Named<'_>) -> bool {
    const FIELD: &str = "/trafficRouting/istio/destinationRule/name";
    let name = canary(rollout).and_then(|canary| canary.pointer(FIELD));
    named.beside(rollout) && name.and_then(Value::as_str) == Some(named.name)
}

fn names_workload(rollout: &Rollout, named: &Named<'_>) -> bool {
    let Some(Free(reference)) = &rollout.spec.workload_ref else {
        return false;
    };
    let is = |field: &str, text: &str| reference.get(field).and_then(Value::as_str) == Some(text);
    named.beside(rollout) && is("kind", named.kind) && is("name", named.name)
}

/// Templates name other templates, so one may be of use to every analysis; they seldom change.
fn names_template(rollout: &Rollout, named: &Named<'_>) -> bool {
    let here = named.namespace.is_none() || named.beside(rollout);
    here && canary(rollout).is_some_and(|canary| {
        let steps = canary.get("steps").and_then(Value::as_array);
        let mut steps = steps.into_iter().flatten();
        canary.get("analysis").is_some() || steps.any(|step| step.get("analysis").is_some())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout() -> Rollout {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": "web"},
            "spec": {
                "workloadRef": {"kind": "Deployment", "name": "shop"},
                "strategy": {"canary": {
                    "stableService": "shop", "pingPong": {"pongService": "pong"},
                    "steps": [{"analysis": {"templates": [{"templateName": "errors"}]}}],
                    "trafficRouting": {"istio": {
                        "virtualServices": [{"name": "shop"}, {"name": "all.edge"}],
                        "destinationRule": {"name": "rule"},
                    }},
                }},
            },
        });
        serde_json::from_value(rollout).unwrap()
    }

    fn named<'a>(kind: &'static str, namespace: &'a str, name: &'a str) -> Named<'a> {
        Named {
            kind,
            namespace: Some(namespace),
            name,
        }
    }

    #[test]
    fn an_object_leads_to_the_rollouts_that_name_it() {
        let rollout = rollout();
        assert!(names_service(&rollout, &named("Service", "web", "pong")));
        assert!(!names_service(&rollout, &named("Service", "other", "shop")));
        let service = |namespace, name| {
            names_virtual_service(&rollout, &named("VirtualService", namespace, name))
        };
        assert!(service("web", "shop") && service("edge", "all"));
        assert!(!service("web", "all") && !service("edge", "shop"));
        assert!(names_rule(
            &rollout,
            &named("DestinationRule", "web", "rule")
        ));
        assert!(names_workload(
            &rollout,
            &named("Deployment", "web", "shop")
        ));
        assert!(names_template(
            &rollout,
            &named("AnalysisTemplate", "web", "errors")
        ));
        assert!(!names_template(
            &rollout,
            &named("AnalysisTemplate", "other", "errors")
        ));
    }

    #[test]
    fn a_replicaset_leads_to_who_controls_it_or_is_named_like_it() {
        let set = |owner: Value| -> Option<String> {
            let owners = if owner.is_null() {
                json!([])
            } else {
                json!([owner])
            };
            let set = json!({
                "metadata": {"name": "shop-abc", "namespace": "web", "ownerReferences": owners,
                    "labels": {"rollouts-pod-template-hash": "abc"}},
                "spec": {"selector": {}},
            });
            let set: ReplicaSet = serde_json::from_value(set).unwrap();
            rollout_of(&set).map(|rollout| rollout.name)
        };
        let owner = |kind: &str| json!({"apiVersion": "v1", "kind": kind, "name": "cart", "uid": "1", "controller": true});
        assert_eq!(set(owner("Rollout")).as_deref(), Some("cart"));
        assert_eq!(set(owner("Deployment")), None);
        assert_eq!(set(Value::Null).as_deref(), Some("shop"));
    }
}

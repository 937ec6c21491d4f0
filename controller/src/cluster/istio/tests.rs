//! A Rollout `web/shop` with the Services `shop` and `shop-canary`, or with subsets `stable` and
//! `canary` of one Service.

mod managed;
mod refusals;
mod select;
mod weights;

use serde_json::{Value, json};
use serin_core::plan::{DestinationRuleRef, MirrorRoute, VirtualServiceRef};
use serin_core::step::{CanaryTraffic, Traffic};
use serin_core::wire::{AllOf, HeaderRoute, Match, Subject, Test};

use super::*;

/// What a Rollout asks for.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) reference: VirtualServiceRef,
    pub(super) rule: Option<DestinationRuleRef>,
    pub(super) managed: Vec<String>,
    pub(super) traffic: Traffic,
}

impl Case {
    /// The versions have Services; the canary gets so many percent.
    pub(super) fn hosts(percent: u16) -> Case {
        Case {
            reference: VirtualServiceRef {
                name: "shop".into(),
                namespace: None,
                routes: Vec::new(),
                tls_routes: Vec::new(),
                tcp_routes: Vec::new(),
            },
            rule: None,
            managed: vec!["first".into(), "second".into()],
            traffic: Traffic {
                stable: "one".into(),
                canary: Some(CanaryTraffic {
                    revision: "two".into(),
                    weight_bp: percent * 100,
                    routes: Vec::new(),
                    mirrors: Vec::new(),
                }),
            },
        }
    }

    /// The versions are subsets.
    pub(super) fn subsets(percent: u16) -> Case {
        Case {
            rule: Some(rule()),
            ..Case::hosts(percent)
        }
    }

    pub(super) fn routes(mut self, names: &[&str]) -> Case {
        self.reference.routes = names.iter().map(ToString::to_string).collect();
        self
    }

    pub(super) fn header(mut self, route: HeaderRoute) -> Case {
        let canary = self.traffic.canary.as_mut();
        canary.unwrap().routes.push(route);
        self
    }

    pub(super) fn mirror(mut self, route: MirrorRoute) -> Case {
        let canary = self.traffic.canary.as_mut();
        canary.unwrap().mirrors.push(route);
        self
    }

    pub(super) fn split(&self) -> Split<'_> {
        let by_host = self.rule.is_none();
        Split {
            stable_service: by_host.then_some("shop"),
            canary_service: by_host.then_some("shop-canary"),
            rule: self.rule.as_ref(),
            namespace: "web",
            managed_routes: &self.managed,
            max_weight: 100,
            traffic: &self.traffic,
        }
    }

    pub(super) fn write(&self, object: &Value) -> Result<Value, Refusal> {
        virtual_service(object, &self.reference, &self.split())
    }

    /// What becomes of a VirtualService with this `spec`; told twice, it becomes the same.
    fn spec(&self, spec: Value) -> Value {
        let written = self.write(&json!({"spec": spec})).unwrap();
        assert_eq!(self.write(&written).unwrap(), written, "told twice");
        written["spec"].clone()
    }

    fn refusal(&self, spec: Value) -> String {
        self.write(&json!({"spec": spec})).unwrap_err().to_string()
    }

    fn sends(&self, spec: Value) -> Option<u16> {
        canary_weight(&json!({"spec": spec}), &self.reference, &self.split())
    }
}

pub(super) fn rule() -> DestinationRuleRef {
    DestinationRuleRef {
        name: "shop".into(),
        canary_subset: "canary".into(),
        stable_subset: "stable".into(),
        additional_subsets: Vec::new(),
    }
}

/// A route's destinations with their weights, by host.
pub(super) fn to_hosts(stable: u64, canary: u64) -> Value {
    json!([
        {"destination": {"host": "shop"}, "weight": stable},
        {"destination": {"host": "shop-canary"}, "weight": canary},
    ])
}

/// The same by subset.
pub(super) fn to_subsets(stable: u64, canary: u64) -> Value {
    json!([
        {"destination": {"host": "shop", "subset": "stable"}, "weight": stable},
        {"destination": {"host": "shop", "subset": "canary"}, "weight": canary},
    ])
}

/// Requests with the header `x-canary: <value>`.
pub(super) fn header_route(name: &str, value: &str) -> HeaderRoute {
    HeaderRoute {
        name: name.into(),
        any: vec![AllOf {
            all: vec![on_header("x-canary", Test::Exact(value.into()))],
        }],
    }
}

fn on_header(name: &str, is: Test) -> Match {
    Match {
        on: Subject::Header(name.into()),
        is,
        not: false,
    }
}

#[test]
fn a_change_fits_the_version_that_was_read_only() {
    let before = json!({"metadata": {"resourceVersion": "7"},
                        "spec": {"http": [{"route": to_hosts(100, 0)}]}});
    let after = Case::hosts(20).write(&before).unwrap();
    let patch = patch(&before, &after).unwrap();
    let first = serde_json::to_value(&patch.0[0]).unwrap();
    let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": "7"});
    assert_eq!(first, test);
    let mut patched = before.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    assert_eq!(patched, after);
    let mut newer = before;
    newer["metadata"]["resourceVersion"] = "8".into();
    json_patch::patch(&mut newer, &patch).unwrap_err();
}

#[test]
fn what_is_as_it_should_be_needs_no_patch() {
    let object = json!({"metadata": {"resourceVersion": "7"},
                        "spec": {"http": [{"route": to_hosts(80, 20)}]}});
    let after = Case::hosts(20).write(&object).unwrap();
    assert_eq!(after, object);
    assert!(patch(&object, &after).is_none());
}

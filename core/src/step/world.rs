//! A world for tests: it does what decisions say, at once, late, or not.

use serde_json::{Value, json};

use super::*;
use crate::verb;

/// A plan of four replicas with these steps.
pub(super) fn plan(steps: Value) -> Plan {
    plan_with(steps, json!({}))
}

/// The same, with further fields of `spec`.
pub(super) fn plan_with(steps: Value, spec: Value) -> Plan {
    let mut document = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
            "strategy": {"canary": {
                "stableService": "shop", "canaryService": "shop-canary",
                "trafficRouting": {"plugins": {"serin/wasm": {}}}, "steps": steps,
            }},
        },
    });
    let fields = spec.as_object().unwrap();
    for (name, value) in fields {
        document["spec"][name] = value.clone();
    }
    Plan::parse(&document, "default").unwrap()
}

/// The same with Istio.
pub(super) fn istio_plan(steps: Value) -> Plan {
    let istio = json!({"istio": {"virtualService": {"name": "shop"}}});
    canary_plan(steps, json!({ "trafficRouting": istio }))
}

/// A plan of ten replicas with these steps and further fields of `canary`.
pub(super) fn canary_plan(steps: Value, fields: Value) -> Plan {
    let mut canary = json!({
        "stableService": "shop", "canaryService": "shop-canary", "steps": steps,
        "trafficRouting": {"plugins": {"serin/wasm": {}}},
    });
    for (name, value) in fields.as_object().unwrap() {
        canary[name] = value.clone();
    }
    let spec = json!({"replicas": 10, "strategy": {"canary": canary}});
    plan_with(json!([]), spec)
}

/// A world that does at once what a decision says.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) seen: Observation,
    pub(super) now: Timestamp,
    pub(super) last: Decision,
    pub(super) events: Vec<String>,
    /// What some proxy may run: what was asked for since they were all known to agree.
    pub(super) asked: Vec<Traffic>,
}

impl World {
    /// Version `one` serves everybody.
    pub(super) fn with(plan: Plan) -> World {
        let seen = Observation {
            template: "one".into(),
            ..Observation::default()
        };
        let last = step(&plan, &seen, Timestamp(1_000));
        let now = Timestamp(1_000);
        let mut world = World {
            plan,
            seen,
            now,
            last,
            events: Vec::new(),
            asked: Vec::new(),
        };
        world.settle();
        assert_eq!(world.last.phase, Phase::Healthy);
        world
    }

    /// Asks for another template.
    pub(super) fn release(&mut self, template: &str) {
        self.seen.template = template.into();
        self.settle();
    }

    /// One pass: decide, store, do.
    pub(super) fn pass(&mut self) {
        let before = std::mem::replace(&mut self.last, step(&self.plan, &self.seen, self.now));
        self.seen.overtaken |= before.traffic != self.last.traffic;
        self.asked.push(self.last.traffic.clone());
        self.seen.state = self.last.state.clone();
        self.events
            .extend(self.last.events.iter().map(|event| event.reason.clone()));
        let next = 1 + self
            .seen
            .sets
            .values()
            .map(|set| set.revision)
            .max()
            .unwrap_or(0);
        for (hash, pods) in &self.last.sets {
            let set = self.seen.sets.entry(hash.clone()).or_default();
            if set.revision == 0 {
                set.revision = next;
                set.created = Timestamp(next as i64);
            }
            set.desired = *pods;
        }
        for (hash, set) in &mut self.seen.sets {
            set.desired = self.last.sets.get(hash).copied().unwrap_or(0);
        }
        for run in &self.last.runs {
            let fresh = RunSeen {
                phase: RunPhase::Running,
                message: String::new(),
                holds: None,
            };
            self.seen.runs.entry(run.name.clone()).or_insert(fresh);
        }
    }

    /// Every pod wanted is there, every proxy runs the wanted traffic.
    pub(super) fn comply(&mut self) {
        for set in self.seen.sets.values_mut() {
            set.replicas = set.desired;
            set.available = set.desired;
        }
        self.acknowledge();
    }

    /// Every proxy runs the wanted traffic.
    pub(super) fn acknowledge(&mut self) {
        self.asked = vec![self.last.traffic.clone()];
        self.seen.traffic = Some(self.last.traffic.clone());
        self.seen.overtaken = false;
    }

    /// Passes until nothing changes.
    pub(super) fn settle(&mut self) {
        for _ in 0..50 {
            let before = (self.seen.clone(), self.last.clone());
            self.pass();
            self.comply();
            if before == (self.seen.clone(), self.last.clone()) {
                return;
            }
        }
        panic!("does not settle: {:?}", self.last);
    }

    pub(super) fn later_without_acknowledgement(&mut self, seconds: i64) {
        self.now = Timestamp(self.now.0 + seconds * 1000);
        for _ in 0..5 {
            self.pass();
        }
    }

    pub(super) fn later(&mut self, seconds: i64) {
        self.now = Timestamp(self.now.0 + seconds * 1000);
        self.settle();
    }

    pub(super) fn promote(&mut self) {
        self.seen.state = verb::promote(&self.plan, &self.seen.state, false).unwrap();
        self.settle();
    }

    pub(super) fn end_run(&mut self, phase: RunPhase) {
        let run = RunSeen {
            phase,
            message: "because".into(),
            holds: None,
        };
        for seen in self
            .seen
            .runs
            .values_mut()
            .filter(|seen| !seen.phase.completed())
        {
            *seen = run.clone();
        }
        self.settle();
    }

    pub(super) fn weight(&self) -> u16 {
        self.last
            .traffic
            .canary
            .as_ref()
            .map_or(0, |canary| canary.weight_bp)
    }

    pub(super) fn routes(&self) -> Vec<&str> {
        let canary = self.last.traffic.canary.as_ref();
        canary.map_or(Vec::new(), |c| {
            c.routes.iter().map(|r| r.name.as_str()).collect()
        })
    }
}

pub(super) fn analysis() -> Value {
    json!({"analysis": {"templates": [{"templateName": "ok"}]}})
}

pub(super) fn header_route() -> Value {
    json!({"setHeaderRoute": {"name": "beta", "match": [
        {"headerName": "x-canary", "headerValue": {"exact": "true"}}]}})
}

pub(super) fn mirror_route(percentage: u32) -> Value {
    json!({"setMirrorRoute": {"name": "copy", "percentage": percentage, "match": [
        {"path": {"prefix": "/"}}]}})
}

//! Gauges of Rollouts.

use serde::Deserialize as _;
use serde_json::Value;

use super::labels;
use crate::api::{Rollout, RolloutStatus};
use crate::cluster::conditions::INVALID;
use crate::cluster::memory::{self, Memory};
use crate::cluster::metrics::text::{Metric, metric};

/// The gauges of all Rollouts.
pub(super) struct Metrics {
    info: Metric,
    phase: Metric,
    available: Metric,
    unavailable: Metric,
    desired: Metric,
    updated: Metric,
    weight: Metric,
    step: Metric,
    steps: Metric,
    abort: Metric,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            info: metric("rollout_info", "Rollouts"),
            phase: metric("rollout_phase", "Whether a Rollout is in a phase"),
            available: metric("rollout_info_replicas_available", "Available pods"),
            unavailable: metric("rollout_info_replicas_unavailable", "Unavailable pods"),
            desired: metric("rollout_info_replicas_desired", "Pods that are wanted"),
            updated: metric(
                "rollout_info_replicas_updated",
                "Pods of the wanted version",
            ),
            weight: metric(
                "rollout_canary_weight",
                "Percentage of requests that proxies are known to send to the canary",
            ),
            step: metric("rollout_current_step", "Steps that are behind a release"),
            steps: metric("rollout_steps", "Steps that a release has"),
            abort: metric("rollout_abort_info", "Why a release is taken back"),
        }
    }
}

impl Metrics {
    pub(super) fn all(self) -> Vec<Metric> {
        vec![
            self.info,
            self.phase,
            self.available,
            self.unavailable,
            self.desired,
            self.updated,
            self.weight,
            self.step,
            self.steps,
            self.abort,
        ]
    }

    pub(super) fn add(&mut self, rollout: &Rollout) {
        let labels = labels(rollout);
        let (strategy, router) = strategy(rollout);
        let phase = phase(rollout);
        let info = labels.clone().and("strategy", strategy);
        let info = info.and("traffic_router", router).and("phase", phase);
        self.info.gauge(info, 1.0);
        for each in PHASES {
            let labels = labels.clone().and("strategy", strategy).and("phase", each);
            self.phase.gauge(labels, f64::from(u8::from(each == phase)));
        }
        let status = rollout.status.as_ref();
        let number = |of: fn(&RolloutStatus) -> Option<i32>| status.and_then(of);
        let all = number(|status| status.replicas).unwrap_or(0);
        let available = number(|status| status.available_replicas).unwrap_or(0);
        let updated = number(|status| status.updated_replicas).unwrap_or(0);
        let gauge = |metric: &mut Metric, value: i32| {
            metric.gauge(labels.clone(), f64::from(value));
        };
        gauge(&mut self.available, available);
        gauge(&mut self.unavailable, all - available);
        gauge(&mut self.desired, rollout.spec.replicas.unwrap_or(1));
        gauge(&mut self.updated, updated);
        if let Some(step) = number(|status| status.current_step_index) {
            gauge(&mut self.step, step);
            gauge(&mut self.steps, steps(rollout));
        }
        let memory = status.and_then(|status| status.rest.get(memory::FIELD));
        let Some(memory) = memory.and_then(|memory| Memory::deserialize(memory).ok()) else {
            return;
        };
        let canary = memory.known.and_then(|known| known.canary);
        let weight = canary.map_or(0, |canary| canary.weight_bp);
        self.weight.gauge(labels.clone(), f64::from(weight) / 100.0);
        if let Some(abort) = memory.state.abort {
            self.abort.gauge(labels.and("reason", abort.why), 1.0);
        }
    }
}

/// The phases of Argo Rollouts' metrics.
const PHASES: [&str; 7] = [
    "Completed",
    "Progressing",
    "Paused",
    "Timeout",
    "Error",
    "Abort",
    INVALID,
];

/// Argo Rollouts' phase of a Rollout: by the reason of its Progressing condition.
fn phase(rollout: &Rollout) -> &'static str {
    let status = rollout.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let conditions = conditions.map(|list| &list.0[..]).unwrap_or_default();
    let text = |condition: &crate::api::Free, field: &str| {
        let value = condition.0.get(field).and_then(Value::as_str);
        value.unwrap_or_default().to_string()
    };
    let of = |kind: &str| conditions.iter().find(|found| text(found, "type") == kind);
    if of(INVALID).is_some() {
        return INVALID;
    }
    let reason = of("Progressing").map(|found| text(found, "reason"));
    match reason.as_deref() {
        Some("NewReplicaSetAvailable") => "Completed",
        Some("RolloutPaused") => "Paused",
        Some("FailedCreate" | "ReplicaSetCreateError") => "Error",
        Some("ProgressDeadlineExceeded") => "Timeout",
        Some("RolloutAborted") => "Abort",
        _ => "Progressing",
    }
}

/// The strategy, and the router that moves its traffic.
fn strategy(rollout: &Rollout) -> (&'static str, &'static str) {
    const ROUTERS: [(&str, &str); 6] = [
        ("alb", "ALB"),
        ("ambassador", "Ambassador"),
        ("istio", "Istio"),
        ("nginx", "Nginx"),
        ("smi", "SMI"),
        ("appMesh", "AppMesh"),
    ];
    let strategy = rollout.spec.strategy.as_ref();
    let field = |name: &str| strategy.and_then(|strategy| strategy.0.get(name));
    if field("blueGreen").is_some() {
        return ("blueGreen", "");
    }
    let Some(canary) = field("canary") else {
        return ("none", "");
    };
    let has = |router: &str| canary["trafficRouting"].get(router).is_some();
    let router = ROUTERS.into_iter().find(|(field, _)| has(field));
    ("canary", router.map_or("", |(_, name)| name))
}

fn steps(rollout: &Rollout) -> i32 {
    let strategy = rollout.spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.0.get("canary"));
    let steps = canary.and_then(|canary| canary["steps"].as_array());
    steps.map_or(0, |steps| i32::try_from(steps.len()).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rollout(spec: Value, status: Value) -> Rollout {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": "web"}, "spec": spec, "status": status,
        });
        serde_json::from_value(object).expect("a Rollout")
    }

    fn with_reason(kind: &str, reason: &str) -> Rollout {
        let conditions = json!([
            {"type": "Available", "reason": "AvailableReason"},
            {"type": kind, "reason": reason},
        ]);
        rollout(json!({}), json!({ "conditions": conditions }))
    }

    #[test]
    fn the_phase_is_by_the_reason_of_the_progressing_condition() {
        for (reason, expected) in [
            ("NewReplicaSetAvailable", "Completed"),
            ("RolloutPaused", "Paused"),
            ("ProgressDeadlineExceeded", "Timeout"),
            ("RolloutAborted", "Abort"),
            ("ReplicaSetUpdated", "Progressing"),
        ] {
            assert_eq!(phase(&with_reason("Progressing", reason)), expected);
        }
    }

    #[test]
    fn a_refused_rollout_is_in_the_phase_of_an_invalid_spec() {
        assert_eq!(phase(&with_reason(INVALID, INVALID)), INVALID);
    }

    #[test]
    fn the_strategy_and_its_router_are_told() {
        let with = |strategy: Value| rollout(json!({ "strategy": strategy }), json!({}));
        let routed = json!({"canary": {"trafficRouting": {"istio": {}}}});
        for (spec, expected) in [
            (routed, ("canary", "Istio")),
            (json!({"canary": {}}), ("canary", "")),
            (json!({"blueGreen": {}}), ("blueGreen", "")),
            (json!({}), ("none", "")),
        ] {
            assert_eq!(strategy(&with(spec)), expected);
        }
    }
}

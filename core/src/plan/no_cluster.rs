//! A plan where there is no cluster: what it asks for that only a cluster can do, and the filter in
//! place of whichever router it names.

use super::{Plan, Router, Step, WasmRouter, WorkloadName, limits, scaling};
use crate::field::{FieldError, FieldErrors};

impl Plan {
    /// The plan as it is carried out without a cluster: the filter moves the traffic, whichever
    /// router is named. What makes no difference there becomes a notice.
    ///
    /// # Errors
    /// What only a cluster can do, and what the filter would refuse.
    pub fn without_cluster(mut self) -> Result<Plan, FieldErrors> {
        let refused = self.cluster_only();
        if !refused.is_empty() {
            return Err(FieldErrors(refused));
        }
        if self.router == Router::ReplicaRatio && self.max_surge.is_some() {
            self.notices.push(scaling::no_effect("maxSurge"));
        }
        if self.max_unavailable.is_some() {
            self.notices.push(scaling::no_effect("maxUnavailable"));
        }
        let idle = self.without_effect();
        self.notices.extend(idle);
        let router = match self.router {
            Router::Wasm(wasm) => wasm,
            Router::Istio(_) | Router::ReplicaRatio => WasmRouter::default(),
        };
        limits::check(Plan {
            router: Router::Wasm(router),
            ..self
        })
    }

    fn without_effect(&self) -> Vec<String> {
        let run_metadata = self
            .analyses()
            .any(|(_, analysis)| !analysis.metadata.is_empty());
        let by_revision = matches!(&self.router,
            Router::Wasm(wasm) if wasm.workload_name == WorkloadName::Revision);
        let asked = [
            (self.anti_affinity.is_some(), "antiAffinity"),
            (!self.canary_metadata.is_empty(), "canaryMetadata"),
            (!self.stable_metadata.is_empty(), "stableMetadata"),
            (run_metadata, "analysisRunMetadata"),
            (by_revision, "workloadName"),
        ];
        let asked = asked.into_iter().filter(|(asked, _)| *asked);
        asked
            .map(|(_, field)| format!("{field} has no effect without a cluster"))
            .collect()
    }

    /// The fields that only a cluster can carry out, with what is accepted without one.
    pub fn cluster_only(&self) -> Vec<FieldError> {
        let asked = [
            (self.restart_at.is_some(), "restartAt"),
            (self.ping_pong.is_some(), "strategy.canary.pingPong"),
        ];
        let asked = asked.into_iter().filter(|(asked, _)| *asked);
        let asked = asked.map(|(_, name)| name.to_string());
        let mirrors = self.steps.iter().enumerate().filter(|(_, step)| {
            matches!(step, Step::AddMirrorRoute(_) | Step::RemoveMirrorRoute(_))
        });
        let mirrors = mirrors.map(|(i, _)| format!("strategy.canary.steps[{i}].setMirrorRoute"));
        let refused = asked.chain(mirrors).map(|name| FieldError {
            path: format!("spec.{name}"),
            message: "needs a cluster, expected it to be absent".to_string(),
        });
        refused.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::AntiAffinity;
    use super::*;
    use crate::time::Timestamp;

    fn plan(routing: Value, regex: &str) -> Plan {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "strategy": {"canary": {
                    "stableService": "shop", "canaryService": "shop-canary",
                    "trafficRouting": routing,
                    "steps": [{"setHeaderRoute": {"name": "a", "match": [
                        {"headerName": "x", "headerValue": {"regex": regex}}]}}],
                }},
            },
        });
        Plan::parse(&document, "default").unwrap()
    }

    fn istio() -> Value {
        json!({"istio": {"virtualService": {"name": "shop"}}, "managedRoutes": [{"name": "a"}]})
    }

    #[test]
    fn the_filter_moves_the_traffic_whichever_router_is_named() {
        let plan = plan(istio(), "a+").without_cluster().unwrap();
        assert_eq!(plan.router, Router::Wasm(WasmRouter::default()));
    }

    #[test]
    fn what_needs_a_cluster_is_refused_by_its_field() {
        let mut plan = plan(istio(), "a+");
        plan.restart_at = Some(Timestamp(1));
        let refused = plan.without_cluster().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "spec.restartAt: needs a cluster, expected it to be absent"
        );
    }

    #[test]
    fn what_makes_no_difference_is_told() {
        let mut plan = plan(istio(), "a+");
        plan.anti_affinity = Some(AntiAffinity::Required);
        let plan = plan.without_cluster().unwrap();
        assert_eq!(
            plan.notices,
            ["antiAffinity has no effect without a cluster"]
        );
    }

    #[test]
    fn what_istio_matches_and_the_filter_cannot_is_refused_without_a_cluster() {
        let refused = plan(istio(), r"\p{Greek}+").without_cluster().unwrap_err();
        let at = "spec.strategy.canary.steps[0].setHeaderRoute.any[0].all[0].is.regex: is";
        assert!(refused.to_string().starts_with(at), "{refused}");
    }
}

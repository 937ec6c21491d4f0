//! Rollouts that the controller would refuse.

use super::Finding;
use super::files::{Files, NoPlan};
use crate::kubernetes::workload;

pub(super) fn check(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (rollout, plan) in &files.rollouts {
        match plan {
            Ok(_) => {}
            Err(NoPlan::Refused(errors)) => {
                findings.extend(errors.0.iter().map(|error| rollout.error(error)));
            }
            Err(NoPlan::Elsewhere(reference)) => {
                let (kind, _) = workload::resource(reference.kind);
                findings.push(rollout.warning(format_args!(
                    "spec.workloadRef: {} {:?} is not among these files, so nothing else of this \
                     Rollout is looked at, expected it here too",
                    kind.kind, reference.name
                )));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{shop, told};

    #[test]
    fn each_field_that_is_refused_is_told() {
        let found = told(&shop(&json!({"nginx": {}, "managedRoutes": 1})));
        assert_eq!(found.len(), 3, "{found:#?}");
        assert_eq!(
            found[0],
            "error: all.yaml document 1: Rollout web/shop: spec.strategy.canary.trafficRouting: has \
             router nginx, which is not supported, expected istio or plugins: {serin/wasm: {}}"
        );
    }

    #[test]
    fn a_template_is_looked_for_among_the_files() {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {"strategy": {"canary": {"steps": [{"setWeigth": 1}]}},
                "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}},
        });
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}}},
        });
        let found = told(&rollout.to_string());
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let elsewhere = "warning: all.yaml document 1: Rollout default/shop: spec.workloadRef: \
                         Deployment \"shop\" is not among these files";
        assert!(only.starts_with(elsewhere), "{only}");
        // In a list, as kubectl get writes it.
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [rollout, deployment]});
        let found = told(&list.to_string());
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        assert!(only.contains("steps[0].setWeigth: is 1"), "{only}");
    }
}

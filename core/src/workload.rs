//! A Deployment whose template a Rollout has taken over: how far the Rollout is comes in, how many
//! pods the Deployment should have goes out.

use crate::plan::{Plan, ScaleDown};
use crate::step::Phase;

/// How many pods the Deployment that `spec.workloadRef` names should have; none: it is left as it
/// is.
///
/// Only the first revision takes pods over: afterwards the Deployment may have been scaled for
/// another reason. `revision` is that of the version asked for and `ready` are its ready pods. While
/// none is ready nothing is taken away.
pub fn deployment_replicas(plan: &Plan, revision: u64, phase: Phase, ready: u32) -> Option<u32> {
    let scale_down = plan.workload_ref.as_ref()?.scale_down;
    match scale_down {
        _ if revision != 1 => None,
        ScaleDown::Never => None,
        ScaleDown::OnSuccess | ScaleDown::Progressively if phase == Phase::Healthy => Some(0),
        ScaleDown::Progressively if ready > 0 => Some(plan.replicas.saturating_sub(ready)),
        ScaleDown::OnSuccess | ScaleDown::Progressively => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Workload;

    fn replicas(scale_down: &str, revision: u64, phase: Phase, ready: u32) -> Option<u32> {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "replicas": 4,
                "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop",
                    "scaleDown": scale_down},
                "strategy": {"canary": {}},
            },
        });
        let template = json!({"metadata": {"labels": {"app": "shop"}}});
        let selector = json!({"matchLabels": {"app": "shop"}});
        let workload = Workload {
            template: &template,
            selector: Some(&selector),
        };
        let plan = Plan::parse_with(&document, "default", Some(workload)).unwrap();
        deployment_replicas(&plan, revision, phase, ready)
    }

    #[test]
    fn pods_go_once_the_first_revision_is_healthy() {
        assert_eq!(replicas("onsuccess", 1, Phase::Progressing, 3), None);
        assert_eq!(replicas("onsuccess", 1, Phase::Healthy, 4), Some(0));
        assert_eq!(replicas("never", 1, Phase::Healthy, 4), None);
    }

    #[test]
    fn or_one_for_each_that_is_ready() {
        let left = |phase, ready| replicas("progressively", 1, phase, ready);
        assert_eq!(left(Phase::Progressing, 0), None);
        assert_eq!(left(Phase::Progressing, 1), Some(3));
        assert_eq!(
            left(Phase::Degraded, 2),
            Some(2),
            "they come back as the others go"
        );
        assert_eq!(left(Phase::Progressing, 6), Some(0));
        assert_eq!(left(Phase::Healthy, 4), Some(0));
    }

    #[test]
    fn later_revisions_leave_it_alone() {
        assert_eq!(replicas("onsuccess", 2, Phase::Healthy, 4), None);
        assert_eq!(replicas("progressively", 2, Phase::Progressing, 2), None);
    }
}

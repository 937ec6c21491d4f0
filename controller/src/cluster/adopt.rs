//! ReplicaSets that nobody controls are the Rollout's again, with their pods: those of one that was
//! deleted with `--cascade=orphan` and applied again, and one whose owner somebody took away.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::{Selector, SelectorExt as _};
use serde_json::{Value, json};
use serin_core::plan::Plan;

use super::reconcile::{Pass, PassError};
use super::{owned, sets};

impl Pass<'_> {
    /// Adopts those whose name and labels are those of a version of the Rollout; whether there were
    /// any, and what is held does not show it yet. One that cannot be adopted keeps nothing else from
    /// being done.
    pub(super) async fn adopt(&self, plan: &Plan, selector: &Value) -> Result<bool, PassError> {
        let free = self.context.watched.free_sets();
        let free: Vec<_> = free
            .iter()
            .filter(|set| self.may_adopt(plan, selector, set))
            .collect();
        // Whatever a Rollout that is gone adopts goes with it.
        if free.is_empty() || !self.is_there().await? {
            return Ok(false);
        }
        let mut adopted = false;
        for set in free {
            let name = set.name_any();
            match self.own(plan, set).await {
                Ok(()) => {
                    adopted = true;
                    tracing::info!(rollout = plan.name, set = name, "adopted");
                }
                // Gone, or refused for good as far as anybody knows.
                Err(kube::Error::Api(status)) if [403, 404, 422].contains(&status.code) => {
                    let why = format!("ReplicaSet {name} cannot be adopted: {}", status.message);
                    if self.context.fail(self.uid, Some(why.clone())) {
                        tracing::warn!(rollout = plan.name, why, "not adopted");
                    }
                }
                Err(error) => {
                    return Err(PassError::api(format!("adopt ReplicaSet {name}"))(error));
                }
            }
        }
        Ok(adopted)
    }

    async fn own(&self, plan: &Plan, set: &ReplicaSet) -> kube::Result<()> {
        let mut owners = json!(set.owner_references());
        if let Some(owners) = owners.as_array_mut() {
            owners.push(sets::owner(plan, self.uid));
        }
        let patch = json!({"metadata": {
            "resourceVersion": set.resource_version(), "ownerReferences": owners,
        }});
        let client = self.context.client.clone();
        let api: Api<ReplicaSet> = Api::namespaced(client, &plan.namespace);
        let (name, params) = (set.name_any(), PatchParams::default());
        api.patch(&name, &params, &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// Whether a ReplicaSet is a version of the Rollout that nobody controls.
    pub(super) fn may_adopt(&self, plan: &Plan, selector: &Value, set: &ReplicaSet) -> bool {
        owned::controller(set) == owned::NOBODY && is_version_of(plan, selector, set)
    }

    /// Whether the API server has the Rollout now, and nobody has deleted it.
    async fn is_there(&self) -> Result<bool, PassError> {
        let named = format!("metadata.name={}", self.rollout.name_any());
        let listed = self
            .rollouts()
            .list(&ListParams::default().fields(&named))
            .await;
        let listed = listed.map_err(PassError::api("look for the Rollout"))?;
        Ok(listed.iter().any(|rollout| {
            rollout.uid().as_deref() == Some(self.uid)
                && rollout.metadata.deletion_timestamp.is_none()
        }))
    }
}

fn is_version_of(plan: &Plan, selector: &Value, set: &ReplicaSet) -> bool {
    let Some(hash) = sets::hash_of(set) else {
        return false;
    };
    let selector: Option<LabelSelector> = serde_json::from_value(selector.clone()).ok();
    let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
    set.namespace().as_ref() == Some(&plan.namespace)
        && set.name_any() == sets::name(plan, hash)
        && set.metadata.deletion_timestamp.is_none()
        && selector
            .is_some_and(|selector| !selector.selects_all() && selector.matches(set.labels()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, labels: &Value, namespace: &str) -> ReplicaSet {
        let set = json!({
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"selector": {}},
        });
        serde_json::from_value(set).expect("a ReplicaSet")
    }

    #[test]
    fn a_version_has_the_rollouts_name_its_labels_and_a_hash() {
        let template = json!({"metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]}});
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template,
                "strategy": {"canary": {}}},
        });
        let plan = Plan::parse(&rollout, "web").expect("a plan");
        let selector = &rollout["spec"]["selector"];
        let is = |set: &ReplicaSet| is_version_of(&plan, selector, set);
        let labels = json!({"app": "shop", "rollouts-pod-template-hash": "abc"});
        assert!(is(&set("shop-abc", &labels, "web")));
        assert!(!is(&set("cart-abc", &labels, "web")));
        assert!(!is(&set("shop-abc", &labels, "other")));
        assert!(!is(&set("shop-abc", &json!({"app": "shop"}), "web")));
        let other = json!({"app": "cart", "rollouts-pod-template-hash": "abc"});
        assert!(!is(&set("shop-abc", &other, "web")));
        assert!(!is_version_of(
            &plan,
            &json!({}),
            &set("shop-abc", &labels, "web")
        ));
    }
}

//! Where a Rollout's pod template is written: in the Rollout, or in the object that it refers to.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplate;
use kube::api::{ApiResource, DynamicObject};
use serde_json::Value;
use serin_core::plan::WorkloadKind;

use super::ClusterError;
use crate::api::Rollout;

/// The object with the template.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// Its kind, as a user reads it.
    pub kind: &'static str,
    /// Where the API has it.
    pub resource: ApiResource,
    /// Its name.
    pub name: String,
    /// Where in it the template is, as JSON pointers have it.
    pub pointer: &'static str,
}

impl Workload {
    /// That of this Rollout.
    ///
    /// # Errors
    /// If it refers to an object of a kind that has no template.
    pub(super) fn of(rollout: &Rollout) -> Result<Workload, ClusterError> {
        let Some(reference) = &rollout.spec.workload_ref else {
            return Ok(Workload {
                kind: "rollout",
                resource: ApiResource::erase::<Rollout>(&()),
                name: rollout.metadata.name.clone().unwrap_or_default(),
                pointer: IN_SPEC,
            });
        };
        let text = |field: &str| {
            reference
                .0
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (kind, of) = match text("kind") {
            "Deployment" => ("deployment", WorkloadKind::Deployment),
            "ReplicaSet" => ("replica set", WorkloadKind::ReplicaSet),
            "PodTemplate" => ("pod template", WorkloadKind::PodTemplate),
            other => return Err(ClusterError::UnknownWorkload(other.to_string())),
        };
        let (resource, pointer) = resource(of);
        Ok(Workload {
            kind,
            resource,
            name: text("name").to_string(),
            pointer,
        })
    }

    /// The template in the object.
    pub(super) fn template<'a>(&self, object: &'a DynamicObject) -> &'a Value {
        object.data.pointer(self.pointer).unwrap_or(&Value::Null)
    }
}

/// Where the API has a kind of workload, and where in it the template is, as JSON pointers have it.
pub(crate) fn resource(kind: WorkloadKind) -> (ApiResource, &'static str) {
    match kind {
        WorkloadKind::Deployment => (ApiResource::erase::<Deployment>(&()), IN_SPEC),
        WorkloadKind::ReplicaSet => (ApiResource::erase::<ReplicaSet>(&()), IN_SPEC),
        WorkloadKind::PodTemplate => (ApiResource::erase::<PodTemplate>(&()), "/template"),
    }
}

/// Where most objects have their pod template.
const IN_SPEC: &str = "/spec/template";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_template_is_where_the_rollout_says() {
        for (reference, path) in [
            (
                Value::Null,
                "/apis/argoproj.io/v1alpha1 rollouts shop /spec/template",
            ),
            (
                json!({"kind": "Deployment", "name": "web"}),
                "/apis/apps/v1 deployments web /spec/template",
            ),
            (
                json!({"kind": "ReplicaSet", "name": "web"}),
                "/apis/apps/v1 replicasets web /spec/template",
            ),
            (
                json!({"kind": "PodTemplate", "name": "web"}),
                "/api/v1 podtemplates web /template",
            ),
        ] {
            let workload = Workload::of(&rollout(&reference)).unwrap();
            let resource = &workload.resource;
            let base = if resource.group.is_empty() {
                "/api"
            } else {
                "/apis/"
            };
            let seen = format!(
                "{base}{}{}{} {} {} {}",
                resource.group,
                "/",
                resource.version,
                resource.plural,
                workload.name,
                workload.pointer
            );
            assert_eq!(seen, path);
        }
        let error = Workload::of(&rollout(&json!({"kind": "Job", "name": "web"}))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.workloadRef.kind is \"Job\", expected Deployment, ReplicaSet or PodTemplate"
        );
    }

    fn rollout(reference: &Value) -> Rollout {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop"}, "spec": {"workloadRef": reference},
        });
        serde_json::from_value(rollout).unwrap()
    }
}

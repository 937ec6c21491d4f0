//! `spec.workloadRef`: the object that has the pods' template instead of the Rollout.

use serde_json::Value;

use crate::field::{Field, FieldErrors, Report};

/// The object whose pod template a Rollout takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadRef {
    /// `apps/v1`, or `v1` for a PodTemplate.
    pub api_version: String,
    /// What it is.
    pub kind: WorkloadKind,
    /// Its name, in the Rollout's namespace.
    pub name: String,
    /// What becomes of its own pods.
    pub scale_down: ScaleDown,
}

/// The kinds that have a pod template to refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Its pods may be scaled down as the Rollout's come.
    Deployment,
    /// Only its template is of use.
    ReplicaSet,
    /// Only a template.
    PodTemplate,
}

/// When a Deployment's own pods go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleDown {
    /// They stay.
    #[default]
    Never,
    /// Once the Rollout's first revision is healthy.
    OnSuccess,
    /// One for each ready pod of the Rollout's first revision.
    Progressively,
}

/// The object that a [`WorkloadRef`] leads to, as far as a plan needs it.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    /// Its pod template: `spec.template`, a PodTemplate's `template`.
    pub template: &'a Value,
    /// Its `spec.selector`, taken where the Rollout has none; a PodTemplate has none either.
    pub selector: Option<&'a Value>,
}

impl WorkloadKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::ReplicaSet => "ReplicaSet",
            WorkloadKind::PodTemplate => "PodTemplate",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            WorkloadKind::Deployment | WorkloadKind::ReplicaSet => "apps/v1",
            WorkloadKind::PodTemplate => "v1",
        }
    }
}

impl WorkloadRef {
    /// The reference in a Rollout as written, for whoever is to find the object; none where the
    /// Rollout has its own template.
    ///
    /// # Errors
    /// What is wrong with the reference.
    pub fn of(rollout: &Value) -> Result<Option<WorkloadRef>, FieldErrors> {
        let report = Report::default();
        let found = match Field::root("", rollout, &report).optional("spec") {
            Some(spec) => read(&spec),
            None => Some(None),
        };
        report.finish(found)
    }
}

/// Reads an optional `workloadRef`.
pub(super) fn read(spec: &Field<'_>) -> Option<Option<WorkloadRef>> {
    let Some(field) = spec.optional("workloadRef") else {
        return Some(None);
    };
    field.only(&["apiVersion", "kind", "name", "scaleDown"]);
    let version = field.required("apiVersion", "apps/v1 or v1");
    let name = field
        .required("name", "the workload's name")
        .and_then(|name| name.name().map(str::to_string));
    let kind = field
        .required("kind", KINDS)
        .and_then(|kind| self::kind(&kind));
    let scale_down = match field.optional("scaleDown") {
        Some(field) => scale_down(&field, kind),
        None => Some(ScaleDown::Never),
    };
    let (kind, version) = (kind?, version?);
    if version.value().as_str() != Some(kind.api_version()) {
        version.expected(format_args!(
            "{} for a {}",
            kind.api_version(),
            kind.as_str()
        ));
    }
    Some(Some(WorkloadRef {
        api_version: kind.api_version().to_string(),
        kind,
        name: name?,
        scale_down: scale_down?,
    }))
}

const KINDS: &str = "Deployment, ReplicaSet or PodTemplate";

fn kind(field: &Field<'_>) -> Option<WorkloadKind> {
    let all = [
        WorkloadKind::Deployment,
        WorkloadKind::ReplicaSet,
        WorkloadKind::PodTemplate,
    ];
    let written = field.value().as_str();
    let found = all.into_iter().find(|kind| Some(kind.as_str()) == written);
    if found.is_none() {
        field.expected(KINDS);
    }
    found
}

fn scale_down(field: &Field<'_>, kind: Option<WorkloadKind>) -> Option<ScaleDown> {
    let read = match field.value().as_str() {
        Some("" | "never") => ScaleDown::Never,
        Some("onsuccess") => ScaleDown::OnSuccess,
        Some("progressively") => ScaleDown::Progressively,
        _ => {
            field.expected("never, onsuccess or progressively");
            return None;
        }
    };
    if read != ScaleDown::Never && kind.is_some_and(|kind| kind != WorkloadKind::Deployment) {
        field.expected("never (only a Deployment can be scaled down)");
    }
    Some(read)
}

/// Argo Rollouts' idea of a template that is not there: one without labels and annotations.
pub(super) fn is_template(template: &Value) -> bool {
    let any = |name: &str| {
        let map = template.pointer(&format!("/metadata/{name}"));
        map.and_then(Value::as_object)
            .is_some_and(|map| !map.is_empty())
    };
    any("labels") || any("annotations")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Plan;
    use super::*;

    fn rollout(reference: Value) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {"workloadRef": reference, "strategy": {"canary": {}}},
        })
    }

    fn deployment() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"})
    }

    fn template() -> Value {
        json!({"metadata": {"labels": {"app": "shop"}}, "spec": {}})
    }

    fn refusal(rollout: &Value, workload: Option<Workload<'_>>) -> String {
        let refused = Plan::parse_with(rollout, "default", workload).unwrap_err();
        refused.to_string()
    }

    #[test]
    fn template_and_selector_are_those_of_the_workload() {
        let (template, selector) = (template(), json!({"matchLabels": {"app": "shop"}}));
        let workload = Workload {
            template: &template,
            selector: Some(&selector),
        };
        let mut reference = deployment();
        reference["scaleDown"] = json!("onsuccess");
        let plan = Plan::parse_with(&rollout(reference), "default", Some(workload)).unwrap();
        assert_eq!(plan.template, template);
        assert_eq!(plan.selector.labels["app"], "shop");
        let reference = plan.workload_ref.unwrap();
        assert_eq!(reference.scale_down, ScaleDown::OnSuccess);
        assert_eq!(reference.kind, WorkloadKind::Deployment);
    }

    #[test]
    fn the_rollouts_own_selector_comes_first() {
        let template = template();
        let selector = json!({"matchLabels": {"app": "shop"}});
        let mut own = rollout(deployment());
        own["spec"]["selector"] = json!({"matchLabels": {"app": "other"}});
        let workload = Workload {
            template: &template,
            selector: Some(&selector),
        };
        assert_eq!(
            refusal(&own, Some(workload)),
            "spec.selector.matchLabels: has app: \"other\", expected a label that \
             spec.template.metadata.labels carries"
        );
    }

    #[test]
    fn a_rollout_has_a_template_or_a_reference_to_one() {
        let mut both = rollout(deployment());
        both["spec"]["template"] = template();
        assert_eq!(
            refusal(&both, None),
            "spec.template: stands beside workloadRef, expected one of them"
        );
        let mut neither = rollout(Value::Null);
        neither["spec"]["selector"] = json!({"matchLabels": {"app": "shop"}});
        assert_eq!(
            refusal(&neither, None),
            "spec.template: is missing, expected a pod template, or a workloadRef to an object that \
             has one"
        );
        assert_eq!(
            refusal(&rollout(deployment()), None),
            "spec.workloadRef: names Deployment \"shop\", which is not here, expected one that is, \
             or the pod template in spec.template"
        );
    }

    #[test]
    fn an_empty_template_beside_a_reference_is_none() {
        let (template, selector) = (template(), json!({"matchLabels": {"app": "shop"}}));
        let workload = Workload {
            template: &template,
            selector: Some(&selector),
        };
        let mut empty = rollout(deployment());
        empty["spec"]["template"] =
            json!({"metadata": {"creationTimestamp": null}, "spec": {"containers": []}});
        let plan = Plan::parse_with(&empty, "default", Some(workload)).unwrap();
        assert_eq!(plan.template, template);
    }

    #[test]
    fn a_reference_is_found_before_its_object_is() {
        let found = WorkloadRef::of(&rollout(deployment())).unwrap().unwrap();
        assert_eq!((found.kind.as_str(), &*found.name), ("Deployment", "shop"));
        assert_eq!(WorkloadRef::of(&json!({"spec": {}})).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_refused_by_its_field() {
        for (reference, told) in [
            (
                json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "shop"}),
                ".kind: is \"StatefulSet\", expected Deployment, ReplicaSet or PodTemplate",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Deployment", "name": "shop"}),
                ".apiVersion: is \"v1\", expected apps/v1 for a Deployment",
            ),
            (
                json!({"apiVersion": "v1", "kind": "PodTemplate", "name": "shop",
                    "scaleDown": "onsuccess"}),
                ".scaleDown: is \"onsuccess\", expected never (only a Deployment can be scaled down)",
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop",
                    "scaleDown": "onSuccess"}),
                ".scaleDown: is \"onSuccess\", expected never, onsuccess or progressively",
            ),
        ] {
            let refused = WorkloadRef::of(&rollout(reference)).unwrap_err();
            assert_eq!(refused.to_string(), format!("spec.workloadRef{told}"));
        }
    }
}

//! What pods and analysis runs carry beside their template: labels and annotations by role, and
//! whether versions share nodes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::field::Field;
use crate::revision::HASH_LABEL;

/// Labels and annotations that are added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// `antiAffinity`: whether pods of a new version keep away from nodes with stable ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AntiAffinity {
    /// If that can be, with this weight (1 to 100).
    Preferred(u32),
    /// In any case.
    Required,
}

impl Metadata {
    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}

/// Reads an optional `{labels, annotations}`.
pub(super) fn metadata(parent: &Field<'_>, name: &str) -> Option<Metadata> {
    let Some(field) = parent.optional(name) else {
        return Some(Metadata::default());
    };
    field.only(&["labels", "annotations"]);
    let map = |name: &str| match field.optional(name) {
        Some(map) => texts(&map),
        None => Some(BTreeMap::new()),
    };
    let read = Metadata {
        labels: map("labels")?,
        annotations: map("annotations")?,
    };
    for (key, value) in &read.labels {
        if !is_key(key) || !is_label_value(value) {
            field.refuse(format_args!(
                "has label {key}: {value:?}, expected a name and a value of at most 63 letters, \
                 digits and any of - _ . inside"
            ));
        }
        if key == HASH_LABEL {
            field.refuse(format_args!(
                "has label {key}, expected it to be absent (it tells the versions apart)"
            ));
        }
    }
    if let Some(key) = read.annotations.keys().find(|key| !is_key(key)) {
        field.refuse(format_args!(
            "has annotation {key:?}, expected a name of at most 63 letters, digits and any of \
             - _ . inside"
        ));
    }
    Some(read)
}

fn texts(map: &Field<'_>) -> Option<BTreeMap<String, String>> {
    let entries = map.object()?.keys().map(|key| {
        let value = map.required(key, "a string")?.string()?;
        Some((key.clone(), value.to_string()))
    });
    let entries: Vec<_> = entries.collect();
    entries.into_iter().collect()
}

/// A name as Kubernetes has them: `name`, or `dns.prefix/name`.
fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => {
            !prefix.is_empty() && prefix.split('.').all(is_part) && is_part(name)
        }
        None => is_part(key),
    }
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_part(value)
}

fn is_part(text: &str) -> bool {
    const LONGEST: usize = 63;
    let outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.len() <= LONGEST
        && text.bytes().all(inner)
        && outer(text.bytes().next())
        && outer(text.bytes().last())
}

/// Reads an optional `antiAffinity`.
pub(super) fn anti_affinity(canary: &Field<'_>) -> Option<Option<AntiAffinity>> {
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let Some(field) = canary.optional("antiAffinity") else {
        return Some(None);
    };
    field.only(&[PREFERRED, REQUIRED]);
    let read = match (field.optional(PREFERRED), field.optional(REQUIRED)) {
        (Some(preferred), None) => {
            preferred.only(&["weight"]);
            let weight = preferred.required("weight", "a weight from 1 to 100")?;
            let weight = weight.integer(1, 100)?;
            AntiAffinity::Preferred(u32::try_from(weight).ok()?)
        }
        (None, Some(required)) => {
            required.only(&[]);
            AntiAffinity::Required
        }
        _ => {
            field.expected(format_args!("exactly one of {PREFERRED}, {REQUIRED}"));
            return None;
        }
    };
    Some(Some(read))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Plan, Step};
    use super::*;

    fn parse(fields: Value) -> Result<Plan, String> {
        let mut canary = json!({});
        for (name, value) in fields.as_object().unwrap() {
            canary[name] = value.clone();
        }
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "strategy": {"canary": canary},
            },
        });
        Plan::parse(&document, "default").map_err(|errors| errors.to_string())
    }

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_string(), value.to_string())])
    }

    #[test]
    fn roles_add_labels_and_annotations() {
        let plan = parse(json!({
            "canaryMetadata": {"labels": {"example.com/role": "canary"}},
            "stableMetadata": {"annotations": {"role": "stable, for long"}},
        }));
        let plan = plan.unwrap();
        assert_eq!(
            plan.canary_metadata.labels,
            one("example.com/role", "canary")
        );
        assert_eq!(
            plan.stable_metadata.annotations,
            one("role", "stable, for long")
        );
        assert!(parse(json!({})).unwrap().canary_metadata.is_empty());
    }

    #[test]
    fn analysis_runs_have_metadata_too() {
        let steps = json!([{"analysis": {"templates": [{"templateName": "ok"}],
            "analysisRunMetadata": {"labels": {"team": "web"}}}}]);
        let plan = parse(json!({ "steps": steps })).unwrap();
        let Step::Analysis(analysis) = &plan.steps[0] else {
            panic!("{:?}", plan.steps)
        };
        assert_eq!(analysis.metadata.labels, one("team", "web"));
    }

    #[test]
    fn versions_keep_apart_if_they_can_or_in_any_case() {
        let preferred = json!({"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 7}});
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {}});
        let read = |rule: Value| parse(json!({"antiAffinity": rule})).unwrap().anti_affinity;
        assert_eq!(read(preferred), Some(AntiAffinity::Preferred(7)));
        assert_eq!(read(required), Some(AntiAffinity::Required));
    }

    #[test]
    fn what_is_wrong_is_refused_by_its_field() {
        for (fields, told) in [
            (
                json!({"canaryMetadata": {"labels": {"role": 1}}}),
                ".canaryMetadata.labels.role: is 1, expected a string",
            ),
            (
                json!({"canaryMetadata": {"labels": {"role": "a b"}}}),
                ".canaryMetadata: has label role: \"a b\", expected a name and a value of at most 63 \
                 letters, digits and any of - _ . inside",
            ),
            (
                json!({"stableMetadata": {"labels": {"rollouts-pod-template-hash": "x"}}}),
                ".stableMetadata: has label rollouts-pod-template-hash, expected it to be absent (it \
                 tells the versions apart)",
            ),
            (
                json!({"stableMetadata": {"annotations": {"/a": "x"}}}),
                ".stableMetadata: has annotation \"/a\", expected a name of at most 63 letters, \
                 digits and any of - _ . inside",
            ),
            (
                json!({"canaryMetadata": {"labels": {"app": "canary"}}}),
                "spec: strategy.canary.canaryMetadata changes a label that selector asks for, \
                 expected others",
            ),
            (
                json!({"antiAffinity": {}}),
                ".antiAffinity: is {}, expected exactly one of \
                 preferredDuringSchedulingIgnoredDuringExecution, \
                 requiredDuringSchedulingIgnoredDuringExecution",
            ),
            (
                json!({"antiAffinity":
                    {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 101}}}),
                ".antiAffinity.preferredDuringSchedulingIgnoredDuringExecution.weight: is 101, \
                 expected a whole number from 1 to 100",
            ),
        ] {
            let refused = parse(fields).unwrap_err();
            let told_of = refused.strip_prefix("spec.strategy.canary");
            assert_eq!(told_of.unwrap_or(&refused), told);
        }
    }
}

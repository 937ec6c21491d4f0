//! Telemetry for all proxies of the mesh, of which Istio heeds one.

use serde_json::Value;
use serin_core::wire::DESTINATION_WORKLOAD;

use super::Finding;
use super::files::{Files, Object};

/// Whether the canary has its name in Istio's metrics.
pub(super) enum Tags {
    /// It has.
    Here,
    /// No Telemetry among the files gives it one.
    Missing,
    /// One does, and Istio may heed these in its place.
    Doubtful(Vec<String>),
}

pub(super) fn check(files: &Files) -> Vec<Finding> {
    let all: Vec<&Object> = for_all(files).collect();
    let Some((first, others)) = all.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Vec::new();
    };
    let others: Vec<&str> = others.iter().map(|other| other.name()).collect();
    vec![first.error(format_args!(
        "spec: has no selector, and neither has {} in the root namespace {:?}: Istio heeds one of \
         them, the oldest, and nothing of the others, expected all in one",
        others.join(", "),
        files.root_namespace
    ))]
}

/// Whether the canary has its name in Istio's metrics.
pub(super) fn tags(files: &Files) -> Tags {
    let (naming, others): (Vec<&Object>, Vec<&Object>) =
        for_all(files).partition(|object| names_canary(&object.value));
    match (naming.is_empty(), others.is_empty()) {
        (true, _) => Tags::Missing,
        (false, true) => Tags::Here,
        (false, false) => {
            let names = others.iter().map(|other| other.name().to_string());
            Tags::Doubtful(names.collect())
        }
    }
}

/// Those in the root namespace that choose no workloads.
fn for_all(files: &Files) -> impl Iterator<Item = &Object> {
    let chooses = |object: &Object| {
        let fields = ["selector", "targetRef", "targetRefs"].into_iter();
        fields
            .map(|field| &object.value["spec"][field])
            .any(|value| match value {
                Value::Array(list) => !list.is_empty(),
                other => !other.is_null(),
            })
    };
    files
        .of_kind("Telemetry")
        .filter(move |object| object.namespace() == files.root_namespace && !chooses(object))
}

/// Whether the name that the filter leaves with a request is a tag.
fn names_canary(telemetry: &Value) -> bool {
    let text = telemetry["spec"]["metrics"].to_string();
    text.contains(DESTINATION_WORKLOAD)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::told;

    fn telemetry(name: &str, namespace: &str, spec: &Value) -> String {
        let object = json!({
            "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec,
        });
        format!("{object}\n---\n")
    }

    #[test]
    fn two_for_the_whole_mesh_are_one_too_many() {
        let root = "istio-system";
        let chosen = json!({"selector": {"matchLabels": {"app": "a"}}});
        let first = telemetry("a", root, &json!({}));
        let fine = [
            first.clone(),
            telemetry("b", root, &chosen),
            telemetry("c", "web", &json!({})),
        ];
        assert_eq!(told(&fine.concat()), [""; 0]);
        let found = told(&[first, telemetry("d", root, &json!({}))].concat());
        assert_eq!(
            found,
            [
                "error: all.yaml document 1: Telemetry istio-system/a: spec: has no selector, and \
              neither has d in the root namespace \"istio-system\": Istio heeds one of them, the \
              oldest, and nothing of the others, expected all in one"
            ]
        );
    }
}

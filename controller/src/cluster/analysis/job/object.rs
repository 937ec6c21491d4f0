//! The Job of one measurement: its run, its metric and its number in, the object out.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use serin_core::analysis::JobTemplate;

/// On Jobs and their pods: the uid of the run.
const UID: &str = "analysisrun.argoproj.io/uid";
const RUN: &str = "analysisrun.argoproj.io/name";
const NAMESPACE: &str = "analysisrun.argoproj.io/namespace";
const METRIC: &str = "analysisrun.argoproj.io/metric-name";

/// The longest value of a label, which a Job's name becomes.
const LONGEST_NAME: usize = 63;

/// Which measurement a Job is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement<'a> {
    /// The run's name.
    pub(crate) run: &'a str,
    /// The run's namespace.
    pub(crate) namespace: &'a str,
    /// The run's uid.
    pub(crate) uid: &'a str,
    /// The metric.
    pub(crate) metric: &'a str,
    /// How many measurements there were of the metric, with this one.
    pub(crate) number: u32,
}

/// The Job as Argo Rollouts makes it.
pub(crate) fn object(of: &Measurement<'_>, template: &JobTemplate) -> Value {
    let mut labels = template.labels.clone();
    labels.insert(UID.to_string(), of.uid.to_string());
    let mut annotations = template.annotations.clone();
    for (key, value) in [
        (RUN, of.run),
        (NAMESPACE, of.namespace),
        (METRIC, of.metric),
    ] {
        annotations.insert(key.to_string(), value.to_string());
    }
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": name(of), "namespace": of.namespace,
            "labels": labels, "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
                "name": of.run, "uid": of.uid, "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": with_label(&template.spec, of.uid),
    })
}

/// The spec, with the run's uid on its pods.
fn with_label(spec: &Value, uid: &str) -> Value {
    let mut spec = spec.clone();
    let mut fields = &mut spec;
    for name in ["template", "metadata", "labels"] {
        if !fields[name].is_object() {
            fields[name] = json!({});
        }
        fields = &mut fields[name];
    }
    fields[UID] = json!(uid);
    spec
}

/// `<uid>.<metric>.<number>`. The same measurement has the same name, so a Job that was created and
/// not recorded is found again. A metric's name that is too long is cut and tells by its hash which
/// it was: two metrics that begin alike have Jobs of their own.
fn name(of: &Measurement<'_>) -> String {
    let Measurement {
        uid,
        metric,
        number,
        ..
    } = of;
    let whole = format!("{uid}.{metric}.{number}");
    if whole.len() <= LONGEST_NAME {
        return whole;
    }
    let hash = serin_core::revision::hash(&json!(metric));
    let excess = whole.len() + hash.len() - LONGEST_NAME;
    let mut end = metric.len().saturating_sub(excess);
    while !metric.is_char_boundary(end) {
        end -= 1;
    }
    let cut = metric.get(..end).unwrap_or_default();
    format!("{uid}.{cut}{hash}.{number}")
}

/// Whether a Job that was found is the one that was to be created.
pub(super) fn is_same(found: &DynamicObject, wanted: &DynamicObject) -> bool {
    let told = |job: &DynamicObject| {
        let uid = job.labels().get(UID).cloned();
        (uid, job.annotations().get(METRIC).cloned())
    };
    told(found) == told(wanted) && found.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Measurement<'static> = Measurement {
        run: "shop-1",
        namespace: "web",
        uid: "123e4567-e89b-12d3-a456-426614174000",
        metric: "smoke",
        number: 2,
    };

    #[test]
    fn a_job_is_what_argo_rollouts_makes() {
        let template = JobTemplate {
            labels: [("mine".to_string(), "yes".to_string())].into(),
            annotations: Default::default(),
            spec: json!({"backoffLimit": 0, "template": {"metadata": null, "spec": {"x": 1}}}),
        };
        let name = "123e4567-e89b-12d3-a456-426614174000.smoke.2";
        assert_eq!(
            object(&OF, &template),
            json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {
                    "name": name, "namespace": "web",
                    "labels": {"mine": "yes", UID: OF.uid},
                    "annotations": {RUN: "shop-1", NAMESPACE: "web", METRIC: "smoke"},
                    "ownerReferences": [{
                        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
                        "name": "shop-1", "uid": OF.uid,
                        "controller": true, "blockOwnerDeletion": true,
                    }],
                },
                "spec": {"backoffLimit": 0, "template": {
                    "metadata": {"labels": {UID: OF.uid}}, "spec": {"x": 1}}},
            })
        );
    }

    #[test]
    fn metrics_that_begin_alike_have_jobs_of_their_own() {
        let of = |metric: &str| {
            let name = name(&Measurement { metric, ..OF });
            assert!(name.len() <= LONGEST_NAME, "{name}");
            assert!(name.ends_with(".2"), "{name}");
            name
        };
        let long = "integration-test-of-the-checkout-that-is";
        assert_ne!(of(&format!("{long}-good")), of(&format!("{long}-bad")));
        of(&"ä".repeat(40));
        assert_eq!(of("x2345678901234567890abcd").len(), LONGEST_NAME);
    }
}

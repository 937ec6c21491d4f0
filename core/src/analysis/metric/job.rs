//! `provider.job`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::field::Field;

/// A Kubernetes Job that is made for each measurement. How it ends is the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobTemplate {
    /// Labels of the Job.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Job.
    pub annotations: BTreeMap<String, String>,
    /// Its spec as written; what it may say is the API server's to judge.
    pub spec: Value,
}

pub(super) fn read(field: &Field<'_>) -> Option<JobTemplate> {
    field.only(&["metadata", "spec"]);
    let metadata = field.optional("metadata");
    let texts = |name| {
        let found = metadata
            .as_ref()
            .and_then(|metadata| metadata.optional(name));
        found.map(|found| texts(&found)).unwrap_or_default()
    };
    let (labels, annotations) = (texts("labels"), texts("annotations"));
    let spec = field.required("spec", "the spec of a Job")?;
    spec.required("template", "the template of a pod")?
        .object()?;
    Some(JobTemplate {
        labels,
        annotations,
        spec: spec.value().clone(),
    })
}

fn texts(field: &Field<'_>) -> BTreeMap<String, String> {
    let fields = field.object().into_iter().flatten();
    let text = |(name, value): (&String, &Value)| {
        let text = field.beside(name, value).string()?.to_string();
        Some((name.clone(), text))
    };
    fields.filter_map(text).collect()
}

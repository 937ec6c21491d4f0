//! References to analysis templates, in a step and beside the steps.

use super::{AnalysisRef, TemplateRef, pods};
use crate::field::Field;
use serde_json::Value;

/// Reads an analysis; `also` are further fields that the place allows.
pub(super) fn read(analysis: &Field<'_>, also: &[&str]) -> Option<AnalysisRef> {
    let mut known = vec![
        "templates",
        "args",
        "dryRun",
        "measurementRetention",
        "analysisRunMetadata",
    ];
    known.extend(also);
    analysis.object()?;
    analysis.only(&known);
    let templates = analysis.required("templates", "a list of templateName")?;
    let refs: Vec<_> = templates.list().iter().map(template).collect();
    if refs.is_empty() && templates.value().is_array() {
        templates.expected("at least one template");
        return None;
    }
    let args = entries(analysis, "args", argument);
    let dry_run = entries(analysis, "dryRun", |rule| {
        rule.only(&["metricName"]);
        rule.required("metricName", "a regular expression for metric names")?
            .name()
            .map(drop)
    });
    let measurement_retention = entries(analysis, "measurementRetention", |rule| {
        rule.only(&["metricName", "limit"]);
        rule.required("metricName", "a regular expression for metric names")?
            .name()?;
        rule.required("limit", "a number of measurements")?
            .integer(0, i64::from(i32::MAX))
            .map(drop)
    });
    let metadata = pods::metadata(analysis, "analysisRunMetadata");
    Some(AnalysisRef {
        templates: refs.into_iter().collect::<Option<_>>()?,
        args: args?,
        dry_run: dry_run?,
        measurement_retention: measurement_retention?,
        metadata: metadata?,
    })
}

fn template(entry: &Field<'_>) -> Option<TemplateRef> {
    entry.only(&["templateName", "clusterScope"]);
    let name = entry
        .required("templateName", "an AnalysisTemplate's name")?
        .name()?;
    let cluster_scope = entry
        .optional("clusterScope")
        .map_or(Some(false), |f| f.boolean())?;
    Some(TemplateRef {
        name: name.to_string(),
        cluster_scope,
    })
}

/// The entries of an optional list as they stand, if each passes `check`.
fn entries(
    analysis: &Field<'_>,
    name: &str,
    check: impl Fn(&Field<'_>) -> Option<()>,
) -> Option<Vec<Value>> {
    let Some(list) = analysis.optional(name) else {
        return Some(Vec::new());
    };
    let read: Vec<_> = list
        .list()
        .iter()
        .map(|entry| check(entry).map(|()| entry.value().clone()))
        .collect();
    read.into_iter().collect()
}

/// An argument: a name with a value, or with the place its value is read from.
fn argument(entry: &Field<'_>) -> Option<()> {
    entry.only(&["name", "value", "valueFrom"]);
    entry.required("name", "an argument's name")?.name()?;
    match (entry.optional("value"), entry.optional("valueFrom")) {
        (Some(value), None) => value.string().map(drop),
        (None, Some(from)) => source(&from),
        _ => {
            entry.expected("a value or a valueFrom");
            None
        }
    }
}

fn source(from: &Field<'_>) -> Option<()> {
    from.only(&["podTemplateHashValue", "fieldRef"]);
    match (
        from.optional("podTemplateHashValue"),
        from.optional("fieldRef"),
    ) {
        (Some(hash), None) => {
            let good = matches!(hash.value().as_str(), Some("Latest" | "Stable"));
            if !good {
                hash.expected("Latest or Stable");
            }
            good.then_some(())
        }
        (None, Some(field)) => {
            field.only(&["fieldPath"]);
            field
                .required("fieldPath", "a path such as metadata.name")?
                .name()
                .map(drop)
        }
        _ => {
            from.expected("podTemplateHashValue or fieldRef");
            None
        }
    }
}

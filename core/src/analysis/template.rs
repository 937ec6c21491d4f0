//! AnalysisTemplate and ClusterAnalysisTemplate documents.

use serde_json::Value;
use std::collections::BTreeSet;

use super::argument::{Argument, template_arguments};
use super::metric::{Args, Metric};
use super::resolve::kind;
use crate::field::{Field, FieldErrors, Report};
use crate::plan::TemplateRef;

/// A template: metrics whose arguments are not filled in yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`; none where the document names none.
    pub namespace: Option<String>,
    /// Whether it is a ClusterAnalysisTemplate.
    pub cluster_scope: bool,
    pub(super) args: Vec<Argument>,
    /// As written: `{{args.x}}` may stand in any text.
    pub(super) metrics: Vec<Value>,
    pub(super) dry_run: Vec<Value>,
    pub(super) measurement_retention: Vec<Value>,
    pub(super) templates: Vec<TemplateRef>,
}

const SPEC_FIELDS: [&str; 5] = [
    "metrics",
    "args",
    "dryRun",
    "measurementRetention",
    "templates",
];

impl Template {
    /// What it is.
    pub fn kind(&self) -> &'static str {
        kind(self.cluster_scope)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Every field that is wrong or not supported, with its value and what is accepted.
    pub fn parse(document: &Value) -> Result<Template, FieldErrors> {
        let report = Report::default();
        let root = Field::root("", document, &report);
        let template = read(&root);
        report.finish(template)
    }
}

fn read(root: &Field<'_>) -> Option<Template> {
    let metadata = root.required("metadata", "a name");
    let name = metadata.as_ref().and_then(|metadata| {
        metadata
            .required("name", "a name")?
            .name()
            .map(str::to_string)
    });
    let namespace = metadata
        .as_ref()
        .and_then(|metadata| metadata.optional("namespace"));
    let cluster_scope = root.required("kind", "AnalysisTemplate or ClusterAnalysisTemplate");
    let cluster_scope = cluster_scope.and_then(|kind| match kind.value().as_str() {
        Some("AnalysisTemplate") => Some(false),
        Some("ClusterAnalysisTemplate") => Some(true),
        _ => {
            kind.expected("AnalysisTemplate or ClusterAnalysisTemplate");
            None
        }
    });
    let spec = root.required("spec", "metrics")?;
    spec.only(&SPEC_FIELDS);
    let dry_run = rules(&spec, "dryRun", |_| ());
    let measurement_retention = rules(&spec, "measurementRetention", |rule| {
        if let Some(limit) = rule.required("limit", "how many measurements are kept") {
            limit.integer(i64::from(i32::MIN), i64::from(i32::MAX));
        }
    });
    let templates = spec
        .optional("templates")
        .map(|f| template_refs(&f))
        .unwrap_or_default();
    let metrics = metrics(&spec, templates.is_empty());
    Some(Template {
        args: spec
            .optional("args")
            .map(|f| template_arguments(&f))
            .unwrap_or_default(),
        namespace: namespace.and_then(|f| f.name().map(str::to_string)),
        cluster_scope: cluster_scope?,
        name: name?,
        metrics,
        dry_run,
        measurement_retention,
        templates,
    })
}

fn metrics(spec: &Field<'_>, needed: bool) -> Vec<Value> {
    const AT_LEAST_ONE: &str = "at least one metric";
    let field = match spec.optional("metrics") {
        Some(field) => field,
        None => {
            if needed {
                spec.required("metrics", AT_LEAST_ONE);
            }
            return Vec::new();
        }
    };
    let all = field.list();
    if all.is_empty() && needed && field.value().is_array() {
        field.expected(AT_LEAST_ONE);
    }
    let mut seen = BTreeSet::new();
    for metric in &all {
        if let Some(read) = Metric::read(metric, Args::Open)
            && !seen.insert(read.name)
            && let Some(name) = metric.optional("name")
        {
            name.expected("a name that no other metric has");
        }
    }
    all.iter().map(|metric| metric.value().clone()).collect()
}

fn template_refs(field: &Field<'_>) -> Vec<TemplateRef> {
    let read = |each: Field<'_>| {
        each.only(&["templateName", "clusterScope"]);
        let cluster_scope = each.optional("clusterScope").and_then(|f| f.boolean());
        Some(TemplateRef {
            name: each
                .required("templateName", "a template's name")?
                .name()?
                .to_string(),
            cluster_scope: cluster_scope.unwrap_or(false),
        })
    };
    field.list().into_iter().filter_map(read).collect()
}

/// Rules that choose metrics by a pattern in `metricName`.
fn rules(spec: &Field<'_>, name: &str, more: impl Fn(&Field<'_>)) -> Vec<Value> {
    let Some(field) = spec.optional(name) else {
        return Vec::new();
    };
    let all = field.list();
    for rule in &all {
        let known: &[&str] = if name == "dryRun" {
            &["metricName"]
        } else {
            &["metricName", "limit"]
        };
        rule.only(known);
        rule.required("metricName", "a pattern of metric names")
            .and_then(|f| f.name());
        more(rule);
    }
    all.iter().map(|rule| rule.value().clone()).collect()
}

#[cfg(test)]
mod tests;

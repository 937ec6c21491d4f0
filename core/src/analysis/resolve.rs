//! From templates and a Rollout's arguments to the metrics of one run.

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::argument::{ArgContext, Source, rollout_arguments, substitute};
use super::metric::{Args, DEFAULT_RETENTION, Metric};
use super::template::Template;
use crate::field::{Field, FieldErrors, Report};
use crate::plan::{AnalysisRef, TemplateRef};

/// What a run measures; fixed when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Its metrics, arguments filled in.
    pub metrics: Vec<Metric>,
}

impl RunSpec {
    /// The first metric that goes on until the run is terminated: a run with one cannot be a step.
    pub fn endless(&self) -> Option<&Metric> {
        self.metrics
            .iter()
            .find(|metric| metric.effective_count().is_none())
    }
}

/// Why a run cannot begin; it ends in Error with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A template that is not there.
    #[error("{kind} {name:?} is not there", kind = kind(*.cluster_scope))]
    NoTemplate {
        /// Its name.
        name: String,
        /// Whether it is a ClusterAnalysisTemplate.
        cluster_scope: bool,
    },
    /// Nothing to measure.
    #[error("the templates have no metric, expected at least one")]
    NoMetrics,
    /// Two metrics of one name.
    #[error("metric {0:?} is in two templates, expected a name that no other metric has")]
    MetricTwice(String),
    /// Two templates that disagree about an argument.
    #[error("args.{0} has two different values in the templates, expected one")]
    ArgumentTwice(String),
    /// An argument without a value.
    #[error("args.{0} was not resolved (give it a value in the Rollout's args)")]
    NoValue(String),
    /// An argument whose value cannot be had.
    #[error("args.{name} {why}")]
    NoSource {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// Two rules of one name.
    #[error("{list}: metricName {name:?} is there twice, expected once")]
    RuleTwice {
        /// `dryRun` or `measurementRetention`.
        list: &'static str,
        /// The rule.
        name: String,
    },
    /// A rule for nothing.
    #[error("{list}[{index}]: Rule didn't match any metric name(s)")]
    RuleForNothing {
        /// `dryRun` or `measurementRetention`.
        list: &'static str,
        /// Its place.
        index: usize,
    },
    /// A metric whose text cannot be filled in.
    #[error("metric {metric:?}: {why}")]
    Unfilled {
        /// The metric.
        metric: String,
        /// Why.
        why: String,
    },
    /// Fields that are wrong once arguments are filled in.
    #[error(transparent)]
    Fields(#[from] FieldErrors),
}

fn kind(cluster_scope: bool) -> &'static str {
    if cluster_scope {
        "ClusterAnalysisTemplate"
    } else {
        "AnalysisTemplate"
    }
}

/// Makes the spec of a run. `templates` are all that the Rollout may refer to.
///
/// # Errors
/// Why the run cannot begin.
pub fn resolve(
    templates: &[Template],
    analysis: &AnalysisRef,
    context: &ArgContext<'_>,
) -> Result<RunSpec, ResolveError> {
    let used = chosen(templates, &analysis.templates)?;
    let args = argument_values(&used, analysis, *context)?;
    let mut metrics = Vec::new();
    for written in used.iter().flat_map(|template| &template.metrics) {
        metrics.push(filled(written, &args)?);
    }
    unique_names(&metrics)?;
    let dry_run = used
        .iter()
        .flat_map(|template| &template.dry_run)
        .chain(&analysis.dry_run);
    for rule in rules("dryRun", dry_run, &metrics)? {
        for metric in metrics.iter_mut().filter(|metric| rule.matches(metric)) {
            metric.dry_run = true;
        }
    }
    let retention = used
        .iter()
        .flat_map(|template| &template.measurement_retention);
    let retention = retention.chain(&analysis.measurement_retention);
    for rule in rules("measurementRetention", retention, &metrics)? {
        let limit = rule
            .limit
            .filter(|limit| *limit > 0)
            .unwrap_or(DEFAULT_RETENTION);
        for metric in metrics.iter_mut().filter(|metric| rule.matches(metric)) {
            metric.retention = limit;
        }
    }
    Ok(RunSpec { metrics })
}

/// The `spec` of an AnalysisRun as Argo Rollouts writes it: metrics as they stand in their templates,
/// and the arguments with their values. [`read`] makes a [`RunSpec`] of it.
///
/// # Errors
/// Why the run cannot begin.
pub fn document(
    templates: &[Template],
    analysis: &AnalysisRef,
    context: &ArgContext<'_>,
) -> Result<Value, ResolveError> {
    resolve(templates, analysis, context)?;
    let used = chosen(templates, &analysis.templates)?;
    let args = argument_values(&used, analysis, *context)?;
    let args = args
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    let all = |list: fn(&Template) -> &Vec<Value>, more: &[Value]| {
        let lists = used.iter().flat_map(|template| list(template));
        lists.chain(more).cloned().collect::<Vec<_>>()
    };
    let mut spec = json!({
        "metrics": all(|template| &template.metrics, &[]),
        "args": args.collect::<Vec<_>>(),
        "dryRun": all(|template| &template.dry_run, &analysis.dry_run),
        "measurementRetention":
            all(|template| &template.measurement_retention, &analysis.measurement_retention),
    });
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|_, list| list.as_array().is_some_and(|list| !list.is_empty()));
    }
    Ok(spec)
}

/// Reads the `spec` of an AnalysisRun, whoever wrote it.
///
/// # Errors
/// Why the run cannot go on.
pub fn read(spec: &Value) -> Result<RunSpec, ResolveError> {
    const NAME: &str = "run";
    let mut fields = spec.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|field, _| !["terminate", "ttlStrategy"].contains(&field.as_str()));
    }
    let kind = "AnalysisTemplate";
    let document = json!({"kind": kind, "metadata": {"name": NAME}, "spec": fields});
    let analysis = AnalysisRef {
        templates: vec![TemplateRef {
            name: NAME.to_string(),
            cluster_scope: false,
        }],
        ..AnalysisRef::default()
    };
    let context = ArgContext {
        latest_hash: "",
        stable_hash: "",
        rollout: &Value::Null,
    };
    resolve(&[Template::parse(&document)?], &analysis, &context)
}

/// The templates referred to and those they refer to, each once: first those of the namespace,
/// then those of the cluster. A template that refers to itself ends nothing and adds nothing.
fn chosen<'a>(
    templates: &'a [Template],
    refs: &[TemplateRef],
) -> Result<Vec<&'a Template>, ResolveError> {
    let mut found: Vec<&Template> = Vec::new();
    let mut open: Vec<&TemplateRef> = refs.iter().rev().collect();
    while let Some(wanted) = open.pop() {
        let is_it = |template: &&Template| {
            template.name == wanted.name && template.cluster_scope == wanted.cluster_scope
        };
        if found.iter().any(is_it) {
            continue;
        }
        let template = templates
            .iter()
            .find(is_it)
            .ok_or_else(|| ResolveError::NoTemplate {
                name: wanted.name.clone(),
                cluster_scope: wanted.cluster_scope,
            })?;
        found.push(template);
        open.extend(template.templates.iter().rev());
    }
    found.sort_by_key(|template| template.cluster_scope);
    Ok(found)
}

fn argument_values(
    used: &[&Template],
    analysis: &AnalysisRef,
    context: ArgContext<'_>,
) -> Result<BTreeMap<String, String>, ResolveError> {
    let mut sources: BTreeMap<&str, Option<Source>> = BTreeMap::new();
    for declared in used.iter().flat_map(|template| &template.args) {
        let known = sources.entry(&declared.name).or_default();
        match (&known, &declared.source) {
            (Some(known), Some(other)) if known != other => {
                return Err(ResolveError::ArgumentTwice(declared.name.clone()));
            }
            (_, None) => {}
            (_, Some(source)) => *known = Some(source.clone()),
        }
    }
    let written = Value::Array(analysis.args.clone());
    let report = Report::default();
    let given = rollout_arguments(&Field::root("args", &written, &report));
    for argument in report.finish(Some(given))? {
        // What no template declares is dropped, as users of shared argument lists expect.
        if let (Some(declared), Some(source)) =
            (sources.get_mut(argument.name.as_str()), argument.source)
        {
            *declared = Some(source);
        }
    }
    let value = |(name, source): (&str, Option<Source>)| {
        let source = source.ok_or_else(|| ResolveError::NoValue(name.to_string()))?;
        let value = source
            .value(context)
            .map_err(|why| ResolveError::NoSource {
                name: name.to_string(),
                why,
            })?;
        Ok((name.to_string(), value))
    };
    sources.into_iter().map(value).collect()
}

fn filled(written: &Value, args: &BTreeMap<String, String>) -> Result<Metric, ResolveError> {
    let name = written
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let value = substitute(written, args).map_err(|why| ResolveError::Unfilled {
        metric: name.to_string(),
        why,
    })?;
    let report = Report::default();
    let field = Field::root(&format!("metrics[{name}]"), &value, &report);
    let metric = Metric::read(&field, Args::Filled);
    Ok(report.finish(metric)?)
}

fn unique_names(metrics: &[Metric]) -> Result<(), ResolveError> {
    if metrics.is_empty() {
        return Err(ResolveError::NoMetrics);
    }
    let mut seen = BTreeSet::new();
    match metrics.iter().find(|metric| !seen.insert(&metric.name)) {
        Some(twice) => Err(ResolveError::MetricTwice(twice.name.clone())),
        None => Ok(()),
    }
}

/// A rule for the metrics whose name holds a match of its pattern anywhere.
struct Rule {
    pattern: Regex,
    limit: Option<usize>,
}

impl Rule {
    fn matches(&self, metric: &Metric) -> bool {
        self.pattern.is_match(&metric.name)
    }
}

/// The rules of `list`, each of which must choose a metric: one that is no pattern, such as `*`,
/// chooses none.
fn rules<'a>(
    list: &'static str,
    written: impl Iterator<Item = &'a Value>,
    metrics: &[Metric],
) -> Result<Vec<Rule>, ResolveError> {
    let mut seen = BTreeSet::new();
    let mut rules = Vec::new();
    for (index, rule) in written.enumerate() {
        let name = rule
            .get("metricName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !seen.insert(name) {
            return Err(ResolveError::RuleTwice {
                list,
                name: name.to_string(),
            });
        }
        let limit = rule.get("limit").and_then(Value::as_u64);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let rule = Regex::new(name).ok().map(|pattern| Rule { pattern, limit });
        match rule.filter(|rule| metrics.iter().any(|metric| rule.matches(metric))) {
            Some(rule) => rules.push(rule),
            None => return Err(ResolveError::RuleForNothing { list, index }),
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests;

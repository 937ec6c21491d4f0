//! From templates and a Rollout's arguments to a draft.

use serde_json::Value;
use std::collections::BTreeMap;

use super::Draft;
use crate::analysis::argument::{ArgContext, ArgValue, Source, rollout_arguments};
use crate::analysis::resolve::ResolveError;
use crate::analysis::template::Template;
use crate::field::{Field, Report};
use crate::plan::{AnalysisRef, TemplateRef};

pub(super) fn gather(
    templates: &[Template],
    analysis: &AnalysisRef,
    context: ArgContext<'_>,
) -> Result<Draft, ResolveError> {
    let used = chosen(templates, &analysis.templates)?;
    // The Rollout's own rules come first, so a template's for the same metric overrules them.
    let all = |list: fn(&Template) -> &Vec<Value>, own: &[Value]| {
        let of_templates = used.iter().flat_map(|template| list(template));
        own.iter().chain(of_templates).cloned().collect()
    };
    Ok(Draft {
        args: argument_values(&used, analysis, context)?,
        metrics: all(|template| &template.metrics, &[]),
        dry_run: all(|template| &template.dry_run, &analysis.dry_run),
        measurement_retention: all(
            |template| &template.measurement_retention,
            &analysis.measurement_retention,
        ),
    })
}

/// The templates referred to and those they refer to, each once: first those of the namespace,
/// then those of the cluster. A template that refers to itself ends nothing and adds nothing.
pub(in crate::analysis) fn chosen<'a>(
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
) -> Result<BTreeMap<String, ArgValue>, ResolveError> {
    let mut sources: BTreeMap<&str, Option<Source>> = BTreeMap::new();
    for declared in used.iter().flat_map(|template| &template.args) {
        let known = sources.entry(&declared.name).or_default();
        match (&known, &declared.source) {
            (Some(Source::Value(known)), Some(Source::Value(other))) if known != other => {
                return Err(ResolveError::ArgumentTwice(declared.name.clone()));
            }
            // A value stays; of other sources the last counts.
            (Some(Source::Value(_)), _) | (_, None) => {}
            (_, Some(source)) => *known = Some(source.clone()),
        }
    }
    let written = Value::Array(analysis.args.clone());
    let report = Report::default();
    let given = rollout_arguments(&Field::root("args", &written, &report));
    for argument in report.finish(Some(given))? {
        // What no template declares is dropped, as users of shared argument lists expect.
        if let Some(declared) = sources.get_mut(argument.name.as_str()) {
            let nothing = || Source::Value(String::new());
            *declared = Some(argument.source.unwrap_or_else(nothing));
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

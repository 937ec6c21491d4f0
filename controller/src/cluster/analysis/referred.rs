//! The templates that a plan's analyses refer to, themselves and through other templates, and
//! whether they make runs: what cannot begin is told before a release, not in the middle of it.

use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use serin_core::analysis::ArgContext;
use serin_core::plan::{AnalysisRef, Plan, Step, TemplateRef};
use std::collections::BTreeSet;

use super::templates::Templates;
use crate::api::{AnalysisTemplateSpec, Free, FreeList};
use crate::cluster::watched::Watched;

/// The templates that these analyses refer to.
pub(crate) fn templates<'a>(
    watched: &Watched,
    namespace: &str,
    analyses: impl IntoIterator<Item = &'a AnalysisRef>,
) -> Templates {
    let (mut templates, mut seen) = (Templates::default(), BTreeSet::new());
    let direct = analyses
        .into_iter()
        .flat_map(|analysis| &analysis.templates);
    let mut open: Vec<(bool, String)> = direct.map(key).collect();
    while let Some((of_cluster, name)) = open.pop() {
        if !seen.insert((of_cluster, name.clone())) {
            continue;
        }
        let spec: AnalysisTemplateSpec = if of_cluster {
            let Some(template) = watched.cluster_templates.get(&ObjectRef::new(&name)) else {
                continue;
            };
            templates.add_of_cluster(&template);
            template.spec.template.clone()
        } else {
            let reference = ObjectRef::new(&name).within(namespace);
            let Some(template) = watched.templates.get(&reference) else {
                continue;
            };
            templates.add(&template);
            template.spec.clone()
        };
        open.extend(nested(spec.templates));
    }
    templates
}

fn key(template: &TemplateRef) -> (bool, String) {
    (template.cluster_scope, template.name.clone())
}

/// The other templates that a template names; what is wrong in them is told of the template.
fn nested(list: Option<FreeList>) -> Vec<(bool, String)> {
    let list = list.map(|FreeList(list)| list).unwrap_or_default();
    let named = list.into_iter().filter_map(|Free(reference)| {
        let name = reference.get("templateName").and_then(Value::as_str)?;
        let of_cluster = reference.get("clusterScope") == Some(&Value::Bool(true));
        Some((of_cluster, name.to_string()))
    });
    named.collect()
}

/// Why analyses of a plan cannot begin, each with its field.
pub(crate) fn trouble(watched: &Watched, plan: &Plan, rollout: &Value) -> Vec<String> {
    let background = plan.background.iter();
    let background = background.map(|background| (None, &background.analysis));
    let steps = plan.steps.iter().enumerate();
    let steps = steps.filter_map(|(index, step)| match step {
        Step::Analysis(analysis) => Some((Some(index), analysis)),
        _ => None,
    });
    let all: Vec<(Option<usize>, &AnalysisRef)> = background.chain(steps).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let analyses = all.iter().map(|(_, analysis)| *analysis);
    let templates = templates(watched, &plan.namespace, analyses);
    let context = ArgContext {
        latest_hash: "latest",
        stable_hash: "stable",
        rollout,
    };
    let trouble = all.into_iter().filter_map(|(step, analysis)| {
        let why = templates.trouble(analysis, step, &context)?;
        let canary = "spec.strategy.canary";
        Some(match step {
            Some(index) => format!("{canary}.steps[{index}].analysis: {why}"),
            None => format!("{canary}.analysis: {why}"),
        })
    });
    trouble.collect()
}

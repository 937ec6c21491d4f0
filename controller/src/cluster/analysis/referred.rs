//! The templates that a plan's analyses refer to, themselves and through other templates, and
//! whether they make runs: what cannot begin is told before a release, not in the middle of it.

use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use serin_core::analysis::ArgContext;
use serin_core::plan::{AnalysisRef, Plan, TemplateRef};
use serin_core::step::State;
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
        if of_cluster {
            let Some(template) = watched.cluster_templates.get(&ObjectRef::new(&name)) else {
                continue;
            };
            templates.add_of_cluster(&template);
            open.extend(nested(&template.spec.template));
        } else {
            let reference = ObjectRef::new(&name).within(namespace);
            let Some(template) = watched.templates.get(&reference) else {
                continue;
            };
            templates.add(&template);
            open.extend(nested(&template.spec));
        }
    }
    templates
}

fn key(template: &TemplateRef) -> (bool, String) {
    (template.cluster_scope, template.name.clone())
}

/// The other templates that a template names; what is wrong in them is told of the template.
fn nested(spec: &AnalysisTemplateSpec) -> Vec<(bool, String)> {
    let list = spec.templates.iter().flat_map(|FreeList(list)| list);
    let named = list.filter_map(|Free(reference)| {
        let name = reference.get("templateName").and_then(Value::as_str)?;
        let of_cluster = reference.get("clusterScope") == Some(&Value::Bool(true));
        Some((of_cluster, name.to_string()))
    });
    named.collect()
}

/// An analysis that cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The step that it is at; none: it runs beside the steps.
    pub step: Option<usize>,
    /// Why, with its field.
    pub why: String,
}

/// What is to be said of a plan's analyses.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Those that cannot begin.
    pub unfit: Vec<Unfit>,
    /// What their templates say that does not mean what it seems to.
    pub notices: Vec<String>,
}

/// Looks at the analyses of a plan.
pub(crate) fn look_at(watched: &Watched, plan: &Plan, rollout: &Value) -> Said {
    let all: Vec<(Option<usize>, &AnalysisRef)> = plan.analyses().collect();
    if all.is_empty() {
        return Said::default();
    }
    let analyses = || all.iter().map(|(_, analysis)| *analysis);
    let templates = templates(watched, &plan.namespace, analyses());
    let context = ArgContext {
        latest_hash: "latest",
        stable_hash: "stable",
        rollout,
    };
    let notices = templates.notices(analyses());
    let unfit = all.into_iter().filter_map(|(step, analysis)| {
        let why = templates.trouble(analysis, step, &context)?;
        let canary = "spec.strategy.canary";
        let why = match step {
            Some(index) => format!("{canary}.steps[{index}].analysis: {why}"),
            None => format!("{canary}.analysis: {why}"),
        };
        Some(Unfit { step, why })
    });
    Said {
        unfit: unfit.collect(),
        notices,
    }
}

/// What of it a release still has to do with, whose state is `state`, where a run at `step` is there
/// already if `is_begun`; nothing if no steps decide any more.
pub(crate) fn ahead<'u>(
    unfit: &'u [Unfit],
    state: &State,
    is_begun: impl Fn(Option<usize>) -> bool,
) -> Vec<&'u Unfit> {
    let in_flight = !state.stable.is_empty() && state.current != state.stable;
    if !in_flight || state.abort.is_some() || state.promote_full {
        return Vec::new();
    }
    let behind = |step: Option<usize>| step.is_some_and(|step| step < state.index);
    let ahead = unfit.iter();
    ahead
        .filter(|unfit| !behind(unfit.step) && !is_begun(unfit.step))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::step::Aborted;
    use serin_core::time::Timestamp;

    #[test]
    fn what_is_behind_or_begun_or_over_is_no_trouble() {
        let at = |step: Option<usize>| Unfit {
            step,
            why: format!("{step:?}"),
        };
        let unfit = [at(None), at(Some(1)), at(Some(3)), at(Some(5))];
        let state = State {
            stable: "one".into(),
            current: "two".into(),
            index: 3,
            ..State::default()
        };
        let steps = |state: &State, begun: Option<Option<usize>>| -> Vec<Option<usize>> {
            let ahead = ahead(&unfit, state, |step| begun == Some(step));
            ahead.iter().map(|unfit| unfit.step).collect()
        };
        assert_eq!(steps(&state, None), [None, Some(3), Some(5)]);
        assert_eq!(steps(&state, Some(Some(3))), [None, Some(5)]);
        assert_eq!(steps(&state, Some(None)), [Some(3), Some(5)]);
        let over = State {
            current: "one".into(),
            ..state.clone()
        };
        let full = State {
            promote_full: true,
            ..state.clone()
        };
        let aborted = State {
            abort: Some(Aborted {
                since: Timestamp(0),
                why: String::new(),
            }),
            ..state
        };
        for state in [over, full, aborted] {
            assert_eq!(steps(&state, None), []);
        }
    }
}

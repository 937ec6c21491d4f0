//! The templates that a run may refer to: objects in, what `core` gathers from out. One that cannot
//! be read is refused only where a run refers to it, with what is wrong in it.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::json;
use serin_core::analysis::{ArgContext, Draft, ResolveError, Template, traps};
use serin_core::field::FieldErrors;
use serin_core::plan::AnalysisRef;
use serin_core::step::WantedRun;

use crate::api::{AnalysisTemplate, ClusterAnalysisTemplate};
use crate::runs;

/// All templates of a namespace, and the cluster's.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    read: Vec<Template>,
    /// What is wrong with the others, by whether they are the cluster's and by name.
    unreadable: BTreeMap<(bool, String), FieldErrors>,
}

/// How a wanted run begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Beginning {
    /// Its spec; without metrics if the templates and arguments make none.
    pub draft: Draft,
    /// Why it cannot begin.
    pub refusal: Option<String>,
}

impl Templates {
    /// Adds a template of the namespace.
    pub(crate) fn add(&mut self, template: &AnalysisTemplate) {
        self.read("AnalysisTemplate", &template.name_any(), template);
    }

    /// Adds a template of the cluster.
    pub(crate) fn add_of_cluster(&mut self, template: &ClusterAnalysisTemplate) {
        self.read("ClusterAnalysisTemplate", &template.name_any(), template);
    }

    fn read(&mut self, kind: &str, name: &str, object: &impl Serialize) {
        let mut document = serde_json::to_value(object).unwrap_or_default();
        document["kind"] = json!(kind);
        match Template::parse(&document) {
            Ok(template) => self.read.push(template),
            Err(errors) => {
                let of_cluster = kind.starts_with("Cluster");
                self.unreadable
                    .insert((of_cluster, name.to_string()), errors);
            }
        }
    }

    /// Why an analysis cannot begin, at `step` or beside the steps. What a field of the Rollout is to
    /// give may come later, with the release.
    pub(super) fn trouble(
        &self,
        analysis: &AnalysisRef,
        step: Option<usize>,
        args: &ArgContext<'_>,
    ) -> Option<String> {
        match Draft::draw_up(&self.read, analysis, args) {
            Ok(draft) => Some(refusal(&draft, step)?.to_string()),
            Err(ResolveError::NoSource { .. }) => None,
            Err(why) => Some(self.why(&why)),
        }
    }

    /// What those that these analyses use say that does not mean what it seems to.
    pub(super) fn notices<'a>(
        &self,
        analyses: impl IntoIterator<Item = &'a AnalysisRef>,
    ) -> Vec<String> {
        traps::notices(&self.read, analyses)
    }

    /// Draws up a wanted run; `args` are what its arguments may refer to.
    pub(super) fn begin(&self, wanted: &WantedRun, args: &ArgContext<'_>) -> Beginning {
        let draft = match Draft::draw_up(&self.read, &wanted.analysis, args) {
            Ok(draft) => draft,
            Err(why) => {
                return Beginning {
                    draft: Draft::default(),
                    refusal: Some(self.message(&why)),
                };
            }
        };
        Beginning {
            refusal: refusal(&draft, wanted.step).map(|why| why.message()),
            draft,
        }
    }

    /// The message of a run that has no draft.
    fn message(&self, error: &ResolveError) -> String {
        match error {
            ResolveError::NoTemplate { .. } => {
                format!("Analysis spec invalid: {}", self.why(error))
            }
            other => other.message(),
        }
    }

    /// Why there is no draft; what is wrong with a template says more than that it cannot be used.
    fn why(&self, error: &ResolveError) -> String {
        let errors = match error {
            ResolveError::NoTemplate {
                name,
                cluster_scope,
            } => self.unreadable.get(&(*cluster_scope, name.clone())),
            _ => None,
        };
        match (errors, error) {
            (Some(FieldErrors(errors)), ResolveError::NoTemplate { name, .. }) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                format!("template {name:?}: {}", errors.join("; "))
            }
            _ => error.to_string(),
        }
    }
}

/// Why a run with this draft cannot begin.
fn refusal(draft: &Draft, step: Option<usize>) -> Option<runs::Refusal> {
    let spec = draft.spec().map_err(runs::Refusal::from);
    spec.and_then(|spec| runs::fit(step, spec)).err()
}

/// Templates by their documents, for tests.
#[cfg(test)]
impl FromIterator<serde_json::Value> for Templates {
    fn from_iter<T: IntoIterator<Item = serde_json::Value>>(documents: T) -> Self {
        let mut templates = Templates::default();
        for document in documents {
            let kind = document["kind"].as_str().unwrap_or_default().to_string();
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            templates.read(&kind, name, &document);
        }
        templates
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serin_core::plan::TemplateRef;

    use super::*;

    fn begin(spec: Value, step: Option<usize>) -> Beginning {
        let template = json!({
            "kind": "AnalysisTemplate", "metadata": {"name": "errors"}, "spec": spec,
        });
        let wanted = WantedRun {
            name: "shop".into(),
            step,
            analysis: AnalysisRef {
                templates: vec![TemplateRef {
                    name: "errors".into(),
                    cluster_scope: false,
                }],
                ..AnalysisRef::default()
            },
        };
        let args = ArgContext {
            latest_hash: "two",
            stable_hash: "one",
            rollout: &json!({}),
        };
        Templates::from_iter([template]).begin(&wanted, &args)
    }

    fn metric(query: &str) -> Value {
        json!({"name": "m", "interval": "5s", "provider": {"prometheus": {"query": query}}})
    }

    #[test]
    fn a_template_with_errors_is_refused_with_them() {
        let begun = begin(
            json!({"metrics": [{"name": "m", "provider": {"wavefront": {}}}]}),
            None,
        );
        assert_eq!(begun.draft, Draft::default());
        let told = "Analysis spec invalid: template \"errors\": spec.metrics[0].provider.wavefront: is \
                    not supported, ";
        assert!(begun.refusal.unwrap().starts_with(told));
    }

    #[test]
    fn a_run_that_is_refused_later_shows_its_metrics() {
        let begun = begin(json!({"metrics": [metric("{{args.x}}")]}), None);
        assert_eq!(begun.draft.metrics, [metric("{{args.x}}")]);
        assert_eq!(
            begun.refusal.unwrap(),
            "Unable to resolve metric arguments: metric \"m\": failed to resolve {{args.x}}"
        );
    }

    #[test]
    fn what_cannot_begin_is_known_before_unless_a_field_is_to_tell() {
        let template = |args: Value| {
            let spec = json!({"metrics": [metric("{{args.x}}")], "args": args});
            json!({"kind": "AnalysisTemplate", "metadata": {"name": "errors"}, "spec": spec})
        };
        let analysis = |args: Value| AnalysisRef {
            templates: vec![TemplateRef {
                name: "errors".into(),
                cluster_scope: false,
            }],
            args: args.as_array().cloned().unwrap_or_default(),
            ..AnalysisRef::default()
        };
        let args = ArgContext {
            latest_hash: "two",
            stable_hash: "one",
            rollout: &json!({}),
        };
        let trouble = |documents: Vec<Value>, given: Value| {
            Templates::from_iter(documents).trouble(&analysis(given), None, &args)
        };
        let found = |why: Option<String>| why.unwrap_or_default();
        assert_eq!(
            found(trouble(vec![], json!([]))),
            "AnalysisTemplate \"errors\" is not there"
        );
        let named = || vec![template(json!([{"name": "x"}]))];
        assert_eq!(
            found(trouble(named(), json!([]))),
            "args.x was not resolved (give it a value in the Rollout's args)"
        );
        assert_eq!(
            trouble(named(), json!([{"name": "x", "value": "up"}])),
            None
        );
        let later = json!([{"name": "x", "valueFrom": {
            "fieldRef": {"fieldPath": "status.later"}}}]);
        assert_eq!(trouble(named(), later), None);
    }

    #[test]
    fn what_a_template_does_not_mean_is_told_where_it_is_used() {
        let template = json!({"kind": "AnalysisTemplate", "metadata": {"name": "errors"},
            "spec": {"metrics": [metric("up")]}});
        let analysis = AnalysisRef {
            templates: vec![TemplateRef {
                name: "errors".into(),
                cluster_scope: false,
            }],
            ..AnalysisRef::default()
        };
        let templates = Templates::from_iter([template]);
        assert_eq!(
            templates.notices([&analysis, &analysis]),
            [
                "AnalysisTemplate errors: spec.metrics[0]: has neither successCondition nor \
                 failureCondition: whatever is measured is Successful"
            ]
        );
        assert_eq!(templates.notices([]), [""; 0]);
    }

    #[test]
    fn a_step_does_not_wait_for_a_run_without_an_end() {
        let begun = begin(json!({"metrics": [metric("up")]}), Some(1));
        assert_eq!(
            begun.refusal.unwrap(),
            "Analysis spec invalid: metric \"m\" has an interval and no count and runs \
             indefinitely, expected a count in the analysis of a step"
        );
        let beside = begin(json!({"metrics": [metric("up")]}), None);
        assert_eq!(beside.refusal, None);
    }
}

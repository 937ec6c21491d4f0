//! The analyses of a Rollout, tried before the first run: what cannot begin is told when the files
//! are read, not in the middle of a release.

use serde_json::Value;
use serin_core::analysis::traps::notices;
use serin_core::analysis::{ArgContext, Draft, ResolveError, RunSpec, Template};
use serin_core::field::Report;
use serin_core::plan::{AnalysisRef, Plan, Step};

use super::{Key, Reader};
use crate::runs::Refusal;

impl Reader {
    /// Every template that a Rollout names must be there, and make a run that can begin.
    pub(super) fn templates(&self, rollout: &Value, plan: &Plan, report: &Report) {
        let templates = self.manifests.templates_for(&plan.namespace);
        let context = ArgContext {
            latest_hash: "latest",
            stable_hash: "stable",
            rollout,
        };
        let canary = "spec.strategy.canary";
        if let Some(background) = &plan.background {
            let path = format!("{canary}.analysis");
            if self.template_refs(&path, &background.analysis, plan, report) {
                self.run(
                    &path,
                    self.spec(&templates, &background.analysis, &context),
                    report,
                );
            }
        }
        for (i, step) in plan.steps.iter().enumerate() {
            if let Step::Analysis(analysis) = step {
                let path = format!("{canary}.steps[{i}].analysis");
                if !self.template_refs(&path, analysis, plan, report) {
                    continue;
                }
                let run = self.run(&path, self.spec(&templates, analysis, &context), report);
                if let Some(endless) = run.as_ref().and_then(RunSpec::endless) {
                    let metric = endless.name.clone();
                    report.add(&path, Refusal::Endless { metric });
                }
            }
        }
    }

    /// What the templates that a Rollout uses say that does not mean what it seems to.
    pub(super) fn traps(&self, plan: &Plan) -> Vec<String> {
        notices(
            &self.manifests.templates_for(&plan.namespace),
            plan.analyses().map(|(_, analysis)| analysis),
        )
    }

    fn spec(
        &self,
        templates: &[Template],
        analysis: &AnalysisRef,
        context: &ArgContext<'_>,
    ) -> Result<RunSpec, ResolveError> {
        let draft = Draft::draw_up(templates, analysis, context)?;
        draft.spec_without_cluster(self.secrets)
    }

    /// The run's spec; why there is none is reported, unless a template's own error says it.
    fn run(
        &self,
        path: &str,
        run: Result<RunSpec, ResolveError>,
        report: &Report,
    ) -> Option<RunSpec> {
        match run {
            Ok(run) => return Some(run),
            Err(ResolveError::NoTemplate { name, .. }) if self.was_refused(&name) => {}
            Err(error) => report.add(path, error),
        }
        None
    }

    /// Whether a template of this name is there and could not be read.
    fn was_refused(&self, template: &str) -> bool {
        let named = |(kind, key): &(String, Key)| kind.contains("Template") && key.name == template;
        self.seen.keys().any(named)
    }

    /// Whether every template is there; those that are not are reported.
    fn template_refs(
        &self,
        path: &str,
        analysis: &AnalysisRef,
        plan: &Plan,
        report: &Report,
    ) -> bool {
        let mut complete = true;
        for (i, template) in analysis.templates.iter().enumerate() {
            let (kind, key) = if template.cluster_scope {
                (
                    "ClusterAnalysisTemplate",
                    Key {
                        namespace: String::new(),
                        name: template.name.clone(),
                    },
                )
            } else {
                let namespace = plan.namespace.clone();
                (
                    "AnalysisTemplate",
                    Key {
                        namespace,
                        name: template.name.clone(),
                    },
                )
            };
            if !self.seen.contains_key(&(kind.to_string(), key)) {
                complete = false;
                report.add(
                    format_args!("{path}.templates[{i}].templateName"),
                    format_args!(
                        "is {:?}, expected the name of {} {kind} in these files",
                        template.name,
                        if template.cluster_scope { "a" } else { "an" },
                    ),
                );
            }
        }
        complete
    }
}

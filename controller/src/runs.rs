//! Analysis runs: wanted runs and templates in, measurements due out. Judging is `core`'s; who
//! measures is told through what [`Run::due`] returns and hands the result to [`Run::record`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_core::analysis::{
    self, ArgContext, Draft, LocalSecrets, Measured, Metric, ResolveError, RunSpec, RunStatus,
    Template,
};
use serin_core::plan::RunHistory;
use serin_core::step::WantedRun;
use serin_core::time::Timestamp;

/// One analysis run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its name.
    pub name: String,
    /// The template hash it was made for.
    pub revision: String,
    /// That version's number when it began: one that is asked for again gets a new one. None in a run
    /// that an older serin began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The step it belongs to; none: it runs beside the steps.
    pub step: Option<usize>,
    /// Since when it exists.
    pub created: Timestamp,
    /// What it measures, fixed when it began; none if it could not begin.
    pub spec: Option<RunSpec>,
    /// What its providers are made of at each measurement, with what Secrets hold by then; none in a
    /// run that an older serin began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Draft>,
    /// What came of it.
    pub status: RunStatus,
}

/// What a new run may refer to.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The templates.
    pub templates: &'a [Template],
    /// The Rollout's document.
    pub rollout: &'a Value,
    /// The canary's template hash.
    pub latest: &'a str,
    /// Its revision number.
    pub number: Option<u64>,
    /// The stable template hash.
    pub stable: &'a str,
    /// Where Secrets are.
    pub secrets: LocalSecrets,
    /// How many ended runs are remembered.
    pub history: RunHistory,
}

/// Why a run cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its templates and arguments make no run.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It would hold its step for ever.
    #[error(
        "metric {metric:?} has an interval and no count and runs indefinitely, expected a count in \
         the analysis of a step"
    )]
    Endless {
        /// The first such metric.
        metric: String,
    },
}

impl Refusal {
    /// The message of a run that cannot begin.
    pub fn message(&self) -> String {
        match self {
            Refusal::Resolve(error) => error.message(),
            Refusal::Endless { .. } => format!("Analysis spec invalid: {self}"),
        }
    }
}

/// The spec, if a run at `step` or, without one, beside the steps can have it.
///
/// # Errors
/// If it would never end although a step waits for it.
pub fn fit(step: Option<usize>, spec: RunSpec) -> Result<RunSpec, Refusal> {
    match step.and(spec.endless()) {
        Some(metric) => Err(Refusal::Endless {
            metric: metric.name.clone(),
        }),
        None => Ok(spec),
    }
}

impl Run {
    /// Begins a run; one that cannot begin has ended in Error.
    pub fn begin(wanted: &WantedRun, context: Context<'_>, now: Timestamp) -> Run {
        let args = ArgContext {
            latest_hash: context.latest,
            stable_hash: context.stable,
            rollout: context.rollout,
        };
        let draft = Draft::draw_up(context.templates, &wanted.analysis, &args);
        let begun = draft.map_err(Refusal::from).and_then(|draft| {
            let spec = draft.spec_without_cluster(context.secrets)?;
            Ok((fit(wanted.step, spec)?, draft))
        });
        let (begun, status) = match begun {
            Ok(begun) => (Some(begun), RunStatus::default()),
            Err(refusal) => (None, RunStatus::refused(refusal.message(), now)),
        };
        let (spec, draft) = begun.unzip();
        Run {
            name: wanted.name.clone(),
            revision: context.latest.to_string(),
            number: context.number,
            step: wanted.step,
            created: now,
            spec,
            draft,
            status,
        }
    }

    /// Whether another run is of the same release, and not only of the same version.
    pub fn of_same_release(&self, other: &Run) -> bool {
        let release = |run: &Run| Some((run.revision.clone(), run.number?));
        let own = release(self);
        own.is_some() && release(other) == own && self.name != other.name
    }

    /// Brings the verdict up to date. `wanted`: the release still waits for it.
    pub fn assess(&mut self, wanted: bool, now: Timestamp) {
        if let Some(spec) = &self.spec {
            let status = std::mem::take(&mut self.status);
            self.status = analysis::assess(spec, status, !wanted, now);
        }
    }

    /// The metrics to ask now, by their index.
    pub fn due(&self, now: Timestamp) -> Vec<(usize, &Metric)> {
        let Some(spec) = &self.spec else {
            return Vec::new();
        };
        let due = analysis::due(spec, &self.status, now);
        due.into_iter()
            .filter_map(|index| Some((index, spec.metrics.get(index)?)))
            .collect()
    }

    /// When the next metric is due.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        analysis::next_due(self.spec.as_ref()?, &self.status, now)
    }

    /// Takes in a measurement.
    pub fn record(&mut self, metric: usize, measured: Measured) {
        if let Some(spec) = &self.spec {
            analysis::record(spec, &mut self.status, metric, measured);
        }
    }

    /// Takes in that an argument has no value.
    pub fn refuse(&mut self, metric: usize, why: String, now: Timestamp) {
        match &self.spec {
            Some(spec) => analysis::refuse(spec, &mut self.status, metric, why, now),
            None => self.status.refuse(why, now),
        }
    }
}

/// Makes the runs what a decision wants: those that are missing begin, those that are not listed
/// are terminated. Ended ones beyond the history that the manifest asks for are forgotten, unless
/// the release still asks for their verdict.
pub fn reconcile(runs: &mut Vec<Run>, wanted: &[WantedRun], context: Context<'_>, now: Timestamp) {
    for want in wanted {
        if !runs.iter().any(|run| run.name == want.name) {
            runs.push(Run::begin(want, context, now));
        }
    }
    let names: BTreeSet<&str> = wanted.iter().map(|want| want.name.as_str()).collect();
    for run in runs.iter_mut() {
        run.assess(names.contains(run.name.as_str()), now);
    }
    let history = context.history;
    for (good, kept) in [(true, history.successful), (false, history.unsuccessful)] {
        let is_old = |run: &&Run| {
            let successful = run.status.phase == serin_core::step::RunPhase::Successful;
            // The release in flight reads the verdicts of its own runs again in every pass.
            let own = run.revision == context.latest;
            run.status.phase.completed() && successful == good && !own
        };
        let old: Vec<String> = runs
            .iter()
            .filter(is_old)
            .map(|run| run.name.clone())
            .collect();
        let gone = &old[..old.len().saturating_sub(kept)];
        runs.retain(|run| !gone.contains(&run.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serin_core::plan::{AnalysisRef, TemplateRef};

    fn begun(secrets: LocalSecrets) -> Run {
        let template = json!({
            "kind": "AnalysisTemplate", "metadata": {"name": "t"},
            "spec": {
                "args": [{"name": "token", "valueFrom": {
                    "secretKeyRef": {"name": "tokens", "key": "prom"}}}],
                "metrics": [{"name": "m", "provider": {"prometheus": {"query": "up",
                    "headers": [{"key": "a", "value": "{{args.token}}"}]}}}],
            },
        });
        let wanted = WantedRun {
            name: "shop-1".into(),
            step: Some(0),
            analysis: AnalysisRef {
                templates: vec![TemplateRef {
                    name: "t".into(),
                    cluster_scope: false,
                }],
                ..AnalysisRef::default()
            },
        };
        let context = Context {
            templates: &[Template::parse(&template).unwrap()],
            rollout: &json!({}),
            latest: "two",
            number: Some(2),
            stable: "one",
            secrets,
            history: RunHistory {
                successful: 1,
                unsuccessful: 1,
            },
        };
        Run::begin(&wanted, context, Timestamp(1))
    }

    #[test]
    fn a_run_is_stored_with_the_names_of_its_secrets() {
        let run = begun(LocalSecrets::InFile);
        let stored = serde_json::to_string(&run).unwrap();
        assert!(stored.contains("{{args.token}}"), "{stored}");
        assert_eq!(serde_json::from_str::<Run>(&stored).unwrap(), run);
        let keys = run.draft.as_ref().map(|draft| draft.secrets(0).len());
        assert_eq!(keys, Some(1));
    }

    #[test]
    fn without_a_file_of_secrets_it_has_ended_and_names_the_option() {
        let run = begun(LocalSecrets::Nowhere);
        assert_eq!(run.draft, None);
        let told = "Unable to resolve metric arguments: args.token takes its value from key prom of \
                    Secret tokens, and local mode reads Secrets from a file: serin local --secrets \
                    FILE";
        assert!(
            run.status.message.starts_with(told),
            "{}",
            run.status.message
        );
    }

    #[test]
    fn a_version_that_is_asked_for_again_has_no_earlier_steps() {
        let own = begun(LocalSecrets::InFile);
        let other = |number| Run {
            name: "shop-2".into(),
            number,
            ..own.clone()
        };
        assert!(own.of_same_release(&other(Some(2))));
        assert!(!own.of_same_release(&other(Some(1))));
        assert!(!other(None).of_same_release(&Run {
            name: "shop-3".into(),
            ..other(None)
        }));
    }

    #[test]
    fn a_run_of_an_older_serin_is_read() {
        let mut stored = serde_json::to_value(begun(LocalSecrets::InFile)).unwrap();
        stored.as_object_mut().unwrap().remove("draft");
        assert_eq!(serde_json::from_value::<Run>(stored).unwrap().draft, None);
    }
}

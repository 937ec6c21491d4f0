//! A Rollout as users are shown it: plan, record and decision in, view out.

use serin_core::analysis::MetricResult;
use serin_core::plan::{Plan, Step};
use serin_core::step::{Decision, Phase, Traffic};
use serin_core::wire::WEIGHT_ALL;

use super::record::{Record, Revision};
use crate::runs::Run;
use crate::view::{
    PodView, Replicas, RevisionView, RolloutView, RunView, SetHealth, Stale, StepView, Strategy,
};

/// What a view is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// The record after the decision.
    pub record: &'a Record,
    /// The decision.
    pub decision: &'a Decision,
    /// The traffic that every proxy is known to run.
    pub traffic: Option<&'a Traffic>,
    /// What the manifests' author should read.
    pub notices: &'a [String],
    /// Where callers reach the Rollout.
    pub gateway: &'a str,
    /// Why the manifests as they are now are not in force.
    pub stale: Option<&'a Stale>,
}

/// The view; `pods` knows the pods of a template hash.
pub fn view(shown: Shown<'_>, pods: impl Fn(&str) -> Vec<PodView>) -> RolloutView {
    let Shown {
        plan,
        record,
        decision,
        ..
    } = shown;
    let state = &record.state;
    let routes = shown.traffic.and_then(|traffic| traffic.canary.as_ref());
    let revisions: Vec<RevisionView> = record
        .revisions
        .iter()
        .rev()
        .map(|revision| revision_view(shown, revision, pods(&revision.hash)))
        .collect();
    RolloutView {
        name: plan.name.clone(),
        namespace: plan.namespace.clone(),
        phase: decision.phase,
        message: match decision.phase {
            Phase::Healthy => String::new(),
            _ => decision.why.to_string(),
        },
        created: record.created,
        strategy: Strategy::Canary,
        steps: plan
            .steps
            .iter()
            .map(|step| StepView {
                text: step.to_string(),
            })
            .collect(),
        step_index: state.index,
        set_weight_bp: set_weight(shown),
        actual_weight_bp: actual_weight(shown),
        header_routes: routes
            .map(|canary| {
                canary
                    .routes
                    .iter()
                    .map(|route| route.name.clone())
                    .collect()
            })
            .unwrap_or_default(),
        desired: plan.replicas,
        replicas: Replicas::of(&revisions),
        revisions,
        notices: shown.notices.to_vec(),
        gateway: shown.gateway.to_string(),
        stale: shown.stale.cloned(),
    }
}

/// The weight that the steps ask for: everything once they are done, nothing after an abort.
fn set_weight(shown: Shown<'_>) -> u16 {
    let state = &shown.record.state;
    let steps = &shown.plan.steps;
    if state.abort.is_some() {
        return 0;
    }
    if state.current == state.stable || state.index >= steps.len() {
        return WEIGHT_ALL;
    }
    let so_far = steps.iter().take(state.index + 1).rev();
    so_far
        .filter_map(|step| match step {
            Step::SetWeight(weight) => Some(*weight),
            _ => None,
        })
        .next()
        .unwrap_or(0)
}

/// What the current version is known to get.
fn actual_weight(shown: Shown<'_>) -> u16 {
    let current = &shown.record.state.current;
    match shown.traffic {
        Some(Traffic {
            canary: Some(canary),
            ..
        }) if canary.revision == *current => canary.weight_bp,
        Some(traffic) if traffic.stable == *current => WEIGHT_ALL,
        _ => 0,
    }
}

fn revision_view(shown: Shown<'_>, revision: &Revision, pods: Vec<PodView>) -> RevisionView {
    let state = &shown.record.state;
    let role = if revision.hash == state.stable {
        Some("stable")
    } else if revision.hash == state.current && !state.stable.is_empty() {
        Some("canary")
    } else {
        None
    };
    let image = &revision.template["spec"]["containers"][0]["image"];
    RevisionView {
        number: revision.number,
        replica_set: format!("{}-{}", shown.plan.name, revision.hash),
        hash: revision.hash.clone(),
        images: vec![image.as_str().unwrap_or_default().to_string()],
        role: role.map(str::to_string),
        desired: revision.desired,
        health: SetHealth::of(revision.desired, &pods),
        created: revision.created,
        scale_down_at: state.scale_down_at.get(&revision.hash).copied(),
        pods,
        runs: shown
            .record
            .runs
            .iter()
            .filter(|run| run.revision == revision.hash)
            .map(run_view)
            .collect(),
    }
}

/// The counts are of measurements, not of metrics, which is what users of Argo Rollouts read there.
fn run_view(run: &Run) -> RunView {
    let results = &run.status.metric_results;
    let sum = |count: fn(&MetricResult) -> u32| results.iter().map(count).sum();
    RunView {
        name: run.name.clone(),
        phase: run.status.phase,
        message: run.status.message.clone(),
        created: run.created,
        successful: sum(|result| result.successful),
        failed: sum(|result| result.failed),
        inconclusive: sum(|result| result.inconclusive),
        error: sum(|result| result.error),
    }
}

#[cfg(test)]
mod tests {
    use serin_core::analysis::RunStatus;
    use serin_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_run_is_shown_with_the_measurements_of_all_its_metrics() {
        let metric = |successful, failed| MetricResult {
            successful,
            failed,
            error: 1,
            ..MetricResult::default()
        };
        let run = Run {
            name: "shop-bbb-2-1".into(),
            revision: "bbb".into(),
            number: Some(2),
            step: None,
            created: Timestamp(1),
            draft: None,
            spec: None,
            status: RunStatus {
                metric_results: vec![metric(3, 0), metric(2, 1)],
                ..RunStatus::default()
            },
        };
        let view = run_view(&run);
        let counts = (view.successful, view.failed, view.inconclusive, view.error);
        assert_eq!(counts, (5, 1, 0, 2));
    }
}

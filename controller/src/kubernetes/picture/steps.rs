//! The steps of a Rollout, and the weights that follow from how far it got. Nothing is refused: a
//! manifest that Serin would not run is shown all the same.

use serde_json::Value;
use serin_core::plan::{AnalysisRef, CanaryScale, Pause, Step, TemplateRef};
use serin_core::time::parse_duration;
use serin_core::wire::WEIGHT_ALL;
use std::time::Duration;

use crate::api::{Rollout, RolloutStatus};
use crate::view::StepView;

/// The steps, and where a Rollout stands in them.
pub(super) struct Steps<'a> {
    rollout: &'a Rollout,
    canary: &'a Value,
    steps: &'a [Value],
    index: usize,
    /// What a weight of everything is called.
    all: u64,
}

impl<'a> Steps<'a> {
    /// Those of this Rollout.
    pub(super) fn of(rollout: &'a Rollout) -> Steps<'a> {
        const PERCENT: u64 = 100;
        let canary = super::canary(rollout);
        let steps = canary["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let index = super::count(status(rollout).and_then(|status| status.current_step_index));
        let all = canary["trafficRouting"]["maxTrafficWeight"].as_u64();
        Steps {
            rollout,
            canary,
            steps,
            index: usize::try_from(index).map_or(steps.len(), |index| index.min(steps.len())),
            all: all.filter(|all| *all > 0).unwrap_or(PERCENT),
        }
    }

    /// The step under way.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// As users read them.
    pub(super) fn views(&self) -> Vec<StepView> {
        let text = |step| text(step, self.all);
        let texts = self.steps.iter().map(text);
        texts.map(|text| StepView { text }).collect()
    }

    /// The weight that the steps ask for: everything once they are done, nothing after an abort.
    pub(super) fn set_weight(&self) -> u16 {
        if status(self.rollout).and_then(|status| status.abort) == Some(true) {
            return 0;
        }
        if self.index >= self.steps.len() {
            return WEIGHT_ALL;
        }
        let so_far = self.steps[..=self.index].iter().rev();
        let weight = so_far.filter_map(|step| step["setWeight"].as_u64()).next();
        basis_points(weight.unwrap_or(0), self.all)
    }

    /// The weight in force: what the router was told, or without one the share of pods.
    pub(super) fn actual_weight(&self, canary_available: u32) -> u16 {
        if self.index >= self.steps.len() {
            return WEIGHT_ALL;
        }
        let available = status(self.rollout).and_then(|status| status.available_replicas);
        let available = u64::from(super::count(available));
        if available == 0 {
            return 0;
        }
        if self.canary["trafficRouting"].is_null() {
            return basis_points(u64::from(canary_available), available);
        }
        let canary = status(self.rollout).and_then(|status| status.canary.as_ref());
        let weights = canary.and_then(|canary| canary.0.get("weights"));
        let weight = weights.and_then(|weights| weights["canary"]["weight"].as_u64());
        weight.map_or_else(
            || self.set_weight(),
            |weight| basis_points(weight, self.all),
        )
    }
}

fn status(rollout: &Rollout) -> Option<&RolloutStatus> {
    rollout.status.as_ref()
}

/// `part` of `all` in basis points.
fn basis_points(part: u64, all: u64) -> u16 {
    let share = part.saturating_mul(u64::from(WEIGHT_ALL)) / all.max(1);
    u16::try_from(share).unwrap_or(WEIGHT_ALL).min(WEIGHT_ALL)
}

/// A step in the words that local mode has for it.
fn text(step: &Value, all: u64) -> String {
    known(step, all).map_or_else(|| named(step), |step| step.to_string())
}

/// The field that says what a step does. Null is absent, but for a pause that stands alone.
fn kind(step: &Value) -> Option<(&str, &Value)> {
    let step = step.as_object()?;
    let given = step.iter().find(|(_, value)| !value.is_null());
    let (name, value) = given.or_else(|| step.iter().next())?;
    Some((name, value))
}

fn known(step: &Value, all: u64) -> Option<Step> {
    let (name, value) = kind(step)?;
    match name {
        "setWeight" => Some(Step::SetWeight(basis_points(value.as_u64()?, all))),
        "pause" => pause(&value["duration"]).map(Step::Pause),
        "analysis" => Some(Step::Analysis(analysis(value))),
        "setCanaryScale" => canary_scale(value).map(Step::SetCanaryScale),
        _ => None,
    }
}

fn pause(duration: &Value) -> Option<Pause> {
    match duration {
        Value::Null => Some(Pause::UntilPromoted),
        Value::String(text) => parse_duration(text).map(Pause::For),
        seconds => seconds.as_u64().map(Duration::from_secs).map(Pause::For),
    }
}

fn analysis(value: &Value) -> AnalysisRef {
    let templates = value["templates"].as_array().into_iter().flatten();
    let template = |template: &Value| TemplateRef {
        name: template["templateName"]
            .as_str()
            .unwrap_or_default()
            .to_string(),
        cluster_scope: template["clusterScope"] == true,
    };
    AnalysisRef {
        templates: templates.map(template).collect(),
        ..AnalysisRef::default()
    }
}

fn canary_scale(value: &Value) -> Option<CanaryScale> {
    let number = |name: &str| value[name].as_u64().and_then(|n| u32::try_from(n).ok());
    if let Some(replicas) = number("replicas") {
        return Some(CanaryScale::Replicas(replicas));
    }
    if let Some(percent) = number("weight") {
        return Some(CanaryScale::Percent(percent));
    }
    (value["matchTrafficWeight"] == true).then_some(CanaryScale::MatchTrafficWeight)
}

/// A step by its kind and the name in it, if there is one.
fn named(step: &Value) -> String {
    const ROUTES: [&str; 2] = ["setHeaderRoute", "setMirrorRoute"];
    let Some((kind, value)) = kind(step) else {
        return "unknown".to_string();
    };
    let Some(name) = value["name"].as_str() else {
        return kind.to_string();
    };
    let matches = value["match"].as_array().map_or(0, Vec::len);
    match ROUTES.contains(&kind) && matches == 0 {
        true => format!("{kind}: {name} (remove)"),
        false => format!("{kind}: {name}"),
    }
}

//! A measurement that goes on tick by tick: the judge's state in a measurement's metadata, and what a
//! tick makes of the measurement.

use std::collections::BTreeMap;

use super::metric::Compare;
use super::reading::{Judged, Outcome, Reading};
use super::status::{MetricResult, RunStatus};
use crate::judge::{OnInconclusive, State, Verdict};
use crate::step::RunPhase;
use crate::time::Timestamp;

pub use super::blind::BLIND;

/// What is said of a measurement.
pub type Metadata = BTreeMap<String, String>;

/// The judge's state, as JSON.
pub const STATE: &str = "serin/state";
/// Its last verdict in one word.
pub const VERDICT: &str = "serin/verdict";
/// Since when it could not count, in milliseconds since 1970.
const UNCOUNTED: &str = "serin/uncounted-since";
/// The verdict while it cannot count.
const UNKNOWN: &str = "unknown";

/// What a new tick goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Before {
    /// Of the measurement under way; none: this is its first tick.
    pub under_way: Option<Metadata>,
    /// Of the last one that ended, of this run or of an earlier step of the release.
    pub ended: Option<Metadata>,
}

impl Before {
    /// What the metric `name` goes on from; `others` are all other runs for the same version.
    pub fn of(status: &RunStatus, others: &[&RunStatus], name: &str) -> Before {
        let begun = status.result(name).and_then(MetricResult::under_way);
        Before {
            under_way: begun.map(|begun| begun.metadata.clone()),
            ended: ended(status, name).or_else(|| ended(earlier(others, name)?, name)),
        }
    }

    /// The judge's state; none: it is to begin.
    pub fn state(&self, now: Timestamp) -> Option<State> {
        let read = |metadata: &Metadata| serde_json::from_str(metadata.get(STATE)?).ok();
        if let Some(state) = self.under_way.as_ref().and_then(read) {
            return Some(state);
        }
        let ended: State = self.ended.as_ref().and_then(read)?;
        Some(ended.begin_step(now))
    }
}

fn ended(status: &RunStatus, name: &str) -> Option<Metadata> {
    let measurements = status.result(name)?.measurements.iter().rev();
    let mut ended = measurements.filter(|one| one.phase.completed());
    // An error, such as of a Secret that is not there, has no state.
    let last = ended.find(|one| one.metadata.contains_key(STATE))?;
    Some(last.metadata.clone())
}

/// The run of an earlier step: the last that ended well. After one that was bad somebody has tried the
/// release again, and it begins anew.
fn earlier<'a>(others: &[&'a RunStatus], name: &str) -> Option<&'a RunStatus> {
    let of_phase = |good: bool| {
        let ended = others.iter().filter(move |run| {
            let is_good = matches!(run.phase, RunPhase::Successful | RunPhase::Inconclusive);
            run.phase.completed() && is_good == good
        });
        ended.copied()
    };
    let bad = of_phase(false).filter_map(|run| run.completed_at).max();
    let since = of_phase(true).filter(|run| run.started_at > bad && run.result(name).is_some());
    since.max_by_key(|run| run.completed_at)
}

/// What a tick makes of the measurement.
pub fn ticked(compare: &Compare, state: &State, verdict: &Verdict, now: Timestamp) -> Outcome {
    let parameters = &compare.parameters;
    let phase = match verdict {
        Verdict::RollBack(_) => RunPhase::Failed,
        // The evidence is there and may yet change.
        Verdict::Promote(_) if parameters.endless => RunPhase::Running,
        Verdict::Promote(_) => RunPhase::Successful,
        Verdict::Hold(_) | Verdict::GoOn(_) => RunPhase::Running,
        Verdict::Inconclusive(_) => inconclusive(parameters.on_inconclusive),
    };
    let mut metadata = said(compare, state);
    metadata.insert(VERDICT.to_string(), verdict.name().to_string());
    outcome(compare, state, metadata, phase, verdict.to_string(), now)
}

/// What a tick makes of the measurement that could not count; nothing is lost by it, the next one
/// counts from where the last one ended.
pub fn uncounted(
    compare: &Compare,
    state: &State,
    before: &Before,
    why: &str,
    now: Timestamp,
) -> Outcome {
    let known = before.under_way.as_ref();
    let since = known.and_then(|metadata| metadata.get(UNCOUNTED)?.parse().ok());
    let since = Timestamp(since.unwrap_or(now.0));
    let parameters = &compare.parameters;
    let begun = if parameters.endless {
        since
    } else {
        state.begun
    };
    let over = now.since(begun) >= parameters.deadline;
    let mut metadata = said(compare, state);
    metadata.insert(UNCOUNTED.to_string(), since.0.to_string());
    metadata.insert(VERDICT.to_string(), UNKNOWN.to_string());
    let (phase, message) = if over {
        let message = format!("no verdict in time: cannot count: {why}");
        (inconclusive(parameters.on_inconclusive), message)
    } else {
        (
            RunPhase::Running,
            format!("cannot count: {why}: holding, and trying again"),
        )
    };
    outcome(compare, state, metadata, phase, message, now)
}

fn inconclusive(policy: OnInconclusive) -> RunPhase {
    match policy {
        OnInconclusive::Pause => RunPhase::Inconclusive,
        OnInconclusive::Promote => RunPhase::Successful,
        OnInconclusive::Rollback => RunPhase::Failed,
    }
}

fn said(compare: &Compare, state: &State) -> Metadata {
    let limit = compare.parameters.limit().round();
    let said = [
        (STATE, serde_json::to_string(state).unwrap_or_default()),
        ("dispersion", state.dispersion.to_string()),
        ("limit", limit.to_string()),
    ];
    let text = |(name, text): (&str, String)| (name.to_string(), text);
    said.map(text).into()
}

fn outcome(
    compare: &Compare,
    state: &State,
    metadata: Metadata,
    phase: RunPhase,
    message: String,
    now: Timestamp,
) -> Outcome {
    let evidence = state.evidence();
    Outcome {
        shown: format!("{evidence:.3}"),
        value: Reading::Scalar(evidence),
        metadata,
        judged: Some(Judged {
            phase,
            message,
            again: now.plus(compare.tick),
        }),
    }
}

impl RunStatus {
    /// What a metric says that wants nothing to change for now: stable is ill too, or nobody can
    /// count.
    pub fn holds(&self) -> Option<&str> {
        let results = self.metric_results.iter().filter(|result| !result.dry_run);
        let mut under_way = results.filter_map(MetricResult::under_way);
        let holding = under_way.find(|begun| {
            let verdict = begun.metadata.get(VERDICT).map(String::as_str);
            matches!(verdict, Some("hold" | UNKNOWN))
        });
        holding.map(|begun| begun.message.as_str())
    }
}

#[cfg(test)]
mod tests;

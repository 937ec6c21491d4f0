//! A measurement that goes on tick by tick: the judge's state in a measurement's metadata, and what a
//! tick makes of the measurement.

use std::collections::BTreeMap;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

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
/// Since when stable has been ill in one go, likewise.
const HELD: &str = "serin/held-since";
/// What the state is of: evidence about other counters is none about these.
const OF: &str = "serin/of";
/// The verdict while it cannot count.
const UNKNOWN: &str = "unknown";

/// What came between two steps is counted as well, up to this long: after it, such as a pause that a
/// person ended, Prometheus would be asked for hours in pieces, and may have forgotten them.
const LONGEST_GAP: Duration = Duration::from_secs(600);

/// What a new tick goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Before {
    /// Of the measurement under way; none: this is its first tick.
    pub under_way: Option<Metadata>,
    /// Of the last one that ended, of this run or of an earlier step of the release.
    pub ended: Option<Metadata>,
}

impl Before {
    /// What the metric `name` goes on from; `others` are all other runs of the same release, that is
    /// of the same revision number: a version that is asked for again has a new one.
    pub fn of(status: &RunStatus, others: &[&RunStatus], name: &str) -> Before {
        let begun = status.result(name).and_then(MetricResult::under_way);
        Before {
            under_way: begun.map(|begun| begun.metadata.clone()),
            ended: ended(status, name).or_else(|| ended(earlier(others, name)?, name)),
        }
    }

    /// Whether there is a state already, so that no earlier one has to be looked for.
    pub fn has_counted(&self) -> bool {
        let known = self.under_way.iter().chain(&self.ended);
        known.into_iter().any(|one| one.contains_key(STATE))
    }

    /// The judge's state; none: it is to begin.
    pub fn state(&self, compare: &Compare, now: Timestamp) -> Option<State> {
        let read = |metadata: &Metadata| {
            let mut state: State = serde_json::from_str(metadata.get(STATE)?).ok()?;
            // A clock that was put back would count nothing until it has caught up.
            state.at = state.at.min(now);
            state.begun = state.begun.min(now);
            Some(state)
        };
        if let Some(state) = self.under_way.as_ref().and_then(read) {
            return Some(state);
        }
        let own = fingerprint(compare);
        let same = |ended: &&Metadata| ended.get(OF) == Some(&own);
        let ended = self.ended.as_ref().filter(same).and_then(read)?;
        let mut state = ended.begin_step(now);
        if now.since(state.at) > LONGEST_GAP {
            state.at = now;
            state.recent = Default::default();
        }
        Some(state)
    }

    /// What the measurement under way has noted as a time, which may have been another clock's.
    fn since(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let noted = self.under_way.as_ref()?.get(name)?.parse().ok()?;
        Some(Timestamp(noted).min(now))
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
pub fn ticked(
    compare: &Compare,
    state: &State,
    before: &Before,
    verdict: &Verdict,
    now: Timestamp,
) -> Outcome {
    let held = matches!(verdict, Verdict::Hold(_)).then(|| before.since(HELD, now).unwrap_or(now));
    let over = held.is_some_and(|since| now.since(since) >= compare.parameters.deadline);
    // A step has its deadline; what has none itself must not hold for ever.
    let verdict = &match verdict {
        Verdict::Hold(reason) if over => Verdict::Inconclusive(*reason),
        verdict => *verdict,
    };
    let parameters = &compare.parameters;
    let phase = match verdict {
        Verdict::RollBack(_) => RunPhase::Failed,
        // The evidence is there and may yet change.
        Verdict::Promote(_) if parameters.endless => RunPhase::Running,
        Verdict::Promote(_) => RunPhase::Successful,
        Verdict::Hold(_) | Verdict::GoOn(_) => RunPhase::Running,
        Verdict::Inconclusive(_) => inconclusive(parameters.on_inconclusive),
    };
    let mut metadata = said(compare, Some(state));
    metadata.insert(VERDICT.to_string(), verdict.name().to_string());
    if let Some(since) = held {
        metadata.insert(HELD.to_string(), since.0.to_string());
    }
    outcome(
        compare,
        Some(state),
        metadata,
        phase,
        verdict.to_string(),
        now,
    )
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
    without_count(compare, Some(state), before, why, now)
}

/// What becomes of the measurement where its tick broke off before it could even try: it holds, since
/// no data is never a failure.
pub(super) fn broken_off(compare: &Compare, before: &Before, why: &str, now: Timestamp) -> Outcome {
    // What ended before is left to the tick that succeeds.
    let own = Before {
        ended: None,
        ..before.clone()
    };
    without_count(compare, own.state(compare, now).as_ref(), before, why, now)
}

/// What becomes of a measurement that can never be taken, however often it is tried.
pub fn impossible(why: String, now: Timestamp) -> Outcome {
    Outcome {
        shown: String::new(),
        value: Reading::Json(serde_json::Value::Null),
        metadata: Metadata::new(),
        judged: Some(Judged {
            phase: RunPhase::Error,
            message: why,
            again: now,
        }),
    }
}

fn without_count(
    compare: &Compare,
    state: Option<&State>,
    before: &Before,
    why: &str,
    now: Timestamp,
) -> Outcome {
    let since = before.since(UNCOUNTED, now).unwrap_or(now);
    let parameters = &compare.parameters;
    let begun = match state {
        Some(state) if !parameters.endless => state.begun,
        _ => since,
    };
    let over = now.since(begun) >= parameters.deadline;
    let mut metadata = said(compare, state);
    metadata.insert(UNCOUNTED.to_string(), since.0.to_string());
    // Nothing says that stable is well again.
    if let Some(held) = before.since(HELD, now) {
        metadata.insert(HELD.to_string(), held.0.to_string());
    }
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

/// What a state depends on of the configuration; the rest is looked at anew by every tick.
fn fingerprint(compare: &Compare) -> String {
    let parameters = &compare.parameters;
    let of = (
        &compare.counters,
        parameters.latency.is_some(),
        parameters.dispersion,
    );
    let text = serde_json::to_string(&of).unwrap_or_default();
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

fn inconclusive(policy: OnInconclusive) -> RunPhase {
    match policy {
        OnInconclusive::Pause => RunPhase::Inconclusive,
        OnInconclusive::Promote => RunPhase::Successful,
        OnInconclusive::Rollback => RunPhase::Failed,
    }
}

fn said(compare: &Compare, state: Option<&State>) -> Metadata {
    let Some(state) = state else {
        return Metadata::new();
    };
    let limit = compare.parameters.limit().round();
    let said = [
        (OF, fingerprint(compare)),
        (STATE, serde_json::to_string(state).unwrap_or_default()),
        ("dispersion", state.dispersion.to_string()),
        ("limit", limit.to_string()),
    ];
    let text = |(name, text): (&str, String)| (name.to_string(), text);
    said.map(text).into()
}

fn outcome(
    compare: &Compare,
    state: Option<&State>,
    metadata: Metadata,
    phase: RunPhase,
    message: String,
    now: Timestamp,
) -> Outcome {
    let evidence = state.map(State::evidence);
    Outcome {
        shown: evidence.map_or_else(String::new, |evidence| format!("{evidence:.3}")),
        value: evidence.map_or(Reading::Json(serde_json::Value::Null), Reading::Scalar),
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

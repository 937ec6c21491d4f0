//! One run: which metrics to measure now, what a measurement changes, how the run stands.

use std::collections::BTreeMap;
use std::time::Duration;

use super::blind::BLIND;
use super::metric::{Metric, Provider};
use super::reading::Outcome;
use super::resolve::RunSpec;
use super::status::{Measurement, MetricResult, RunStatus, RunSummary};
use super::ticking::{self, Before, STATE};
use super::verdict::{assess_metric, exceeded, judge};
use crate::step::RunPhase;
use crate::time::Timestamp;

/// What came of asking a metric's provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// When it was asked.
    pub started: Timestamp,
    /// When it had answered.
    pub finished: Timestamp,
    /// What it said, or why it said nothing.
    pub outcome: Result<Outcome, String>,
}

/// How a measurement that takes its time ended, as its provider judges it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The verdict.
    pub phase: RunPhase,
    /// Why.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// After an error a measurement is tried again this much later, whatever the interval.
pub const ERROR_RETRY: Duration = Duration::from_secs(10);

/// The metrics to measure now, by their index in the spec; the caller knows which of them it is
/// measuring already.
pub fn due(spec: &RunSpec, status: &RunStatus, now: Timestamp) -> Vec<usize> {
    let times = due_times(spec, status, now);
    times
        .filter(|(_, at)| *at <= now)
        .map(|(index, _)| index)
        .collect()
}

/// When the next metric is due, `now` if one is; none: nothing is left to measure.
pub fn next_due(spec: &RunSpec, status: &RunStatus, now: Timestamp) -> Option<Timestamp> {
    let times = due_times(spec, status, now).map(|(_, at)| at);
    times.min().map(|at| at.max(now))
}

/// When which metric is due next; one that is measured for good, or under way, is not.
pub fn due_times(
    spec: &RunSpec,
    status: &RunStatus,
    now: Timestamp,
) -> impl Iterator<Item = (usize, Timestamp)> {
    let metrics = spec.metrics.iter().enumerate();
    metrics.filter_map(move |(index, metric)| Some((index, due_at(metric, status, now)?)))
}

fn due_at(metric: &Metric, status: &RunStatus, now: Timestamp) -> Option<Timestamp> {
    let result = status.result(&metric.name);
    if status.phase.completed() || result.is_some_and(|result| result.phase.completed()) {
        return None;
    }
    let measured = result.and_then(|result| Some((result, result.measurements.last()?)));
    let Some((result, last)) = measured else {
        return Some(status.started_at.unwrap_or(now).plus(metric.initial_delay));
    };
    let Some(finished) = last.finished_at else {
        // Under way, it is not due again unless it goes on tick by tick.
        let Provider::Compare(compare) = &metric.provider else {
            return None;
        };
        // Further away than a tick it was noted before the clock was put back.
        let sane = |at: &Timestamp| *at <= now.plus(compare.tick);
        return Some(last.resume_at.filter(sane).unwrap_or(now));
    };
    if metric
        .effective_count()
        .is_some_and(|count| result.count >= count)
    {
        return None;
    }
    let pause = match last.phase {
        RunPhase::Error => ERROR_RETRY,
        _ => metric.interval.unwrap_or(ERROR_RETRY),
    };
    // Strictly after the interval, so a millisecond later.
    Some(finished.plus(pause).plus(Duration::from_millis(1)))
}

/// Takes a measurement of the spec's metric `metric` into the status. One that comes after the
/// metric or the run has ended changes nothing.
pub fn record(spec: &RunSpec, status: &mut RunStatus, metric: usize, measured: Measured) {
    if let Some(metric) = open(spec, status, metric) {
        let mut measurement = measurement(metric, held_up(metric, status, measured));
        let result = status.result(&metric.name);
        if let Some(begun) = result.and_then(MetricResult::under_way) {
            measurement.started_at = begun.started_at;
        }
        take(metric, status, measurement);
    }
}

/// Takes in that an argument of the metric has no value, which ends the run. A judge that has counted
/// already holds in its place: what is missing, such as a Secret that is being replaced, may be back at
/// the next tick.
pub fn refuse(spec: &RunSpec, status: &mut RunStatus, metric: usize, why: String, now: Timestamp) {
    let judge = open(spec, status, metric).filter(|metric| {
        metric.provider.ticks() && Before::of(status, &[], &metric.name).has_counted()
    });
    if judge.is_none() {
        return status.refuse(why, now);
    }
    let measured = Measured {
        started: now,
        finished: now,
        outcome: Err(why),
    };
    record(spec, status, metric, measured);
}

/// An error in the middle of a judge's measurement ends nothing.
fn held_up(metric: &Metric, status: &RunStatus, measured: Measured) -> Measured {
    let (Provider::Compare(compare), Err(why)) = (&metric.provider, &measured.outcome) else {
        return measured;
    };
    let before = Before::of(status, &[], &metric.name);
    let held = ticking::broken_off(compare, &before, why, measured.finished);
    Measured {
        outcome: Ok(held),
        ..measured
    }
}

/// Takes into the status that a measurement has begun, which [`finish`] ends; `metadata` is what its
/// provider finds it by. Until then the metric is not due.
pub fn begin(
    spec: &RunSpec,
    status: &mut RunStatus,
    metric: usize,
    started: Timestamp,
    metadata: BTreeMap<String, String>,
) {
    if let Some(metric) = open(spec, status, metric) {
        let measurement = Measurement {
            phase: RunPhase::Running,
            started_at: started,
            metadata,
            ..Measurement::default()
        };
        take(metric, status, measurement);
    }
}

/// Ends the measurement under way of the spec's metric `metric`; if there is none, nothing changes.
pub fn finish(spec: &RunSpec, status: &mut RunStatus, metric: usize, ended: Ended) {
    let Some(metric) = open(spec, status, metric) else {
        return;
    };
    let result = status.result(&metric.name);
    if let Some(begun) = result.and_then(MetricResult::under_way) {
        let measurement = Measurement {
            phase: ended.phase,
            message: short(ended.message),
            finished_at: Some(ended.at),
            resume_at: None,
            ..begun.clone()
        };
        take(metric, status, measurement);
    }
}

/// The metric, if neither it nor the run has ended.
fn open<'a>(spec: &'a RunSpec, status: &RunStatus, metric: usize) -> Option<&'a Metric> {
    let metric = spec.metrics.get(metric)?;
    let ended = status
        .result(&metric.name)
        .is_some_and(|result| result.phase.completed());
    (!status.phase.completed() && !ended).then_some(metric)
}

/// Adds a measurement, in the place of the one under way if there is one.
fn take(metric: &Metric, status: &mut RunStatus, measurement: Measurement) {
    status.update(&metric.name, |result| {
        if result.under_way().is_some() {
            result.measurements.pop();
        }
        count(result, measurement.phase);
        result.phase = RunPhase::Running;
        result.dry_run = metric.dry_run;
        let first = result.metadata.remove(BLIND);
        let blind = first.or_else(|| measurement.metadata.get(BLIND).cloned());
        result.metadata = metric.provider.metadata();
        let blind = blind.map(|why| (BLIND.to_string(), why));
        result.metadata.extend(blind);
        if metric.provider.ticks() {
            result.message.clone_from(&measurement.message);
        }
        result.measurements.push(measurement);
        let surplus = result
            .measurements
            .len()
            .saturating_sub(metric.retention.max(1));
        result.measurements.drain(..surplus);
    });
}

fn measurement(metric: &Metric, measured: Measured) -> Measurement {
    let Measured {
        started,
        finished,
        outcome,
    } = measured;
    let mut again = None;
    let (phase, message, kept) = match outcome {
        Err(why) => (RunPhase::Error, why, None),
        Ok(mut outcome) if outcome.judged.is_some() => {
            let judged = outcome.judged.take();
            again = judged.as_ref().map(|judged| judged.again);
            let (phase, message) = judged
                .map(|one| (one.phase, one.message))
                .unwrap_or_default();
            (phase, message, Some(outcome))
        }
        Ok(outcome) => {
            let (phase, message) = judge(metric, &outcome.value);
            (
                phase,
                message,
                (phase != RunPhase::Error).then_some(outcome),
            )
        }
    };
    let (value, metadata) = kept
        .map(|outcome| (outcome.shown, outcome.metadata))
        .unwrap_or_default();
    let message = match metadata.get(BLIND) {
        Some(why) if message.is_empty() => why.clone(),
        _ => message,
    };
    let bounded = |(key, text): (String, String)| match key.as_str() {
        // A judge reads it again.
        STATE => (key, text),
        _ => (key, short(text)),
    };
    Measurement {
        phase,
        message: short(message),
        started_at: started,
        finished_at: phase.completed().then_some(finished),
        resume_at: again.filter(|_| !phase.completed()),
        value: short(value),
        metadata: metadata.into_iter().map(bounded).collect(),
    }
}

/// A text as a status keeps it: all of a run's measurements must fit into one object, of which etcd
/// takes 1.5 MiB. Conditions have judged the whole.
fn short(text: String) -> String {
    const LONGEST: usize = 4096;
    if text.len() <= LONGEST {
        return text;
    }
    let rest = format!("… ({} bytes in all)", text.len());
    let end = text.floor_char_boundary(LONGEST.saturating_sub(rest.len()));
    let begin = text.get(..end).unwrap_or_default();
    format!("{begin}{rest}")
}

fn count(result: &mut MetricResult, phase: RunPhase) {
    let counted = match phase {
        RunPhase::Successful => &mut result.successful,
        RunPhase::Failed => &mut result.failed,
        RunPhase::Inconclusive => &mut result.inconclusive,
        RunPhase::Error => &mut result.error,
        RunPhase::Pending | RunPhase::Running => return,
    };
    *counted += 1;
    let is_error = phase == RunPhase::Error;
    result.count += u32::from(!is_error);
    result.consecutive_error = if is_error {
        result.consecutive_error + 1
    } else {
        0
    };
    let is_success = phase == RunPhase::Successful;
    result.consecutive_success = if is_success {
        result.consecutive_success + 1
    } else {
        0
    };
}

/// How the run stands after all that was recorded. `terminate`: nobody needs it any more, and what
/// was not found bad is good. A run that has ended stays as it is.
pub fn assess(spec: &RunSpec, mut status: RunStatus, terminate: bool, now: Timestamp) -> RunStatus {
    if status.phase.completed() {
        return status;
    }
    status.started_at.get_or_insert(now);
    if terminate {
        end_ticking(spec, &mut status, now);
    }
    assess_metrics(spec, &mut status, terminate);
    let terminating = terminate || no_use(spec, &status);
    if terminating && !terminate {
        end_ticking(spec, &mut status, now);
        assess_metrics(spec, &mut status, true);
    }
    tell_watched(spec, &mut status);
    summarise(spec, &mut status);
    let unfinished = |metric: &Metric| {
        status
            .result(&metric.name)
            .is_none_or(|result| !result.phase.completed())
    };
    let waiting = if terminating {
        status.under_way()
    } else {
        spec.metrics.iter().any(unfinished)
    };
    if waiting {
        status.phase = RunPhase::Running;
        status.message = said(spec, &status);
        return status;
    }
    let (phase, message) = worst(spec, &status);
    status.phase = phase;
    let message = match terminate && message.is_empty() {
        true => "Run Terminated".to_string(),
        false => message,
    };
    let blind = status.blind();
    let all = [message].into_iter().chain(blind);
    let all = all.filter(|text| !text.is_empty()).collect::<Vec<_>>();
    status.message = all.join("; ");
    status.completed_at = Some(now);
    status
}

/// Ends measurements that go on tick by tick: what was not found bad is good.
fn end_ticking(spec: &RunSpec, status: &mut RunStatus, now: Timestamp) {
    for (index, metric) in spec.metrics.iter().enumerate() {
        let result = status.result(&metric.name);
        let begun = result.and_then(MetricResult::under_way);
        if let Some(begun) = begun.filter(|_| metric.provider.ticks()) {
            let message = begun.message.clone();
            let ended = Ended {
                phase: RunPhase::Successful,
                message,
                at: now,
            };
            finish(spec, status, index, ended);
        }
    }
}

/// What the metrics say that go on tick by tick, and that are blind.
fn said(spec: &RunSpec, status: &RunStatus) -> String {
    let ticking = spec.metrics.iter().filter(|metric| metric.provider.ticks());
    let said = ticking.filter_map(|metric| {
        let last = status.result(&metric.name)?.measurements.last()?;
        (!last.message.is_empty()).then(|| format!("{}: {}", metric.name, last.message))
    });
    said.chain(status.blind()).collect::<Vec<_>>().join("; ")
}

fn assess_metrics(spec: &RunSpec, status: &mut RunStatus, terminating: bool) {
    for metric in &spec.metrics {
        let found = status
            .metric_results
            .iter_mut()
            .find(|result| result.name == metric.name);
        let Some(result) = found else { continue };
        let phase = assess_metric(metric, result, terminating);
        if phase != result.phase {
            let last = result.measurements.last();
            result.message = last.map(|last| last.message.clone()).unwrap_or_default();
            result.phase = phase;
        }
    }
}

/// Says of the metrics that are only watched what a run's message says of the others.
fn tell_watched(spec: &RunSpec, status: &mut RunStatus) {
    for metric in spec.metrics.iter().filter(|metric| metric.dry_run) {
        let mut results = status.metric_results.iter_mut();
        let found = results.find(|result| result.name == metric.name);
        let Some(result) = found.filter(|result| result.phase.completed()) else {
            continue;
        };
        if let Some((_, why)) = exceeded(metric, result) {
            result.message = format!("Metric assessed {:?} due to {why}", result.phase);
        }
    }
}

/// Whether going on is of no use, since one metric is bad: what the others measured so far is their
/// verdict, and what is under way is to be ended.
pub fn no_use(spec: &RunSpec, status: &RunStatus) -> bool {
    spec.metrics.iter().any(|metric| is_bad(metric, status))
}

fn is_bad(metric: &Metric, status: &RunStatus) -> bool {
    let phase = status.result(&metric.name).map(|result| result.phase);
    !metric.dry_run
        && matches!(
            phase,
            Some(RunPhase::Failed | RunPhase::Error | RunPhase::Inconclusive)
        )
}

fn summarise(spec: &RunSpec, status: &mut RunStatus) {
    let of = |dry_run: bool| {
        let metrics = spec
            .metrics
            .iter()
            .filter(move |metric| metric.dry_run == dry_run);
        metrics.fold(RunSummary::default(), |mut summary, metric| {
            summary.count += 1;
            summary.add(
                status
                    .result(&metric.name)
                    .map(|result| result.phase)
                    .unwrap_or_default(),
            );
            summary
        })
    };
    let (counted, watched) = (of(false), of(true));
    status.run_summary = counted;
    status.dry_run_summary = (watched.count > 0).then_some(watched);
}

/// The worst verdict of the metrics that count, with its reason; the first of equals.
fn worst(spec: &RunSpec, status: &RunStatus) -> (RunPhase, String) {
    let mut worst = (RunPhase::Successful, String::new());
    for metric in spec.metrics.iter().filter(|metric| !metric.dry_run) {
        let Some(result) = status.result(&metric.name) else {
            continue;
        };
        if gravity(result.phase) > gravity(worst.0) {
            worst = (result.phase, reason(metric, result));
        }
    }
    worst
}

/// Argo's order of a run's metrics.
fn gravity(phase: RunPhase) -> u8 {
    match phase {
        RunPhase::Successful => 0,
        RunPhase::Running => 1,
        RunPhase::Pending => 2,
        RunPhase::Inconclusive => 3,
        RunPhase::Error => 4,
        RunPhase::Failed => 5,
    }
}

fn reason(metric: &Metric, result: &MetricResult) -> String {
    let Some((_, why)) = exceeded(metric, result) else {
        return String::new();
    };
    let mut text = format!(
        "Metric \"{}\" assessed {:?} due to {why}",
        metric.name, result.phase
    );
    if !result.message.is_empty() {
        text.push_str(&format!(": \"Error Message: {}\"", result.message));
    }
    text
}

#[cfg(test)]
mod tests;

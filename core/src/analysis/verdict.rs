//! What a measurement means, and what all measurements of a metric mean.

use super::condition::Condition;
use super::metric::Metric;
use super::reading::Reading;
use super::status::MetricResult;
use crate::step::RunPhase;

/// Judges one reading by a metric's conditions; the text says what went wrong.
pub fn judge(metric: &Metric, reading: &Reading) -> (RunPhase, String) {
    // Both are asked always, success first: an error in either is the measurement's.
    let success = ask(
        "successCondition",
        metric.success_condition.as_deref(),
        reading,
    );
    let failure = match success {
        Ok(_) => ask(
            "failureCondition",
            metric.failure_condition.as_deref(),
            reading,
        ),
        Err(_) => Ok(None),
    };
    match (success, failure) {
        (Err(why), _) | (_, Err(why)) => (RunPhase::Error, why),
        (Ok(success), Ok(failure)) => (phase(success, failure), String::new()),
    }
}

/// The truth table: what the success condition said, what the failure condition said.
fn phase(success: Option<bool>, failure: Option<bool>) -> RunPhase {
    match (success, failure) {
        (_, Some(true)) | (Some(false), None) => RunPhase::Failed,
        (Some(true) | None, _) => RunPhase::Successful,
        (Some(false), Some(false)) => RunPhase::Inconclusive,
    }
}

fn ask(which: &str, condition: Option<&str>, reading: &Reading) -> Result<Option<bool>, String> {
    const NO_DATA: &str =
        "metric result is nil or empty: no data returned from the metric provider";
    let Some(text) = condition else {
        return Ok(None);
    };
    let answer = Condition::parse(text).and_then(|condition| condition.holds(reading));
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(_) if reading.is_empty() => {
            Err(format!("could not evaluate {which} \"{text}\": {NO_DATA}"))
        }
        Err(why) => Err(format!("could not evaluate {which} \"{text}\": {why}")),
    }
}

/// The verdict on a metric from all that was measured of it. A verdict once found stays.
pub fn assess_metric(metric: &Metric, result: &MetricResult, terminating: bool) -> RunPhase {
    if result.phase.completed() {
        return result.phase;
    }
    if result.measurements.is_empty() {
        return if terminating {
            RunPhase::Successful
        } else {
            RunPhase::Pending
        };
    }
    if result.under_way().is_some() {
        return RunPhase::Running;
    }
    if let Some((phase, _)) = exceeded(metric, result) {
        return phase;
    }
    let enough = metric.consecutive_success_limit > 0
        && result.consecutive_success >= metric.consecutive_success_limit;
    if enough {
        return RunPhase::Successful;
    }
    if metric
        .effective_count()
        .is_some_and(|count| result.count >= count)
    {
        return match (metric.consecutive_success_limit > 0, metric.failure_limit) {
            // Neither enough in a row nor too many bad ones.
            (true, Some(_)) => RunPhase::Inconclusive,
            (true, None) => RunPhase::Failed,
            (false, _) => RunPhase::Successful,
        };
    }
    if terminating {
        RunPhase::Successful
    } else {
        RunPhase::Running
    }
}

/// The limit that is exceeded, and how; of several the gravest for a metric, which is not the order
/// in which a run's metrics are compared.
pub fn exceeded(metric: &Metric, result: &MetricResult) -> Option<(RunPhase, String)> {
    let (errors, most_errors) = (result.consecutive_error, metric.consecutive_error_limit);
    let (unsure, most_unsure) = (result.inconclusive, metric.inconclusive_limit);
    if errors > most_errors {
        let text = format!("consecutiveErrors ({errors}) > consecutiveErrorLimit ({most_errors})");
        return Some((RunPhase::Error, text));
    }
    if unsure > most_unsure {
        let text = format!("inconclusive ({unsure}) > inconclusiveLimit ({most_unsure})");
        return Some((RunPhase::Inconclusive, text));
    }
    let most_failed = metric.failure_limit?;
    (result.failed > most_failed).then(|| {
        let text = format!("failed ({}) > failureLimit ({most_failed})", result.failed);
        (RunPhase::Failed, text)
    })
}

//! A run's status in the object and in `core`: the same fields, but for how times are written.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use serin_core::analysis::RunStatus;
use serin_core::time::{Timestamp, parse_time};

use crate::clock;

/// The fields that are times.
const TIMES: [&str; 4] = ["startedAt", "finishedAt", "completedAt", "resumeAt"];

/// The object's status, as clients of Argo Rollouts read it. Times have whole seconds, since some of
/// those clients, such as jq's `fromdate`, read no others.
pub(super) fn written(status: &RunStatus) -> Map<String, Value> {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    change_times(&mut value, &|time| {
        Some(json!(clock::text(Timestamp(time.as_i64()?))))
    });
    value.as_object().cloned().unwrap_or_default()
}

/// The status in an object, whoever wrote it; a run that nobody began has the empty one.
///
/// # Errors
/// What is not as it should be.
pub(super) fn read(status: &Value) -> Result<RunStatus, serde_json::Error> {
    if status["phase"].as_str().is_none_or(str::is_empty) {
        return Ok(RunStatus::default());
    }
    let mut value = status.clone();
    change_times(&mut value, &|time| {
        Some(json!(end_of_second(parse_time(time.as_str()?)?).0))
    });
    RunStatus::deserialize(value)
}

/// When a second that was written is over for sure: what is due an interval later is then never due
/// too soon, and at most a second late.
fn end_of_second(time: Timestamp) -> Timestamp {
    match time.0.rem_euclid(1_000) {
        0 => Timestamp(time.0 + 999),
        _ => time,
    }
}

fn change_times(value: &mut Value, change: &impl Fn(&Value) -> Option<Value>) {
    match value {
        Value::Object(fields) => {
            // Argo Rollouts may write null.
            fields.retain(|name, value| !(TIMES.contains(&name.as_str()) && value.is_null()));
            for (name, value) in fields.iter_mut() {
                if TIMES.contains(&name.as_str()) {
                    if let Some(changed) = change(value) {
                        *value = changed;
                    }
                } else if name != "metadata" {
                    change_times(value, change);
                }
            }
        }
        Value::Array(list) => list
            .iter_mut()
            .for_each(|value| change_times(value, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serin_core::analysis::{Measurement, MetricResult, RunSummary};
    use serin_core::step::RunPhase;

    use super::*;

    fn back(status: &RunStatus) -> RunStatus {
        read(&Value::Object(written(status))).unwrap()
    }

    #[test]
    fn times_are_written_in_whole_seconds_and_read_as_their_end() {
        let status = RunStatus {
            phase: RunPhase::Running,
            started_at: Some(Timestamp(1_500)),
            ..RunStatus::default()
        };
        let value = Value::Object(written(&status));
        assert_eq!(value["startedAt"], "1970-01-01T00:00:01Z");
        assert_eq!(back(&status).started_at, Some(Timestamp(1_999)));
    }

    #[test]
    fn a_run_that_argo_rollouts_began_is_read() {
        let value = json!({
            "phase": "Running", "startedAt": "2026-08-30T12:00:00Z", "runSummary": {"count": 2},
            "dryRunSummary": {}, "completedAt": null,
            "metricResults": [
                {"name": "errors", "phase": "Running", "count": 2, "successful": 2,
                 "consecutiveSuccess": 2, "metadata": {"ResolvedPrometheusQuery": "up"},
                 "measurements": [{"phase": "Successful", "value": "[1]",
                     "startedAt": "2026-08-30T12:00:00Z", "finishedAt": "2026-08-30T12:00:01Z"}]},
                {"name": "smoke", "phase": "Running", "measurements": [{"phase": "Running",
                    "metadata": {"job-name": "u.smoke.1", "startedAt": "as it is"},
                    "startedAt": "2026-08-30T12:00:00Z", "resumeAt": "2026-08-30T12:00:02Z"}]},
            ],
        });
        let status = read(&value).unwrap();
        assert_eq!(status.metric_results[0].count, 2);
        let smoke = status.metric_results[1].under_way().unwrap();
        assert_eq!((smoke.finished_at, smoke.metadata.len()), (None, 2));
        let mut again = Value::Object(written(&status));
        again["completedAt"] = Value::Null;
        assert_eq!(again["metricResults"][1], value["metricResults"][1]);
        assert_eq!(again, value);
        for unbegun in [json!({"phase": "", "runSummary": {}}), Value::Null] {
            assert_eq!(read(&unbegun).unwrap(), RunStatus::default());
        }
    }

    fn phase() -> impl Strategy<Value = RunPhase> {
        use RunPhase::{Error, Failed, Inconclusive, Running, Successful};
        prop::sample::select(vec![Running, Successful, Failed, Error, Inconclusive])
    }

    prop_compose! {
        fn measurement()(
            phase in phase(), began in 0i64..4_000_000_000_000, took in 0i64..100_000,
            ends in any::<bool>(), value in "[0-9]{0,3}", message in ".{0,9}",
            metadata in prop::collection::btree_map("[a-z]+", "[a-z]+", 0..2),
        ) -> Measurement {
            Measurement {
                phase, value, message, metadata,
                started_at: Timestamp(began),
                finished_at: ends.then_some(Timestamp(began + took)),
                resume_at: (!ends).then_some(Timestamp(began + took)),
            }
        }
    }

    prop_compose! {
        fn status()(
            phase in phase(), began in 0i64..4_000_000_000_000, ends in any::<bool>(),
            results in prop::collection::vec(
                (prop::collection::vec(measurement(), 0..3), 0u32..3, any::<bool>()), 0..3),
        ) -> RunStatus {
            let result = |(measurements, count, dry_run)| MetricResult {
                name: "errors".into(),
                phase, measurements, count, dry_run,
                failed: count,
                ..MetricResult::default()
            };
            RunStatus {
                phase,
                started_at: Some(Timestamp(began)),
                completed_at: ends.then_some(Timestamp(began)),
                dry_run_summary: ends.then(RunSummary::default),
                metric_results: results.into_iter().map(result).collect(),
                ..RunStatus::default()
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_again_as_it_was(status in status()) {
            let once = back(&status);
            prop_assert_eq!(written(&once), written(&status));
            prop_assert_eq!(back(&once), once);
        }
    }
}

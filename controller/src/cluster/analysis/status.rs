//! A run's status in the object and in `core`: the same fields, but for how times are written.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use serin_core::analysis::RunStatus;
use serin_core::time::{Timestamp, parse_time};

/// The fields that are times.
const TIMES: [&str; 3] = ["startedAt", "finishedAt", "completedAt"];

/// The object's status, as clients of Argo Rollouts read it. Times keep their milliseconds: the next
/// measurement is due by them, whoever reads them.
pub(super) fn written(status: &RunStatus) -> Map<String, Value> {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    each_time(&mut value, &|time| {
        let millis = time.as_i64()?;
        let at = jiff::Timestamp::from_millisecond(millis).ok()?;
        Some(json!(format!("{at:.3}")))
    });
    value.as_object().cloned().unwrap_or_default()
}

/// The status in an object, whoever wrote it; a run that nobody began has the empty one.
pub(super) fn read(status: &Value) -> Result<RunStatus, serde_json::Error> {
    let mut value = status.clone();
    each_time(&mut value, &|time| {
        let Timestamp(millis) = parse_time(time.as_str()?)?;
        Some(json!(millis))
    });
    if value["phase"].as_str().is_none_or(str::is_empty) {
        return Ok(RunStatus::default());
    }
    RunStatus::deserialize(value)
}

fn each_time(value: &mut Value, change: &impl Fn(&Value) -> Option<Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if TIMES.contains(&name.as_str()) {
                    if let Some(changed) = change(value) {
                        *value = changed;
                    }
                } else if name != "metadata" {
                    each_time(value, change);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| each_time(value, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serin_core::analysis::{Measurement, MetricResult};
    use serin_core::step::RunPhase;

    use super::*;

    fn status(started: i64, finished: i64) -> RunStatus {
        let measurement = Measurement {
            phase: RunPhase::Successful,
            started_at: Timestamp(started),
            finished_at: Timestamp(finished),
            value: "[1]".into(),
            ..Measurement::default()
        };
        RunStatus {
            phase: RunPhase::Running,
            started_at: Some(Timestamp(started)),
            metric_results: vec![MetricResult {
                name: "errors".into(),
                measurements: vec![measurement],
                count: 1,
                ..MetricResult::default()
            }],
            ..RunStatus::default()
        }
    }

    #[test]
    fn times_are_written_as_kubernetes_has_them() {
        let value = Value::Object(written(&status(1_500, 2_000)));
        assert_eq!(value["startedAt"], "1970-01-01T00:00:01.500Z");
        let measurement = &value["metricResults"][0]["measurements"][0];
        assert_eq!(measurement["finishedAt"], "1970-01-01T00:00:02.000Z");
    }

    #[test]
    fn a_run_that_argo_rollouts_began_is_read() {
        let value = json!({
            "phase": "Running", "startedAt": "2026-08-30T12:00:00Z", "runSummary": {"count": 1},
            "dryRunSummary": {},
            "metricResults": [{"name": "errors", "phase": "Running", "count": 2, "successful": 2,
                "consecutiveSuccess": 2, "metadata": {"ResolvedPrometheusQuery": "up"},
                "measurements": [{"phase": "Successful", "value": "[1]",
                    "startedAt": "2026-08-30T12:00:00Z", "finishedAt": "2026-08-30T12:00:01Z"}]}],
        });
        let status = read(&value).unwrap();
        assert_eq!(status.metric_results[0].count, 2);
        assert_eq!(status.started_at, parse_time("2026-08-30T12:00:00Z"));
        assert_eq!(read(&Value::Null).unwrap(), RunStatus::default());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(started in 0i64..4_000_000_000_000, took in 0i64..100_000) {
            let status = status(started, started + took);
            prop_assert_eq!(read(&Value::Object(written(&status))).unwrap(), status);
        }
    }
}

use super::*;
use crate::analysis::metric::{PrometheusQuery, Provider};
use crate::analysis::reading::Reading;
use proptest::prelude::*;
use serde_json::json;

fn metric(name: &str, change: impl FnOnce(&mut Metric)) -> Metric {
    let mut metric = Metric {
        name: name.into(),
        interval: Some(Duration::from_secs(5)),
        initial_delay: Duration::ZERO,
        count: None,
        success_condition: Some("result > 0".into()),
        failure_condition: None,
        failure_limit: Some(0),
        inconclusive_limit: 0,
        consecutive_error_limit: 4,
        consecutive_success_limit: 0,
        provider: Provider::Prometheus(PrometheusQuery {
            address: None,
            query: "up".into(),
            timeout: Duration::from_secs(30),
            insecure: false,
            headers: Vec::new(),
            authentication: None,
            range: None,
        }),
        dry_run: false,
        retention: 10,
    };
    change(&mut metric);
    metric
}

/// `s` is good, `f` bad, `i` cannot tell, `e` an error.
fn outcome(letter: char) -> Result<Outcome, String> {
    match letter {
        's' => Ok(Reading::Scalar(1.0).into()),
        'f' => Ok(Reading::Scalar(0.0).into()),
        'i' => Ok(Reading::Scalar(-1.0).into()),
        _ => Err("connection refused".into()),
    }
}

const BOTH: (&str, &str) = ("result > 0", "result == 0");

fn judged(metric: &mut Metric) {
    metric.success_condition = Some(BOTH.0.into());
    metric.failure_condition = Some(BOTH.1.into());
}

struct Run {
    spec: RunSpec,
    status: RunStatus,
    now: Timestamp,
}

impl Run {
    fn of(metrics: Vec<Metric>) -> Run {
        let mut run = Run {
            spec: RunSpec { metrics },
            status: RunStatus::default(),
            now: Timestamp(1000),
        };
        run.assess(false);
        run
    }

    fn assess(&mut self, terminate: bool) {
        self.status = assess(&self.spec, self.status.clone(), terminate, self.now);
    }

    fn take(&mut self, metric: usize, letter: char) {
        let measured = Measured {
            started: self.now,
            finished: self.now,
            outcome: outcome(letter),
        };
        record(&self.spec, &mut self.status, metric, measured);
        self.assess(false);
    }

    fn takes(mut self, letters: &str) -> Run {
        letters.chars().for_each(|letter| self.take(0, letter));
        self
    }

    fn end(&self) -> (RunPhase, &str) {
        (self.status.phase, &self.status.message)
    }
}

fn one(letters: &str, change: impl FnOnce(&mut Metric)) -> Run {
    let metric = metric("rate", |metric| {
        judged(metric);
        change(metric);
    });
    Run::of(vec![metric]).takes(letters)
}

fn message(run: &Run) -> (RunPhase, String) {
    (run.status.phase, run.status.message.clone())
}

#[test]
fn limits_end_a_run_when_they_are_exceeded_and_not_before() {
    use RunPhase::{Error, Failed, Inconclusive, Running, Successful};
    type Change = fn(&mut Metric);
    let plain: Change = |_| ();
    let cases: [(&str, Change, RunPhase, &str); 17] = [
        ("sss", plain, Running, ""),
        ("f", plain, Failed, "failed (1) > failureLimit (0)"),
        ("fff", |m| m.failure_limit = Some(3), Running, ""),
        (
            "ffff",
            |m| m.failure_limit = Some(3),
            Failed,
            "failed (4) > failureLimit (3)",
        ),
        (
            "i",
            plain,
            Inconclusive,
            "inconclusive (1) > inconclusiveLimit (0)",
        ),
        ("i", |m| m.inconclusive_limit = 1, Running, ""),
        ("eeee", plain, Running, ""),
        ("eeeesee", plain, Running, ""),
        (
            "eeeee",
            plain,
            Error,
            "consecutiveErrors (5) > consecutiveErrorLimit (4)",
        ),
        (
            "e",
            |m| m.consecutive_error_limit = 0,
            Error,
            "consecutiveErrors (1) > consecutiveErrorLimit (0)",
        ),
        ("sss", |m| m.count = Some(3), Successful, ""),
        ("sees", |m| m.count = Some(3), Running, ""),
        ("s", |m| m.interval = None, Successful, ""),
        (
            "fss",
            |m| (m.consecutive_success_limit, m.failure_limit) = (2, Some(1)),
            Successful,
            "",
        ),
        (
            "fses",
            |m| (m.consecutive_success_limit, m.failure_limit) = (2, None),
            Running,
            "",
        ),
        (
            "fsfs",
            |m| {
                (m.consecutive_success_limit, m.failure_limit, m.count) = (2, None, Some(4));
            },
            Failed,
            "",
        ),
        (
            "fsfs",
            |m| {
                (m.consecutive_success_limit, m.failure_limit, m.count) = (2, Some(2), Some(4));
            },
            Inconclusive,
            "",
        ),
    ];
    for (letters, change, phase, why) in cases {
        let (found, text) = message(&one(letters, change));
        assert_eq!(found, phase, "{letters}");
        let mut expected = String::new();
        if !why.is_empty() {
            expected = format!("Metric \"rate\" assessed {phase:?} due to {why}");
        }
        if phase == Error {
            expected.push_str(": \"Error Message: connection refused\"");
        }
        assert_eq!(text, expected, "{letters}");
    }
}

#[test]
fn a_failed_run_shows_what_argo_shows() {
    let mut run = one("", |_| ());
    run.now = Timestamp(2000);
    let run = run.takes("sf");
    assert_eq!(
        serde_json::to_value(&run.status).unwrap(),
        json!({
            "phase": "Failed",
            "message": "Metric \"rate\" assessed Failed due to failed (1) > failureLimit (0)",
            "startedAt": 1000, "completedAt": 2000,
            "runSummary": {"count": 1, "failed": 1},
            "metricResults": [{
                "name": "rate", "phase": "Failed", "count": 2, "successful": 1, "failed": 1,
                "metadata": {"ResolvedPrometheusQuery": "up"},
                "measurements": [
                    {"phase": "Successful", "startedAt": 2000, "finishedAt": 2000, "value": "1"},
                    {"phase": "Failed", "startedAt": 2000, "finishedAt": 2000, "value": "0"},
                ],
            }],
        })
    );
}

#[test]
fn a_condition_that_cannot_be_asked_is_an_error_with_its_text() {
    let mut run = Run::of(vec![metric("rate", |metric| {
        metric.success_condition = Some("result[0] >= 0.95".into());
    })]);
    let mut take = |reading: Reading| {
        let outcome = Ok(reading.into());
        let measured = Measured {
            started: run.now,
            finished: run.now,
            outcome,
        };
        record(&run.spec, &mut run.status, 0, measured);
        run.status.metric_results[0]
            .measurements
            .last()
            .unwrap()
            .clone()
    };
    let empty = take(Reading::Vector(Vec::new()));
    assert_eq!(
        (empty.phase, empty.message.as_str(), empty.value.as_str()),
        (
            RunPhase::Error,
            "could not evaluate successCondition \"result[0] >= 0.95\": metric result is nil or \
             empty: no data returned from the metric provider",
            ""
        )
    );
    assert_eq!(
        take(Reading::Scalar(1.0)).message,
        "could not evaluate successCondition \"result[0] >= 0.95\": type float64 cannot be indexed"
    );
}

#[test]
fn a_long_value_is_judged_whole_and_kept_short() {
    let list = json!(vec![1; 100_000]);
    let metric = metric("a", |metric| {
        metric.success_condition = Some("len(result) == 100000".into());
    });
    let mut outcome = Outcome::from(Reading::Json(list));
    let long = "é".repeat(3000);
    outcome.metadata = [
        ("warnings".to_string(), long.clone()),
        (STATE.to_string(), long.clone()),
    ]
    .into();
    let measured = |outcome| Measured {
        started: Timestamp(0),
        finished: Timestamp(1),
        outcome,
    };
    let kept = measurement(&metric, measured(Ok(outcome)));
    assert_eq!(kept.phase, RunPhase::Successful);
    assert!(kept.value.len() <= 4096 && kept.value.ends_with("… (200001 bytes in all)"));
    assert!(kept.metadata["warnings"].ends_with("é… (6000 bytes in all)"));
    assert_eq!(kept.metadata[STATE], long);
    let failed = measurement(&metric, measured(Err(long)));
    assert!(failed.message.len() <= 4096);
}

#[test]
fn the_truth_table_is_argos() {
    use RunPhase::{Error, Failed, Inconclusive, Successful};
    let cases = [
        (None, None, Successful),
        (Some("true"), None, Successful),
        (Some("false"), None, Failed),
        (None, Some("true"), Failed),
        (None, Some("false"), Successful),
        (Some("true"), Some("false"), Successful),
        (Some("false"), Some("true"), Failed),
        (Some("true"), Some("true"), Failed),
        (Some("false"), Some("false"), Inconclusive),
        (Some("true"), Some("1"), Error),
        (Some("result.x"), Some("true"), Error),
        (None, Some("result["), Error),
    ];
    for (success, failure, expected) in cases {
        let metric = metric("m", |metric| {
            metric.success_condition = success.map(Into::into);
            metric.failure_condition = failure.map(Into::into);
        });
        let (phase, message) = judge(&metric, &Reading::Scalar(1.0));
        assert_eq!(phase, expected, "{success:?} {failure:?}");
        assert_eq!(message.is_empty(), phase != Error);
    }
    // NaN passes where only failure is asked about.
    let nan = Reading::Scalar(f64::NAN);
    let of = |success: Option<&str>, failure: Option<&str>| {
        let metric = metric("m", |metric| {
            metric.success_condition = success.map(Into::into);
            metric.failure_condition = failure.map(Into::into);
        });
        judge(&metric, &nan).0
    };
    assert_eq!(of(Some("result >= 0.95"), None), Failed);
    assert_eq!(of(None, Some("result < 0.95")), Successful);
    assert_eq!(
        of(Some("result >= 0.95"), Some("result < 0.95")),
        Inconclusive
    );
}

#[test]
fn one_bad_metric_ends_the_run_and_the_others_keep_what_they_have() {
    let mut run = Run::of(vec![
        metric("good", judged),
        metric("bad", judged),
        metric("late", |metric| {
            metric.initial_delay = Duration::from_secs(60)
        }),
    ]);
    run.take(0, 's');
    assert_eq!(run.end(), (RunPhase::Running, ""));
    run.take(1, 'f');
    let text = "Metric \"bad\" assessed Failed due to failed (1) > failureLimit (0)";
    assert_eq!(run.end(), (RunPhase::Failed, text));
    assert_eq!(
        run.status.result("good").unwrap().phase,
        RunPhase::Successful
    );
    assert_eq!(run.status.result("late"), None);
    let summary = RunSummary {
        count: 3,
        successful: 1,
        failed: 1,
        ..RunSummary::default()
    };
    assert_eq!(run.status.run_summary, summary);
    assert_eq!(next_due(&run.spec, &run.status, run.now), None);
}

#[test]
fn the_worst_metric_names_the_run() {
    use RunPhase::{Error, Failed, Inconclusive};
    let cases = [
        ("if", Failed),
        ("fe", Failed),
        ("ei", Error),
        ("is", Inconclusive),
    ];
    for (letters, expected) in cases {
        let mut run = Run::of(vec![
            metric("a", |m| (judged(m), m.consecutive_error_limit = 0).0),
            metric("b", |m| (judged(m), m.consecutive_error_limit = 0).0),
        ]);
        for (index, letter) in letters.chars().enumerate() {
            let measured = Measured {
                started: run.now,
                finished: run.now,
                outcome: outcome(letter),
            };
            record(&run.spec, &mut run.status, index, measured);
        }
        run.assess(false);
        assert_eq!(run.status.phase, expected, "{letters}");
    }
}

#[test]
fn a_watched_metric_never_decides() {
    let mut run = Run::of(vec![
        metric("counts", |metric| {
            (judged(metric), metric.count = Some(2)).0
        }),
        metric("watched", |metric| {
            (judged(metric), metric.dry_run = true).0
        }),
    ]);
    run.take(1, 'f');
    assert_eq!(run.end(), (RunPhase::Running, ""));
    run.take(0, 's');
    run.take(0, 's');
    assert_eq!(run.end(), (RunPhase::Successful, ""));
    let watched = RunSummary {
        count: 1,
        failed: 1,
        ..RunSummary::default()
    };
    assert_eq!(run.status.dry_run_summary, Some(watched));
    let result = run.status.result("watched").unwrap();
    assert!(result.dry_run);
    assert_eq!(
        result.message,
        "Metric assessed Failed due to failed (1) > failureLimit (0)"
    );
}

#[test]
fn terminating_makes_good_what_was_not_bad() {
    let mut run = one("sf", |metric| metric.failure_limit = Some(1));
    run.assess(true);
    assert_eq!(run.end(), (RunPhase::Successful, "Run Terminated"));
    let mut unmeasured = one("", |_| ());
    unmeasured.assess(true);
    assert_eq!(unmeasured.end(), (RunPhase::Successful, "Run Terminated"));
    assert_eq!(unmeasured.status.completed_at, Some(Timestamp(1000)));
    let mut unsure = one("fs", |metric| {
        (metric.consecutive_success_limit, metric.failure_limit) = (2, Some(1));
        (metric.count, metric.interval) = (Some(2), None);
    });
    assert_eq!(unsure.end(), (RunPhase::Inconclusive, ""));
    (unsure.status.phase, unsure.status.completed_at) = (RunPhase::Running, None);
    unsure.assess(true);
    assert_eq!(unsure.end(), (RunPhase::Inconclusive, "Run Terminated"));
}

#[test]
fn a_verdict_stays_and_what_is_exceeded_comes_before_the_count() {
    use RunPhase::{Error, Failed, Inconclusive, Pending, Running, Successful};
    let rate = metric("rate", |metric| (judged(metric), metric.count = Some(1)).0);
    let result = |change: fn(&mut MetricResult)| {
        let mut result = MetricResult {
            measurements: vec![Measurement {
                phase: Successful,
                finished_at: Some(Timestamp(1)),
                ..Measurement::default()
            }],
            ..MetricResult::default()
        };
        change(&mut result);
        result
    };
    let of = |terminating: bool, change: fn(&mut MetricResult)| {
        assess_metric(&rate, &result(change), terminating)
    };
    assert_eq!(of(false, |r| r.measurements.clear()), Pending);
    assert_eq!(of(true, |r| r.measurements.clear()), Successful);
    assert_eq!(of(true, |r| r.measurements[0].phase = Running), Running);
    assert_eq!(of(false, |r| r.phase = Failed), Failed);
    assert_eq!(of(false, |_| ()), Running);
    assert_eq!(of(true, |_| ()), Successful);
    assert_eq!(of(false, |r| r.count = 1), Successful);
    assert_eq!(of(true, |r| (r.count, r.failed) = (1, 1)), Failed);
    // Of several the gravest for a metric, which is not the order of a run's metrics.
    assert_eq!(
        of(false, |r| (r.failed, r.inconclusive) = (1, 1)),
        Inconclusive
    );
    assert_eq!(
        of(false, |r| (r.failed, r.inconclusive, r.consecutive_error) =
            (1, 1, 5)),
        Error
    );
}

#[test]
fn counters_start_anew_as_argos_do() {
    let of = |letters: &str| {
        let run = one(letters, |metric| {
            (metric.failure_limit, metric.inconclusive_limit) = (Some(9), 9);
        });
        let result = run.status.result("rate").unwrap();
        (
            result.count,
            result.error,
            result.consecutive_error,
            result.consecutive_success,
        )
    };
    assert_eq!(of("ss"), (2, 0, 0, 2));
    assert_eq!(of("see"), (1, 2, 2, 0));
    assert_eq!(of("eef"), (1, 2, 0, 0));
    assert_eq!(of("ssi"), (3, 0, 0, 0));
    assert_eq!(of("esses"), (3, 2, 0, 1));
}

#[test]
fn a_run_that_is_refused_keeps_what_was_measured() {
    let mut run = one("s", |_| ());
    run.now = Timestamp(3000);
    run.status.refuse("no token", run.now);
    assert_eq!(run.end(), (RunPhase::Error, "no token"));
    assert_eq!(run.status.started_at, Some(Timestamp(1000)));
    assert_eq!(run.status.completed_at, Some(Timestamp(3000)));
    assert_eq!(run.status.result("rate").unwrap().count, 1);
    run.status.refuse("again", Timestamp(4000));
    assert_eq!(
        run.end(),
        (RunPhase::Error, "no token"),
        "an ended run stays"
    );
}

#[test]
fn measurements_are_due_after_delay_interval_and_error() {
    let mut run = one("", |metric| metric.initial_delay = Duration::from_secs(3));
    let due_in = |run: &Run| next_due(&run.spec, &run.status, run.now).map(|at| at.0 - run.now.0);
    assert_eq!(due_in(&run), Some(3000));
    assert!(due(&run.spec, &run.status, run.now).is_empty());
    run.now = Timestamp(4000);
    assert_eq!(due(&run.spec, &run.status, run.now), [0]);
    assert_eq!(due_in(&run), Some(0));
    run.take(0, 's');
    assert_eq!(due_in(&run), Some(5001));
    assert!(due(&run.spec, &run.status, Timestamp(9000)).is_empty());
    assert_eq!(due(&run.spec, &run.status, Timestamp(9001)), [0]);
    run.take(0, 'e');
    assert_eq!(due_in(&run), Some(10_001));
    let mut once = one("e", |metric| metric.interval = None);
    assert_eq!(due_in(&once), Some(10_001));
    once.take(0, 's');
    assert_eq!(due_in(&once), None);
}

proptest! {
    #[test]
    fn a_run_that_has_ended_stays(
        letters in "[sfie]{0,12}", more in "[sfie]{0,4}", limit in 0..3_u32, terminate: bool,
    ) {
        let mut run = one(&letters, |metric| {
            metric.failure_limit = Some(limit);
            metric.count = Some(8);
        });
        run.assess(terminate);
        let ended = run.status.clone();
        prop_assume!(ended.phase.completed());
        prop_assert!(ended.completed_at.is_some());
        prop_assert!(due(&run.spec, &ended, Timestamp(i64::MAX)).is_empty());
        prop_assert_eq!(run.takes(&more).status, ended);
    }

    #[test]
    fn what_is_kept_never_changes_what_is_counted(letters in "[sfie]{0,30}", kept in 1..5_usize) {
        let change = |metric: &mut Metric| {
            metric.failure_limit = Some(5);
            metric.inconclusive_limit = 5;
        };
        let all = one(&letters, |metric| { change(metric); metric.retention = 100; });
        let mut few = one(&letters, |metric| { change(metric); metric.retention = kept; });
        prop_assert_eq!(all.end(), few.end());
        if let (Some(all), Some(few)) =
            (all.status.metric_results.first(), few.status.metric_results.first_mut())
        {
            prop_assert!(few.measurements.len() <= kept);
            few.measurements.clone_from(&all.measurements);
            prop_assert_eq!(&*few, all);
        }
    }

    #[test]
    fn a_run_stored_and_read_back_goes_on_the_same(letters in "[sfie]{0,12}", cut in 0..12_usize) {
        let plain = one(&letters, |metric| metric.failure_limit = Some(2));
        let (before, after) = letters.split_at(cut.min(letters.len()));
        let mut stored = one(before, |metric| metric.failure_limit = Some(2));
        let json = serde_json::to_string(&(&stored.spec, &stored.status)).unwrap();
        (stored.spec, stored.status) = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(stored.takes(after).status, plain.status);
    }
}

/// Two metrics of one measurement each, the first of which is under way.
fn one_under_way() -> Run {
    let once = |name: &str| metric(name, |metric| metric.interval = None);
    let mut run = Run::of(vec![once("slow"), once("quick")]);
    let found_by = [("job-name".to_string(), "j".to_string())].into();
    begin(&run.spec, &mut run.status, 0, run.now, found_by);
    run.assess(false);
    run
}

impl Run {
    fn finish(&mut self, phase: RunPhase) {
        let ended = Ended {
            phase,
            message: "because".into(),
            at: Timestamp(self.now.0 + 1),
        };
        finish(&self.spec, &mut self.status, 0, ended);
        self.assess(false);
    }
}

#[test]
fn a_measurement_under_way_is_not_due_and_keeps_the_run_going() {
    let mut run = one_under_way();
    assert_eq!(due(&run.spec, &run.status, run.now), [1]);
    run.take(1, 's');
    assert_eq!(run.status.phase, RunPhase::Running);
    assert_eq!(next_due(&run.spec, &run.status, run.now), None);
    let slow = run.status.result("slow").unwrap();
    assert_eq!((slow.phase, slow.count), (RunPhase::Running, 0));
}

#[test]
fn its_end_takes_its_place_and_counts_once() {
    let mut run = one_under_way();
    run.take(1, 's');
    run.finish(RunPhase::Successful);
    run.finish(RunPhase::Failed);
    assert_eq!(run.status.phase, RunPhase::Successful);
    let slow = run.status.result("slow").unwrap();
    let [last] = &slow.measurements[..] else {
        panic!("one measurement: {slow:?}");
    };
    assert_eq!((slow.count, slow.successful), (1, 1));
    assert_eq!(last.started_at, run.now);
    assert_eq!(last.finished_at, Some(Timestamp(run.now.0 + 1)));
    assert_eq!(last.metadata["job-name"], "j");
}

#[test]
fn a_bad_metric_waits_for_the_end_of_what_is_under_way() {
    let mut run = one_under_way();
    run.take(1, 'f');
    assert!(no_use(&run.spec, &run.status));
    assert_eq!(run.status.phase, RunPhase::Running);
    run.finish(RunPhase::Inconclusive);
    assert_eq!(run.status.phase, RunPhase::Failed);
}

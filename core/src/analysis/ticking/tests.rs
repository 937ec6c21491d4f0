use std::time::Duration;

use serde_json::json;

use super::*;
use crate::analysis::{Draft, Provider};
use crate::analysis::{Measured, RunSpec, assess, due, record};
use crate::judge::{Count, Pair, Tick};

fn spec(more: serde_json::Value) -> RunSpec {
    let mut metric = json!({"name": "judge", "provider": {"plugin": {"serin/compare": {
        "latency": false, "deadline": "60s",
    }}}});
    for (name, value) in more.as_object().unwrap() {
        metric[name] = value.clone();
    }
    let spec = json!({"metrics": [metric]});
    Draft::read(&spec).unwrap().spec().unwrap()
}

fn compare(spec: &RunSpec) -> &Compare {
    match &spec.metrics[0].provider {
        Provider::Compare(compare) => compare,
        other => panic!("{other:?}"),
    }
}

/// A run whose ticks come from outside.
struct World {
    spec: RunSpec,
    status: RunStatus,
    now: Timestamp,
}

impl World {
    fn new(spec: RunSpec) -> World {
        let status = assess(&spec, RunStatus::default(), false, Timestamp(0));
        World {
            spec,
            status,
            now: Timestamp(0),
        }
    }

    /// Waits until the next tick is due, which counts this; an error: it cannot count.
    fn tick(&mut self, counted: Result<[u64; 4], &str>) {
        while due(&self.spec, &self.status, self.now).is_empty() {
            self.now = self.now.plus(Duration::from_millis(500));
            assert!(self.now < Timestamp(1_000_000), "nothing is due");
        }
        let compare = compare(&self.spec);
        let before = Before::of(&self.status, &[], "judge");
        let state = before.state(compare, self.now);
        let mut state =
            state.unwrap_or_else(|| State::begin(&compare.parameters, self.now, None, &[]));
        let outcome = match counted {
            Ok([requests, bad, stable, stable_bad]) => {
                let errors = Pair {
                    canary: Count::new(requests, bad),
                    stable: Count::new(stable, stable_bad),
                };
                let tick = Tick {
                    at: self.now,
                    errors,
                    latency: Vec::new(),
                };
                let verdict = state.take(&compare.parameters, &tick);
                ticked(compare, &state, &before, &verdict, self.now)
            }
            Err(why) => uncounted(compare, &state, &before, why, self.now),
        };
        let measured = Measured {
            started: self.now,
            finished: self.now,
            outcome: Ok(outcome),
        };
        record(&self.spec, &mut self.status, 0, measured);
        let status = std::mem::take(&mut self.status);
        // As a controller that is killed after each tick finds it.
        let stored = serde_json::to_string(&status).unwrap();
        let read = serde_json::from_str(&stored).unwrap();
        self.status = assess(&self.spec, read, false, self.now);
    }
}

#[test]
fn one_measurement_goes_on_until_there_is_a_verdict() {
    let mut world = World::new(spec(json!({})));
    world.tick(Ok([0, 0, 0, 0]));
    world.tick(Ok([25, 0, 475, 1]));
    let result = world.status.result("judge").unwrap();
    assert_eq!(result.measurements.len(), 1);
    assert_eq!(world.status.phase, RunPhase::Running);
    assert!(
        world.status.message.starts_with("judge: needs about "),
        "{}",
        world.status.message
    );
    assert_eq!(world.now, Timestamp(5_000), "the tick is 5 s");
    world.tick(Ok([75, 75, 1_425, 2]));
    assert_eq!(world.status.phase, RunPhase::Failed);
    assert_eq!(
        world.status.message,
        "Metric \"judge\" assessed Failed due to failed (1) > failureLimit (0): \"Error Message: \
         canary fails 75 of its last 75 requests (100 %), stable 0.14 %\""
    );
}

#[test]
fn evidence_for_promotion_ends_a_step_and_nothing_ends_a_guard_but_its_release() {
    let good = Ok([500, 0, 9_500, 0]);
    let mut step = World::new(spec(json!({})));
    step.tick(good);
    assert_eq!(step.status.phase, RunPhase::Successful);
    let mut guard = World::new(spec(json!({"interval": "10s"})));
    for _ in 0..20 {
        guard.tick(good);
        assert_eq!(guard.status.phase, RunPhase::Running);
    }
    assert_eq!(guard.now, Timestamp(190_000), "the interval is the tick");
    assert!(
        guard.status.message.contains("as good as stable"),
        "{}",
        guard.status.message
    );
    let ended = assess(&guard.spec, guard.status, true, guard.now);
    assert_eq!(ended.phase, RunPhase::Successful);
    assert_eq!(ended.message, "Run Terminated");
}

#[test]
fn what_cannot_be_counted_holds_and_fails_nothing() {
    let mut world = World::new(spec(json!({})));
    world.tick(Ok([10, 0, 190, 0]));
    assert_eq!(world.status.holds(), None);
    world.tick(Err("connection refused"));
    assert_eq!(
        world.status.holds(),
        Some("cannot count: connection refused: holding, and trying again")
    );
    world.tick(Ok([10, 0, 190, 0]));
    assert_eq!(world.status.holds(), None);
    while world.status.phase == RunPhase::Running {
        world.tick(Err("connection refused"));
    }
    assert_eq!(world.status.phase, RunPhase::Inconclusive);
    assert_eq!(world.now, Timestamp(60_000), "at the deadline");
}

#[test]
fn the_policy_says_what_no_verdict_means() {
    for (policy, phase) in [
        ("pause", RunPhase::Inconclusive),
        ("promote", RunPhase::Successful),
        ("rollback", RunPhase::Failed),
    ] {
        let provider = json!({"plugin": {"serin/compare": {"onInconclusive": policy,
            "deadline": "10s"}}});
        let mut world = World::new(spec(json!({"provider": provider})));
        while world.status.phase == RunPhase::Running {
            world.tick(Ok([0, 0, 100, 0]));
        }
        assert_eq!(world.status.phase, phase, "{policy}");
        let message = &world.status.result("judge").unwrap().measurements[0].message;
        assert!(message.contains("canary had no request"), "{message}");
    }
}

#[test]
fn stable_that_is_ill_holds_the_release() {
    let mut world = World::new(spec(json!({})));
    world.tick(Ok([75, 3, 1_425, 60]));
    assert_eq!(
        world.status.holds(),
        Some("stable is failing too (4.2 %): holding")
    );
}

#[test]
fn the_next_step_goes_on_from_the_evidence_of_the_last_unless_it_was_bad() {
    let run = |counted, later: i64| {
        let mut world = World::new(spec(json!({})));
        world.tick(Ok(counted));
        for time in [&mut world.status.started_at, &mut world.status.completed_at] {
            *time = time.map(|time| Timestamp(time.0 + later));
        }
        world.status
    };
    let spec = spec(json!({}));
    let state = |others: &[&RunStatus]| {
        let before = Before::of(&RunStatus::default(), others, "judge");
        before.state(compare(&spec), Timestamp(9))
    };
    let first = run([500, 0, 9_500, 2], 0);
    let second = run([600, 0, 9_700, 2], 1_000);
    let carried = state(&[&second, &first]).unwrap();
    assert_eq!(carried.counted.stable.requests, 9_700, "the last one's");
    assert_eq!(carried.begun, Timestamp(9));
    let bad = run([500, 500, 9_500, 2], 2_000);
    assert_eq!(state(&[&first, &second, &bad]), None);
    let again = run([700, 0, 9_800, 2], 3_000);
    let carried = state(&[&first, &second, &bad, &again]).unwrap();
    assert_eq!(carried.counted.stable.requests, 9_800);
}

#[test]
fn after_a_long_gap_the_evidence_stays_and_nothing_in_between_is_counted() {
    let mut step = World::new(spec(json!({})));
    step.tick(Ok([500, 0, 9_500, 2]));
    let minutes = |minutes: i64| {
        let now = Timestamp(step.now.0 + minutes * 60_000);
        let before = Before::of(&RunStatus::default(), &[&step.status], "judge");
        (before.state(compare(&step.spec), now).unwrap(), now)
    };
    let (near, now) = minutes(9);
    assert_eq!((near.begun, near.at), (now, step.now));
    let (far, now) = minutes(11);
    assert_eq!((far.begun, far.at), (now, now));
    assert_eq!(far.counted, near.counted);
    assert_eq!(far.worse, near.worse);
}

impl World {
    /// The next tick is due and breaks off.
    fn break_off(&mut self, why: &str) {
        while due(&self.spec, &self.status, self.now).is_empty() {
            self.now = self.now.plus(Duration::from_millis(500));
        }
        let measured = Measured {
            started: self.now,
            finished: self.now,
            outcome: Err(why.to_string()),
        };
        record(&self.spec, &mut self.status, 0, measured);
        let status = std::mem::take(&mut self.status);
        self.status = assess(&self.spec, status, false, self.now);
    }

    fn state(&self) -> Option<State> {
        Before::of(&self.status, &[], "judge").state(compare(&self.spec), self.now)
    }
}

#[test]
fn a_tick_that_breaks_off_loses_nothing() {
    let mut world = World::new(spec(json!({})));
    world.tick(Ok([10, 0, 190, 0]));
    let before = world.state();
    for _ in 0..6 {
        world.break_off("no Secret");
        let said = Some("cannot count: no Secret: holding, and trying again");
        assert_eq!(world.status.holds(), said);
    }
    assert_eq!(world.now, Timestamp(30_000), "a tick later each time");
    assert_eq!(world.state(), before);
    assert_eq!(world.status.result("judge").unwrap().error, 0);
    crate::analysis::refuse(&world.spec, &mut world.status, 0, "gone".into(), world.now);
    assert_eq!(world.status.phase, RunPhase::Running, "{:?}", world.status);
    while world.status.phase == RunPhase::Running {
        world.break_off("no Secret");
    }
    assert_eq!(world.status.phase, RunPhase::Inconclusive);
    assert_eq!(world.now, Timestamp(60_000), "at the deadline");
}

#[test]
fn a_first_tick_that_breaks_off_leaves_the_evidence_of_earlier_steps() {
    let mut earlier = World::new(spec(json!({})));
    earlier.tick(Ok([500, 0, 9_500, 2]));
    let mut world = World::new(spec(json!({})));
    world.break_off("no Secret");
    assert_eq!(world.status.phase, RunPhase::Running);
    assert!(!Before::of(&world.status, &[], "judge").has_counted());
    let before = Before::of(&world.status, &[&earlier.status], "judge");
    let state = before.state(compare(&world.spec), world.now).unwrap();
    assert_eq!(state.counted.stable.requests, 9_500);
    while world.status.phase == RunPhase::Running {
        world.break_off("no Secret");
    }
    assert_eq!(world.status.phase, RunPhase::Inconclusive);
    assert_eq!(world.now, Timestamp(60_000), "at the deadline");
    let mut empty = World::new(spec(json!({})));
    crate::analysis::refuse(&empty.spec, &mut empty.status, 0, "gone".into(), empty.now);
    assert_eq!(empty.status.phase, RunPhase::Error, "it never had a value");
}

#[test]
fn what_can_never_be_counted_is_an_error() {
    let mut world = World::new(spec(json!({})));
    let outcome = impossible("nothing says which".into(), world.now);
    let measured = Measured {
        started: world.now,
        finished: world.now,
        outcome: Ok(outcome),
    };
    record(&world.spec, &mut world.status, 0, measured);
    let last = &world.status.result("judge").unwrap().measurements[0];
    assert_eq!(
        (last.phase, last.message.as_str()),
        (RunPhase::Error, "nothing says which")
    );
    assert!(last.finished_at.is_some());
}

#[test]
fn evidence_about_other_counters_is_not_gone_on_from() {
    let mut step = World::new(spec(json!({})));
    step.tick(Ok([500, 0, 9_500, 2]));
    let state = |compare: &Compare| {
        let before = Before::of(&RunStatus::default(), &[&step.status], "judge");
        before.state(compare, step.now)
    };
    let same = compare(&step.spec).clone();
    assert!(state(&same).is_some());
    let mut codes = same.clone();
    if let crate::analysis::Counters::Filter { codes, .. } = &mut codes.counters {
        *codes = "4..".into();
    }
    assert_eq!(state(&codes), None);
    let mut dispersion = same.clone();
    dispersion.parameters.dispersion = Some(0.1);
    assert_eq!(state(&dispersion), None);
    let mut latency = same.clone();
    latency.parameters.latency = Some(Default::default());
    assert_eq!(state(&latency), None);
    let mut patient = same;
    patient.parameters.deadline *= 2;
    assert!(state(&patient).is_some(), "the state does not depend on it");
}

#[test]
fn a_guard_does_not_hold_for_ever() {
    let mut guard = World::new(spec(json!({"interval": "10s"})));
    let ill = Ok([75, 3, 1_425, 60]);
    for _ in 0..4 {
        guard.tick(ill);
    }
    guard.tick(Err("connection refused"));
    guard.tick(ill);
    assert_eq!(guard.status.phase, RunPhase::Running);
    guard.tick(ill);
    assert_eq!(guard.now, Timestamp(60_000));
    assert_eq!(guard.status.phase, RunPhase::Inconclusive);
    let message = &guard.status.result("judge").unwrap().measurements[0].message;
    assert_eq!(message, "no verdict in time: stable is failing too (4.2 %)");
}

#[test]
fn stable_that_was_well_again_begins_the_time_of_holding_anew() {
    let mut guard = World::new(spec(json!({"interval": "10s"})));
    for _ in 0..5 {
        guard.tick(Ok([75, 3, 1_425, 60]));
    }
    while guard.status.holds().is_some() {
        guard.tick(Ok([7_500, 0, 142_500, 0]));
    }
    assert_eq!(
        Before::of(&guard.status, &[], "judge").since(HELD, guard.now),
        None
    );
    assert_eq!(guard.status.phase, RunPhase::Running);
}

#[test]
fn a_clock_that_is_put_back_stops_no_tick() {
    let mut world = World::new(spec(json!({})));
    world.now = Timestamp(900_000);
    world.tick(Ok([10, 0, 190, 0]));
    world.now = Timestamp(100_000);
    let before = world.state().unwrap();
    assert_eq!((before.begun, before.at), (world.now, world.now));
    world.tick(Ok([10, 0, 190, 0]));
    assert_eq!(world.now, Timestamp(100_000), "due at once");
    world.tick(Ok([10, 0, 190, 0]));
    assert_eq!(world.now, Timestamp(105_000));
}

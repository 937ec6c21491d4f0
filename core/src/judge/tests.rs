use std::time::Duration;

use serde::Deserialize;

use super::evidence::{Rule, SLOWER, WORSE, cap};
use super::*;
use crate::time::Timestamp;

mod baselines;
mod forecast;
mod guards;
mod promise;
mod sentences;

/// Ticks as the vectors write them: the canary's requests and bad ones, stable's.
type Written = [u64; 4];

fn pair([requests, bad, stable_requests, stable_bad]: Written) -> Pair {
    Pair {
        canary: Count::new(requests, bad),
        stable: Count::new(stable_requests, stable_bad),
    }
}

fn tick(second: i64, written: Written) -> Tick {
    Tick {
        at: Timestamp(second * 1000),
        errors: pair(written),
        latency: Vec::new(),
    }
}

/// The parameters without a latency test, so that errors have all of alpha.
fn errors_only() -> Parameters {
    Parameters {
        latency: None,
        ..Parameters::default()
    }
}

/// The verdicts on these ticks, 15 s apart.
fn verdicts(parameters: &Parameters, ticks: &[Written]) -> Vec<Verdict> {
    let mut state = State::begin(parameters, Timestamp(0), None, &[]);
    let seconds = (1..).map(|number| number * 15);
    let ticks = seconds.zip(ticks);
    ticks
        .map(|(second, written)| state.take(parameters, &tick(second, *written)))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    grid: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    ticks: Vec<Written>,
    eta: f64,
    cap_ticks: u32,
    alpha: f64,
    #[serde(rename = "lnE")]
    ln_e: Vec<f64>,
}

#[test]
fn evidence_is_that_of_the_vectors() {
    let vectors: Vectors = serde_json::from_str(include_str!("tests/vectors.json")).unwrap();
    assert_eq!(vectors.grid, WORSE);
    assert_eq!(vectors.cases.len(), 40);
    for case in &vectors.cases {
        let rule = Rule {
            null: 1.0,
            alternatives: &WORSE,
            cap: cap(WORSE.len(), case.alpha, case.cap_ticks),
            dispersion: case.eta,
            tails: false,
        };
        let mut evidence = Evidence::default();
        for (written, expected) in case.ticks.iter().zip(&case.ln_e) {
            evidence.take(pair(*written), &rule);
            let found = evidence.ln();
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}

#[test]
fn single_ticks_are_those_of_the_reference() {
    let rows = [
        ([100, 1, 1900, 0], 1.8873),
        ([100, 3, 1900, 0], 6.9098),
        ([500, 5, 9500, 48], -0.1187),
        ([500, 12, 9500, 48], 6.8390),
        ([1000, 20, 9000, 45], 9.0136),
        ([20000, 140, 20000, 100], 1.2950),
    ];
    for (written, expected) in rows {
        let mut evidence = Evidence::default();
        evidence.take(
            pair(written),
            &Rule {
                null: 1.0,
                alternatives: &WORSE,
                cap: None,
                dispersion: 0.0,
                tails: false,
            },
        );
        assert!((evidence.ln() - expected).abs() < 1e-4, "{written:?}");
    }
}

#[test]
fn a_state_that_was_written_and_read_goes_on_to_the_last_bit() {
    let parameters = Parameters::default();
    let slower = |second: i64| {
        [50.0, 100.0, 250.0].map(|bound| Boundary {
            bound,
            slower: pair([75, (second % 9) as u64, 1425, 300 - bound as u64]),
        })
    };
    let begin = || State::begin(&parameters, Timestamp(0), None, &[]);
    let (mut whole, mut killed) = (begin(), begin());
    for second in 1..200 {
        let tick = Tick {
            latency: slower(second).to_vec(),
            ..tick(second * 5, [75, (second % 7) as u64 / 3, 1425, 7])
        };
        let verdict = whole.take(&parameters, &tick);
        let text = serde_json::to_string(&killed).unwrap();
        killed = serde_json::from_str(&text).unwrap();
        assert_eq!(killed.take(&parameters, &tick), verdict);
        let bits = |state: &State| serde_json::to_string(state).unwrap();
        assert_eq!(bits(&killed), bits(&whole));
    }
    assert!(whole.latency.unwrap().bounds().count() >= 2);
    let text = serde_json::to_string(&killed).unwrap();
    assert!(text.len() < 8_000, "{} bytes", text.len());
}

#[test]
fn the_canary_of_the_reference_is_taken_back_at_the_third_tick() {
    let found = verdicts(
        &errors_only(),
        &[
            [75, 4, 1425, 7],
            [75, 3, 1425, 8],
            [75, 5, 1425, 6],
            [75, 3, 1425, 7],
        ],
    );
    let names: Vec<&str> = found.iter().map(Verdict::name).collect();
    assert_eq!(names, ["wait", "wait", "rollback", "rollback"]);
}

#[test]
fn an_outage_that_both_share_does_not_blame_the_canary() {
    let mut ticks = vec![[75, 0, 1425, 7]; 10];
    ticks.extend(vec![[75, 4, 1425, 71]; 12]);
    ticks.extend(vec![[75, 0, 1425, 7]; 40]);
    let found = verdicts(&errors_only(), &ticks);
    assert!(
        found.iter().all(|one| one.name() != "rollback"),
        "{found:?}"
    );
    assert_eq!(
        found[20].to_string(),
        "stable is failing too (5.0 %): holding"
    );
    assert_eq!(found.last().unwrap().name(), "promote");
}

#[test]
fn the_evidence_is_carried_into_the_next_step_and_the_clock_is_not() {
    let parameters = errors_only();
    let mut state = State::begin(&parameters, Timestamp(0), None, &[]);
    state.take(&parameters, &tick(15, [75, 3, 1425, 7]));
    let next = state.clone().begin_step(Timestamp(60_000));
    assert_eq!((next.worse, next.counted), (state.worse, state.counted));
    assert_eq!(next.begun, Timestamp(60_000));
}

#[test]
fn latency_finds_a_twofold_slowdown_and_a_stuck_one_in_a_hundred() {
    // The share slower than each bound of a lognormal with median 50 ms, once and twice as slow.
    let stable = [
        (50.0, 0.5),
        (100.0, 0.16),
        (250.0, 0.011),
        (500.0, 0.0005),
        (1000.0, 0.0),
    ];
    let twice = [0.84, 0.5, 0.1, 0.011, 0.0005];
    let stuck = [0.505, 0.168, 0.021, 0.0105, 0.01];
    for (name, canary, most) in [("twice", twice, 6), ("stuck", stuck, 14)] {
        let parameters = Parameters::default();
        let mut state = State::begin(&parameters, Timestamp(0), None, &[]);
        let rollback = (1..100).find(|number| {
            let latency = stable.iter().zip(canary).map(|((bound, share), slow)| {
                // Fractions of a request are carried on, as chance would on average.
                let so_far =
                    |share: f64, each: f64, ticks: i64| (share * each * ticks as f64) as u64;
                let new =
                    |share, each| so_far(share, each, *number) - so_far(share, each, number - 1);
                let slower = pair([75, new(slow, 75.0), 1425, new(*share, 1425.0)]);
                Boundary {
                    bound: *bound,
                    slower,
                }
            });
            let tick = Tick {
                latency: latency.collect(),
                ..tick(number * 15, [75, 0, 1425, 0])
            };
            matches!(
                state.take(&parameters, &tick),
                Verdict::RollBack(Reason::Slower { .. })
            )
        });
        assert!(
            rollback.is_some_and(|tick| tick <= most),
            "{name}: {rollback:?}"
        );
    }
}

#[test]
fn a_slowdown_that_matters_is_found_where_a_smaller_one_is_surer() {
    let parameters = Parameters {
        dispersion: Some(0.2),
        ..Parameters::default()
    };
    let known = [(50.0, 5_000), (250.0, 10)].map(|(bound, slow)| (bound, Count::new(10_000, slow)));
    let mut state = State::begin(&parameters, Timestamp(0), None, &known);
    // Four times as often beyond 250 ms, which is 0.3 % more of all and never matters.
    let slower = [
        (50.0, [1_000, 640, 9_000, 4_500]),
        (250.0, [1_000, 4, 9_000, 9]),
    ];
    let latency = slower.map(|(bound, written)| Boundary {
        bound,
        slower: pair(written),
    });
    let mut verdicts = (1..60).map(|number| {
        let tick = Tick {
            latency: latency.to_vec(),
            ..tick(number * 15, [1_000, 0, 9_000, 0])
        };
        state.take(&parameters, &tick)
    });
    let found = verdicts.find_map(|verdict| match verdict {
        Verdict::RollBack(Reason::Slower { at, .. }) => Some(at.bound),
        _ => None,
    });
    assert_eq!(found, Some(50.0));
}

#[test]
fn bounds_are_few_and_the_first_beyond_all_is_among_them() {
    let stable: Vec<(f64, Count)> = [
        (1.0, 1000),
        (10.0, 900),
        (20.0, 480),
        (30.0, 460),
        (50.0, 100),
        (75.0, 0),
        (100.0, 0),
    ]
    .map(|(bound, slower)| (bound, Count::new(1000, slower)))
    .to_vec();
    let state = State::begin(&Parameters::default(), Timestamp(0), None, &stable);
    let bounds: Vec<f64> = state.latency.unwrap().bounds().collect();
    assert_eq!(bounds, [20.0, 50.0, 75.0]);
    assert_eq!(SLOWER.len(), 6);
}

#[test]
fn dispersion_is_measured_on_stable_itself_if_it_has_errors_enough() {
    let even: Vec<Pair> = (0..60).map(|_| pair([700, 7, 700, 7])).collect();
    let measured = calibrate::measure(&even).unwrap();
    assert_eq!(measured.value, 0.2, "the least there is");
    let bursts: Vec<Pair> = (0..60)
        .map(|n| {
            if n % 2 == 0 {
                pair([700, 40, 700, 10])
            } else {
                pair([700, 10, 700, 40])
            }
        })
        .collect();
    let measured = calibrate::measure(&bursts).unwrap();
    // Each tick's share of 0.8 or 0.2 is a ratio of 4: 1.18, and its variance doubled.
    assert!((1.5..1.8).contains(&measured.value), "{measured}");
    let long: Vec<Pair> = (0..240)
        .map(|n| {
            if n / 8 % 2 == 0 {
                pair([700, 12, 700, 8])
            } else {
                pair([700, 8, 700, 12])
            }
        })
        .collect();
    let measured = calibrate::measure(&long).unwrap();
    assert!(
        measured.value > 0.5,
        "minutes that lean to one side: {measured}"
    );
    let few: Vec<Pair> = (0..240).map(|n| pair([75, n % 2, 75, 0])).collect();
    assert_eq!(calibrate::measure(&few), None);
    assert_eq!(calibrate::measure(&even[..10]), None);
    assert_eq!(Dispersion::choose(None, None).value, 0.5);
    assert_eq!(Dispersion::choose(Some(0.7), Some(measured)).value, 0.7);
}

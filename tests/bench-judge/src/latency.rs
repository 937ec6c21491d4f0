//! Releases in which latency is judged: requests with a duration each, seen through the filter's own
//! buckets.

use rand_pcg::Pcg64Mcg;
use serin_core::judge::{Boundary, Count, Pair, Parameters, State, Tick, Verdict, calibrate};
use serin_core::metric::BUCKETS;
use serin_core::time::Timestamp;

use crate::ramp::{self, TICK};
use crate::release::End;
use crate::rows::Goal;
use crate::service::{count, of};

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) slowness: Slowness,
    pub(crate) goal: Goal,
}

/// Requests a second, both versions together: a column each.
pub(crate) const RATES: [f64; 3] = [10.0, 100.0, 1000.0];

pub(crate) const ROWS: [Row; 4] = [
    Row {
        name: "like stable's (false alarms)",
        slowness: Slowness::None,
        goal: Goal::FalseAlarms(2.0),
    },
    Row {
        name: "take 1.2 times as long",
        slowness: Slowness::Times(1.2),
        goal: Goal::Seen,
    },
    Row {
        name: "take twice as long",
        slowness: Slowness::Times(2.0),
        goal: Goal::Found,
    },
    Row {
        name: "1 % are stuck for a second",
        slowness: Slowness::Stuck(0.01),
        goal: Goal::Found,
    },
];

/// What a canary does to durations.
#[derive(Clone, Copy)]
pub(crate) enum Slowness {
    /// Nothing.
    None,
    /// All take so many times as long.
    Times(f64),
    /// This share takes a second more.
    Stuck(f64),
}

/// The median in milliseconds.
const MEDIAN: f64 = 50.0;
/// The standard deviation of the logarithm: p99 is at 4 times the median.
const SPREAD: f64 = 0.6;
/// How long a stuck request takes, in milliseconds.
const STUCK: f64 = 1000.0;
/// The share of both versions' requests that fail.
const FAILS: f64 = 0.0005;

/// Simulates one at so many requests a second.
pub(crate) fn simulate(rate: f64, slowness: Slowness, random: &mut Pcg64Mcg) -> End {
    let parameters = Parameters {
        endless: true,
        ..Parameters::default()
    };
    let (stable, canary) = (slower(Slowness::None), slower(slowness));
    let both = rate * TICK as f64;
    // Of the hour before only its errors are wanted tick by tick.
    let halves: Vec<Pair> = ramp::before()
        .map(|(_, weight)| Pair {
            canary: count(both * weight, FAILS, random),
            stable: count(both * (1.0 - weight), FAILS, random),
        })
        .collect();
    let hour = draw(both * halves.len() as f64, &stable, random);
    let known: Vec<(f64, Count)> = bounds().zip(hour.slower).collect();
    let dispersion = calibrate::measure(&halves);
    let mut state = State::begin(&parameters, Timestamp(0), dispersion, &known);
    let mut end = End::default();
    for (second, weight) in ramp::ticks() {
        let canary = draw(both * weight, &canary, random);
        let stable = draw(both * (1.0 - weight), &stable, random);
        end.failed += canary.failed.bad;
        if matches!(
            state.take(&parameters, &tick(second, canary, stable)),
            Verdict::RollBack(_)
        ) {
            end.taken_back = Some(second);
            break;
        }
    }
    end
}

/// What one version's requests of a tick came to.
struct Drawn {
    failed: Count,
    /// By bound.
    slower: Vec<Count>,
}

/// From the least bound up: of those slower than one, some are slower than the next.
fn draw(expected: f64, slower: &[f64], random: &mut Pcg64Mcg) -> Drawn {
    let failed = count(expected, FAILS, random);
    let (mut left, mut before) = (failed.requests, 1.0);
    let slower = slower.iter().map(|share| {
        left = of(left, share / before, random);
        before = share.max(f64::MIN_POSITIVE);
        Count::new(failed.requests, left)
    });
    Drawn {
        slower: slower.collect(),
        failed,
    }
}

fn tick(second: u64, canary: Drawn, stable: Drawn) -> Tick {
    let slower = canary.slower.into_iter().zip(stable.slower);
    Tick {
        at: Timestamp(second as i64 * 1000),
        errors: Pair {
            canary: canary.failed,
            stable: stable.failed,
        },
        latency: bounds()
            .zip(slower)
            .map(|(bound, (canary, stable))| Boundary {
                bound,
                slower: Pair { canary, stable },
            })
            .collect(),
    }
}

fn bounds() -> impl Iterator<Item = f64> {
    BUCKETS.iter().map(|(bound, _)| *bound as f64)
}

/// The shares of requests that take longer than each bound.
fn slower(slowness: Slowness) -> Vec<f64> {
    let lognormal = |bound: f64| above(((bound / MEDIAN).ln()) / SPREAD);
    bounds()
        .map(|bound| match slowness {
            Slowness::None => lognormal(bound),
            Slowness::Times(times) => lognormal(bound / times),
            Slowness::Stuck(share) => {
                let stuck = if bound < STUCK { 1.0 } else { 0.0 };
                (1.0 - share) * lognormal(bound) + share * stuck
            }
        })
        .collect()
}

/// The share of a normal distribution above so many standard deviations (Abramowitz and Stegun
/// 7.1.26, whose error is below 1e-7).
fn above(deviations: f64) -> f64 {
    const TERMS: [f64; 5] = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let x = deviations.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let tail = sum * (-x * x).exp() / 2.0;
    if deviations < 0.0 { 1.0 - tail } else { tail }
}

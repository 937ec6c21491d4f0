//! One release under three rules at once: they see the same requests.

use rand_pcg::Pcg64Mcg;
use serin_core::judge::baseline::Verdict as Looked;
use serin_core::judge::flagger::{Analysis, Flagger};
use serin_core::judge::threshold::{Run, Threshold};
use serin_core::judge::{Pair, Parameters, State, Tick, Verdict, calibrate};
use serin_core::time::Timestamp;

use crate::ramp;
use crate::service::{Course, Service};

/// How a release went under one rule.
#[derive(Clone, Copy, Default)]
pub(crate) struct End {
    /// When it was taken back, in seconds; none: never.
    pub(crate) taken_back: Option<u64>,
    /// How many requests the canary failed until then, or until the end.
    pub(crate) failed: u64,
    /// Whether the judge's last word was that the canary is good.
    pub(crate) good: bool,
}

/// The rules, in the order of the table.
pub(crate) const RULES: [&str; 3] = ["`compare`", "Argo Rollouts' rule", "Flagger's rule"];

/// Simulates one.
pub(crate) fn simulate(service: Service, random: &mut Pcg64Mcg) -> [End; RULES.len()] {
    let parameters = in_the_background();
    let (threshold, flagger) = (Threshold::default(), Flagger::default());
    let begun = Timestamp(0);
    let measured = calibrate::measure(&before(service, random));
    let mut compare = State::begin(&parameters, begun, measured, &[]);
    let mut argo = Run::begin(&threshold, begun);
    let mut other = Analysis::begin(&flagger, begun);
    let mut course = Course::begin(service, random);
    let mut ends = [End::default(); RULES.len()];
    for (second, weight) in ramp::ticks() {
        let tick = tick(second, course.tick(second, weight, random));
        let verdict = compare.take(&parameters, &tick);
        ends[0].good = matches!(verdict, Verdict::Promote(_));
        let bad = [
            matches!(verdict, Verdict::RollBack(_)),
            matches!(argo.take(&threshold, &tick), Looked::RollBack(_)),
            matches!(other.take(&flagger, &tick), Looked::RollBack(_)),
        ];
        for (end, bad) in ends.iter_mut().zip(bad) {
            if end.taken_back.is_none() {
                end.failed += tick.errors.canary.bad;
                end.taken_back = bad.then_some(second);
            }
        }
    }
    ends
}

/// The judge as it watches all of a release, without latency: all of alpha is for errors.
fn in_the_background() -> Parameters {
    Parameters {
        latency: None,
        endless: true,
        ..Parameters::default()
    }
}

/// Stable against itself in the hour before, each half with bursts of its own.
fn before(service: Service, random: &mut Pcg64Mcg) -> Vec<Pair> {
    let halves = service.at_rest();
    let mut course = Course::begin(halves, random);
    ramp::before()
        .map(|(second, weight)| course.tick(second, weight, random))
        .collect()
}

fn tick(second: u64, errors: Pair) -> Tick {
    Tick {
        at: Timestamp(second as i64 * 1000),
        errors,
        latency: Vec::new(),
    }
}

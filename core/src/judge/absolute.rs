//! Evidence that the canary fails less often than is tolerated, whatever stable does.

use super::count::{Count, number};
use super::evidence::ln_mean;

/// The alternatives, as parts of what is tolerated.
const PARTS: [f64; 3] = [0.5, 0.25, 0.0];

/// The logarithm of the evidence against "a request fails with probability `tolerated` or more". It is
/// a test martingale in the requests, so it may be looked at after each of them.
///
/// Without an error `ln(1/beta) / -ln(1 - tolerated)` requests or a little more refute at level beta:
/// 298 at 1 % and 0.05 for the last alternative alone.
pub fn ln(canary: Count, tolerated: f64) -> f64 {
    ln_mean(&PARTS.map(|part| one(canary, tolerated, part * tolerated)))
}

fn one(canary: Count, tolerated: f64, share: f64) -> f64 {
    let (bad, good) = (
        number(canary.bad),
        number(canary.requests.saturating_sub(canary.bad)),
    );
    let of_bad = if canary.bad == 0 {
        0.0
    } else {
        bad * (share / tolerated).ln()
    };
    of_bad + good * ((1.0 - share) / (1.0 - tolerated)).ln()
}

/// How much the evidence grows with each request that fails with this probability; the best
/// alternative counts.
pub(super) fn growth(fails: f64, tolerated: f64) -> f64 {
    let growth = |part: f64| {
        let share = part * tolerated;
        let of_bad = if fails == 0.0 {
            0.0
        } else {
            fails * (share / tolerated).ln()
        };
        of_bad + (1.0 - fails) * ((1.0 - share) / (1.0 - tolerated)).ln()
    };
    PARTS
        .map(growth)
        .into_iter()
        .fold(f64::NEG_INFINITY, f64::max)
}

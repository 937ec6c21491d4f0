//! The absolute guards: how fast a version uses up what its objective allows to fail.

use std::time::Duration;

use super::count::{Count, Pair, number};
use super::recent::{LONGEST, Recent};

/// The page-at-once rate of the SRE Workbook, chapter 5.
const FAST: f64 = 14.4;
const SHORT: Duration = Duration::from_secs(60);
/// Fewer failures than this are no rate.
const ENOUGH: u64 = 8;
/// A version is ill if it fails this many standard deviations more often than is allowed.
const CLEARLY: f64 = 2.0;
const SOME: u64 = 3;

/// How many times as fast as allowed the canary fails, in the last minute, if that is too fast and so
/// it was over five; `allowed` is the share that may fail. With what was counted in that minute.
pub(super) fn burning(recent: &Recent, allowed: f64) -> Option<(f64, Pair)> {
    let (short, long) = (recent.within(SHORT), recent.within(LONGEST));
    let burn = |counted: Pair| counted.canary.share() / allowed;
    let fast = burn(short) > FAST && burn(long) > FAST && short.canary.bad >= ENOUGH;
    fast.then(|| (burn(short), short))
}

/// What stable did in the last minute, if it clearly fails more often than is allowed.
pub(super) fn ill(recent: &Recent, allowed: f64) -> Option<Count> {
    let stable = recent.within(SHORT).stable;
    let expected = number(stable.requests) * allowed;
    let ill = number(stable.bad) > expected + CLEARLY * expected.sqrt() && stable.bad >= SOME;
    ill.then_some(stable)
}

//! How many more requests the judge needs, if the canary is as good as stable.

use super::absolute;
use super::count::{Pair, number};
use super::parameters::Promotion;

/// More than this is never, said in other words.
const MOST: f64 = 1e9;

/// How far the evidence for promotion is, as logarithms.
pub(super) struct Progress {
    /// That the canary fails less often than is tolerated.
    pub(super) absolute: f64,
    /// That it does not fail so many times as often as stable.
    pub(super) ratio: f64,
}

/// Requests of the canary that are still needed on average; none if no number is enough.
pub(super) fn needed(counted: Pair, progress: &Progress, promotion: &Promotion) -> Option<u64> {
    let enough = (1.0 / promotion.beta).ln();
    // Both versions together, and half an error more: a canary that is as good as stable.
    let both = number(counted.canary.requests + counted.stable.requests);
    let fails = (number(counted.canary.bad + counted.stable.bad) + 0.5) / (both + 1.0);
    let paths = [
        (
            progress.absolute,
            absolute::growth(fails, promotion.tolerated),
        ),
        (progress.ratio, growth(counted, fails, promotion.ratio)),
    ];
    let requests = paths
        .into_iter()
        .filter(|(_, growth)| *growth > 0.0)
        .map(|(have, growth)| ((enough - have) / growth).ceil().max(1.0))
        .fold(f64::INFINITY, f64::min);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 1 and MOST"
    )]
    let whole = (requests <= MOST).then_some(requests as u64);
    whole
}

/// What one request to the canary, and those to stable that come with it, add to the evidence against
/// `ratio` if both fail with the same probability.
fn growth(counted: Pair, fails: f64, ratio: f64) -> f64 {
    let odds = number(counted.canary.requests) / number(counted.stable.requests);
    if !odds.is_finite() || odds == 0.0 {
        return 0.0;
    }
    let (equal, worse) = (odds / (odds + 1.0), odds * ratio / (odds * ratio + 1.0));
    let each = equal * (equal / worse).ln() + (1.0 - equal) * ((1.0 - equal) / (1.0 - worse)).ln();
    fails * (1.0 + 1.0 / odds) * each
}

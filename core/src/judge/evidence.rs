//! The e-process: how much likelier what was counted is if the canary is worse than if it is not.

use serde::{Deserialize, Serialize};

use super::burst::Bad;
use super::count::{Pair, number};

/// A hypothesis and its alternatives, as ratios of the canary's share of bad requests to stable's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule<'a> {
    /// What is to be refuted.
    pub null: f64,
    /// What may be true instead; the evidence is their mean.
    pub alternatives: &'a [f64],
    /// How much one tick may add to an alternative's logarithm; none: any amount.
    pub cap: Option<f64>,
    /// The standard deviation, from tick to tick, of the logarithm of two equal versions' ratio: real
    /// errors come in bursts. 0: they do not.
    pub dispersion: f64,
    /// Whether a tick adds no more either than if that ratio had a beta distribution, whose tails are
    /// heavy as those of bursts.
    pub tails: bool,
}

/// The alternatives of "the canary fails more often".
pub const WORSE: [f64; 7] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// The alternatives of "the canary is slower more often".
pub const SLOWER: [f64; 6] = [1.2, 1.5, 2.0, 3.0, 5.0, 10.0];

/// The logarithm of the likelihood ratio of each alternative.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Evidence(Vec<f64>);

impl Evidence {
    /// Takes in a tick. One in which nothing was bad, or only one version was asked, tells nothing.
    pub fn take(&mut self, tick: Pair, rule: &Rule<'_>) {
        self.0.resize(rule.alternatives.len(), 0.0);
        let Some(bad) = Bad::of(tick) else {
            return;
        };
        let null = bad.share(rule.null);
        // Below this it changes nothing that shows, and its numbers leave what a float can tell apart.
        const LEAST: f64 = 1e-3;
        let tails = rule.tails && rule.dispersion >= LEAST;
        let beta = tails.then(|| bad.beta(null, rule.dispersion));
        for (sum, ratio) in self.0.iter_mut().zip(rule.alternatives) {
            let other = bad.share(*ratio);
            let tempered = bad.tempered(null, other, rule.dispersion);
            let more = beta.map_or(tempered, |beta| tempered.min(beta.of(other)));
            *sum += rule.cap.map_or(more, |cap| more.min(cap));
        }
    }

    /// The logarithm of the evidence: 0 says nothing, `ln(1/alpha)` refutes at level alpha.
    pub fn ln(&self) -> f64 {
        ln_mean(&self.0)
    }
}

/// The logarithm of the mean of what these are the logarithms of; 0 of none.
pub(super) fn ln_mean(logarithms: &[f64]) -> f64 {
    let most = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return if logarithms.is_empty() { 0.0 } else { most };
    }
    let sum: f64 = logarithms.iter().map(|one| (one - most).exp()).sum();
    most + (sum / number(logarithms.len() as u64)).ln()
}

/// The most that one tick may add where `components` share the evidence, so that this many ticks have
/// to agree before it refutes at level alpha.
pub fn cap(components: usize, alpha: f64, ticks: u32) -> Option<f64> {
    let whole = (number(components as u64) / alpha).ln();
    (ticks > 0).then(|| whole / f64::from(ticks))
}

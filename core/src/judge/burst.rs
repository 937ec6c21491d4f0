//! What one tick tells of a ratio, where bad requests may come in bursts.
//!
//! Without bursts, and given how many requests of both were bad, the canary's are binomial. In bursts
//! they vary more. Two ways to allow for it are here, and a tick adds the lesser: an increment below
//! one that keeps the promise keeps it too, so with bursts or without the promise stands.

use super::count::Pair;
use super::count::number;

/// A tick in which something was bad.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bad {
    canary: f64,
    stable: f64,
    odds: f64,
}

impl Bad {
    /// None of one in which nothing was bad, or only one version was asked: it tells nothing.
    pub(super) fn of(tick: Pair) -> Option<Bad> {
        let Pair { canary, stable } = tick;
        let tells = canary.requests > 0 && stable.requests > 0 && canary.bad + stable.bad > 0;
        tells.then(|| Bad {
            canary: number(canary.bad),
            stable: number(stable.bad),
            odds: number(canary.requests) / number(stable.requests),
        })
    }

    /// The canary's share of all bad ones, if its requests are so many times as often bad.
    pub(super) fn share(self, ratio: f64) -> f64 {
        self.odds * ratio / (self.odds * ratio + 1.0)
    }

    /// The logarithm of the likelihood of one share by another's, tempered: in bursts the variance of
    /// the canary's part grows by this factor, and what the tick tells falls by it.
    ///
    /// Without bursts the mean of the untempered likelihood ratio is 1 at most, and a root's is too.
    pub(super) fn tempered(self, null: f64, other: f64, dispersion: f64) -> f64 {
        let Bad { canary, stable, .. } = self;
        let told = canary * (other / null).ln() + stable * ((1.0 - other) / (1.0 - null)).ln();
        let bad = canary + stable;
        told / (1.0 + (bad - 1.0) * null * (1.0 - null) * dispersion.powi(2))
    }

    /// The same if the share itself varies from tick to tick, as a beta distribution of the mean that
    /// is said and of this dispersion does.
    ///
    /// Tempering is right about the variance and wrong about a tick ten times as bad as others, to
    /// which it gives ten times the weight; here it is the logarithm of ten.
    pub(super) fn beta(self, null: f64, dispersion: f64) -> Beta {
        let variance = null * (1.0 - null) * dispersion.powi(2);
        let concentration = (1.0 / variance - 1.0).max(LEAST);
        Beta {
            bad: self,
            concentration,
            null: self.likelihood(null, concentration),
        }
    }

    /// The logarithm of the beta-binomial likelihood, less what does not depend on the share.
    fn likelihood(self, share: f64, concentration: f64) -> f64 {
        let (canary, stable) = (concentration * share, concentration * (1.0 - share));
        rising(canary, self.canary) + rising(stable, self.stable)
    }
}

/// What [`Bad::beta`] says of a null hypothesis, to hold alternatives against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beta {
    bad: Bad,
    concentration: f64,
    null: f64,
}

impl Beta {
    /// The logarithm of the likelihood of this share by the null's.
    pub(super) fn of(self, other: f64) -> f64 {
        self.bad.likelihood(other, self.concentration) - self.null
    }
}

/// A concentration below this is a coin that lies on one side for a whole tick; it comes of
/// dispersions of 4 and more only, which nobody measures.
const LEAST: f64 = 0.05;
/// Up to so many factors are multiplied: it is quicker, and far from overflowing.
const FEW: f64 = 16.0;

/// The logarithm of `x (x + 1) ... (x + n - 1)`.
fn rising(x: f64, n: f64) -> f64 {
    if n > FEW {
        return ln_gamma(x + n) - ln_gamma(x);
    }
    let (mut product, mut factor) = (1.0, x);
    while factor < x + n - 0.5 {
        product *= factor;
        factor += 1.0;
    }
    product.ln()
}

/// The logarithm of the gamma function of a positive number, to ten digits: Stirling's series from 8
/// on, where its next term is below 3e-10, and `gamma(x) = gamma(x + 1) / x` up to there.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 1.0_f64);
    while x < 8.0 {
        below *= x;
        x += 1.0;
    }
    let (one, square) = (1.0 / x, 1.0 / (x * x));
    let series = one * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0));
    let of_two_pi = std::f64::consts::TAU.ln() / 2.0;
    (x - 0.5) * x.ln() - x + of_two_pi + series - below.ln()
}

#[cfg(test)]
mod tests {
    use super::super::count::Count;
    use super::*;

    #[test]
    fn gamma_is_that_of_tables() {
        let table = [
            (0.5, 0.572_364_942_9),
            (1.0, 0.0),
            (3.5, 1.200_973_602_3),
            (10.0, 12.801_827_480_1),
            (1000.5, 5_908.674_175_8),
        ];
        for (x, expected) in table {
            let found = ln_gamma(x);
            assert!((found - expected).abs() < 1e-6, "{x}: {found}");
        }
    }

    #[test]
    fn without_dispersion_both_say_the_same_and_in_a_great_burst_the_beta_says_less() {
        let tick = |canary, stable| {
            Bad::of(Pair {
                canary: Count::new(5_000, canary),
                stable: Count::new(95_000, stable),
            })
            .unwrap()
        };
        let usual = tick(9, 95);
        let (null, other) = (usual.share(1.0), usual.share(2.0));
        let (tempered, beta) = (
            usual.tempered(null, other, 0.001),
            usual.beta(null, 0.001).of(other),
        );
        assert!((tempered - beta).abs() < 1e-4, "{tempered} and {beta}");
        let burst = tick(90, 40);
        assert!(burst.beta(null, 1.0).of(other) < burst.tempered(null, other, 1.0) / 2.0);
    }
}

//! How much errors come in bursts, measured on stable against itself.

use serde::{Deserialize, Serialize};

use super::count::{Pair, number};
use super::parameters::DISPERSION;

/// The standard deviation of the logarithm of two equal versions' ratio, from tick to tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    /// The value in use.
    pub value: f64,
    /// Where it is from.
    pub from: Source,
}

/// Where a dispersion is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The manifest says it.
    Given,
    /// Stable's pods had too few errors to measure it.
    Default,
    /// Stable's pods, one half of them against the other.
    Stable {
        /// Over so many ticks.
        ticks: u64,
        /// With so many errors.
        bad: u64,
    },
}

/// So many ticks with errors are needed.
const TICKS: u64 = 20;
/// And the variance has to be known this well: as its default is large.
const PRECISION: f64 = DISPERSION * DISPERSION;
/// Bursts last: a minute is followed by one like it. Blocks of so many ticks show what that adds, 16
/// of 15 s are four minutes; longer ones are too few in an hour.
const BLOCKS: [usize; 4] = [2, 4, 8, 16];
/// The variance counts so many times: an hour shows few of the worst bursts, and the canary's may be
/// its first.
const MARGIN: f64 = 2.0;
/// What is measured is kept within these: less is never sure, more leaves nothing to judge by.
const BOUNDS: (f64, f64) = (0.2, 3.0);

/// Measures it on ticks that hold one half of stable as the canary and the other as stable; none if
/// they have too few errors.
///
/// The variance of one half's share of `m` errors is `m q (1-q) (1 + (m-1) q (1-q) eta^2)`, which is
/// solved for eta over all ticks; and over blocks of them, where bursts that last add up. What blocks
/// show counts only beyond what chance alone would.
pub fn measure(halves: &[Pair]) -> Option<Dispersion> {
    let residuals: Vec<Residual> = halves.iter().map(Residual::of).collect();
    let weight: f64 = residuals.iter().map(|one| one.weight).sum();
    let (ticks, bad) = residuals
        .iter()
        .filter(|one| one.bad > 0)
        .fold((0, 0), |(ticks, bad), one| (ticks + 1, bad + one.bad));
    let single = Variance::of(&residuals, 1, weight);
    // Not a number where no tick has two errors.
    let precise = single.chance <= PRECISION;
    let most = BLOCKS
        .map(|length| Variance::of(&residuals, length, weight))
        .iter()
        .map(|block| block.value - block.chance)
        .fold(single.value, f64::max);
    (ticks >= TICKS && precise).then(|| Dispersion {
        value: (MARGIN * most).max(0.0).sqrt().clamp(BOUNDS.0, BOUNDS.1),
        from: Source::Stable { ticks, bad },
    })
}

/// How far one half's errors of a tick are from its share of them.
#[derive(Clone, Copy, Default)]
struct Residual {
    bad: u64,
    off: f64,
    /// What chance makes of the square of that.
    variance: f64,
    /// What a dispersion of 1 would add to it.
    weight: f64,
}

impl Residual {
    fn of(halves: &Pair) -> Residual {
        let Pair { canary, stable } = halves;
        if canary.requests == 0 || stable.requests == 0 {
            return Residual::default();
        }
        let share = number(canary.requests) / (number(canary.requests) + number(stable.requests));
        let (bad, of_one) = (canary.bad + stable.bad, share * (1.0 - share));
        let m = number(bad);
        Residual {
            bad,
            off: number(canary.bad) - m * share,
            variance: m * of_one,
            weight: m * (m - 1.0).max(0.0) * of_one.powi(2),
        }
    }
}

/// The square of the dispersion, and its standard error if there were none.
struct Variance {
    value: f64,
    chance: f64,
}

impl Variance {
    fn of(residuals: &[Residual], length: usize, weight: f64) -> Variance {
        let (mut excess, mut square) = (0.0, 0.0);
        for block in residuals.chunks(length) {
            let off: f64 = block.iter().map(|one| one.off).sum();
            let variance: f64 = block.iter().map(|one| one.variance).sum();
            excess += off * off - variance;
            square += 2.0 * variance * variance;
        }
        Variance {
            value: excess / weight,
            chance: square.sqrt() / weight,
        }
    }
}

impl Dispersion {
    /// The one to use: what the manifest gives, what was measured, or [`DISPERSION`].
    pub fn choose(given: Option<f64>, measured: Option<Dispersion>) -> Dispersion {
        let given = given.map(|value| Dispersion {
            value,
            from: Source::Given,
        });
        given.or(measured).unwrap_or(Dispersion {
            value: DISPERSION,
            from: Source::Default,
        })
    }
}

impl std::fmt::Display for Dispersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Dispersion { value, from } = self;
        match from {
            Source::Given => write!(f, "{value} (from the manifest)"),
            Source::Default => write!(
                f,
                "{value} (the default: stable has too few errors, or one process)"
            ),
            Source::Stable { ticks, bad } => write!(
                f,
                "{value:.2} (measured on stable against itself: {bad} errors in {ticks} ticks)"
            ),
        }
    }
}

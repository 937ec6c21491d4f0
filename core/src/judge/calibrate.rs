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
/// And so many errors.
const BAD: u64 = 100;
/// What is measured is kept within these: less is never sure, more leaves nothing to judge by.
const BOUNDS: (f64, f64) = (0.2, 1.5);

/// Measures it on ticks that hold one half of stable as the canary and the other as stable; none if
/// they have too few errors.
///
/// The variance of one half's share of `m` errors is `m q (1-q) (1 + (m-1) q (1-q) eta^2)`, which is
/// solved for eta over all ticks.
pub fn measure(halves: &[Pair]) -> Option<Dispersion> {
    let (mut excess, mut weight, mut ticks, mut all) = (0.0, 0.0, 0, 0);
    for Pair { canary, stable } in halves {
        let bad = canary.bad + stable.bad;
        if canary.requests == 0 || stable.requests == 0 || bad < 2 {
            continue;
        }
        let share = number(canary.requests) / (number(canary.requests) + number(stable.requests));
        let (m, of_one) = (number(bad), share * (1.0 - share));
        excess += (number(canary.bad) - m * share).powi(2) - m * of_one;
        weight += m * (m - 1.0) * of_one.powi(2);
        ticks += 1;
        all += bad;
    }
    (ticks >= TICKS && all >= BAD).then(|| Dispersion {
        value: (excess / weight).max(0.0).sqrt().clamp(BOUNDS.0, BOUNDS.1),
        from: Source::Stable { ticks, bad: all },
    })
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
            Source::Default => write!(f, "{value} (the default: stable has too few errors)"),
            Source::Stable { ticks, bad } => write!(
                f,
                "{value:.2} (measured on stable against itself: {bad} errors in {ticks} ticks)"
            ),
        }
    }
}

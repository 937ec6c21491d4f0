//! A service as it is simulated: how often each version fails, and how that changes.

use rand::RngExt;
use rand_distr::{Binomial, Distribution, Poisson, StandardNormal};
use rand_pcg::Pcg64Mcg;
use serin_core::judge::{Count, Pair};

use crate::ramp::{RELEASE, TICK};

/// A row of the table, seen from the world.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    /// Requests a second, both versions together.
    pub(crate) rate: f64,
    /// The share of the canary's requests that fail.
    pub(crate) canary: f64,
    /// The share of stable's.
    pub(crate) stable: f64,
    /// What makes errors come together.
    pub(crate) trouble: Trouble,
}

/// What makes errors come together.
#[derive(Clone, Copy)]
pub(crate) enum Trouble {
    /// Nothing: every request fails by itself.
    None,
    /// Some dependency is away: both fail `share` of their requests, for `seconds` somewhere in the
    /// release.
    Shared { share: f64, seconds: u64 },
    /// Each version's share has a lognormal factor of its own in every tick, of mean 1.
    Bursts(Bursts),
}

/// How strong they are.
#[derive(Clone, Copy)]
pub(crate) struct Bursts {
    /// Standard deviation by mean.
    pub(crate) variation: f64,
    /// From one tick to the next, of the logarithm.
    pub(crate) correlation: f64,
}

impl Service {
    /// Stable alone, as two halves that are the same; a dependency's outage comes later.
    pub(crate) fn at_rest(self) -> Service {
        let trouble = match self.trouble {
            Trouble::Shared { .. } => Trouble::None,
            other => other,
        };
        Service {
            canary: self.stable,
            trouble,
            ..self
        }
    }
}

/// One course of events.
pub(crate) struct Course {
    service: Service,
    outage: Option<(u64, u64, f64)>,
    canary: Factor,
    stable: Factor,
}

/// A version's own factor, as a standard normal.
struct Factor(f64);

impl Course {
    pub(crate) fn begin(service: Service, random: &mut Pcg64Mcg) -> Course {
        let outage = match service.trouble {
            Trouble::Shared { share, seconds } => {
                let from = random.random_range(0..RELEASE - seconds);
                Some((from, from + seconds, share))
            }
            _ => None,
        };
        Course {
            service,
            outage,
            canary: Factor(random.sample(StandardNormal)),
            stable: Factor(random.sample(StandardNormal)),
        }
    }

    /// What is counted in the tick that ends at this second, at this weight of the canary.
    pub(crate) fn tick(&mut self, second: u64, weight: f64, random: &mut Pcg64Mcg) -> Pair {
        let Service {
            rate,
            canary,
            stable,
            trouble,
        } = self.service;
        let both = rate * TICK as f64;
        let (mut canary, mut stable) = (canary, stable);
        if let Some((from, to, share)) = self.outage
            && second > from
            && second <= to
        {
            (canary, stable) = (share, share);
        }
        if let Trouble::Bursts(bursts) = trouble {
            canary *= self.canary.next(bursts, random);
            stable *= self.stable.next(bursts, random);
        }
        Pair {
            canary: count(both * weight, canary, random),
            stable: count(both * (1.0 - weight), stable, random),
        }
    }
}

impl Factor {
    fn next(&mut self, bursts: Bursts, random: &mut Pcg64Mcg) -> f64 {
        let Bursts {
            variation,
            correlation,
        } = bursts;
        let new: f64 = random.sample(StandardNormal);
        self.0 = correlation * self.0 + (1.0 - correlation * correlation).sqrt() * new;
        // Of a lognormal: its variance by its mean squared is exp(variance of the logarithm) - 1.
        let variance = (variation * variation).ln_1p();
        (variance.sqrt() * self.0 - variance / 2.0).exp()
    }
}

/// As many requests as come by chance, and those of them that are bad.
pub(crate) fn count(expected: f64, bad: f64, random: &mut Pcg64Mcg) -> Count {
    let requests = Poisson::new(expected).map_or(0.0, |all| all.sample(random)) as u64;
    Count::new(requests, of(requests, bad, random))
}

/// As many of these as chance takes, each with this probability.
pub(crate) fn of(all: u64, probability: f64, random: &mut Pcg64Mcg) -> u64 {
    if all == 0 {
        return 0;
    }
    Binomial::new(all, probability.clamp(0.0, 1.0)).map_or(0, |some| some.sample(random))
}

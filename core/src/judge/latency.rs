//! The latency test: the same evidence on "slower than a bound", averaged over bounds. The mean of
//! e-values is one whatever they have to do with each other, so no bound costs another its power.

use serde::{Deserialize, Serialize};

use super::count::{Boundary, Count, Pair};
use super::evidence::{Evidence, Rule, SLOWER, cap, ln_mean};

/// What is known of the canary's slowness.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// What stable did before the bounds were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<(f64, Count)>,
    tests: Vec<Test>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Test {
    bound: f64,
    evidence: Evidence,
    slower: Pair,
}

/// So many requests of stable show which bounds tell something.
const ENOUGH: u64 = 200;
/// Stable's share of slower requests at a bound that tells something.
const SHARES: (f64, f64) = (1e-4, 0.5);
/// Neighbours whose shares are closer than this tell the same; the fewer share the evidence, the
/// sooner it is enough.
const APART: f64 = 1.5;

impl Latency {
    /// One that knows what stable did before, by bound.
    pub(super) fn new(before: &[(f64, Count)]) -> Latency {
        let mut latency = Latency {
            before: before.to_vec(),
            tests: Vec::new(),
        };
        latency.choose();
        latency
    }

    /// Takes in a tick. The bounds are chosen by what came before it, or the choice would be evidence.
    pub(super) fn take(&mut self, tick: &[Boundary], alpha: f64, ticks: u32, dispersion: f64) {
        let components = SLOWER.len() * self.tests.len();
        let rule = Rule {
            null: 1.0,
            alternatives: &SLOWER,
            cap: cap(components, alpha, ticks),
            dispersion,
            tails: true,
        };
        for test in &mut self.tests {
            let counted = tick.iter().find(|one| one.bound == test.bound);
            if let Some(counted) = counted {
                test.evidence.take(counted.slower, &rule);
                test.slower += counted.slower;
            }
        }
        if self.tests.is_empty() {
            for one in tick {
                match self
                    .before
                    .iter_mut()
                    .find(|(bound, _)| *bound == one.bound)
                {
                    Some((_, count)) => *count += one.slower.stable,
                    None => self.before.push((one.bound, one.slower.stable)),
                }
            }
            self.choose();
        }
    }

    /// The logarithm of the evidence.
    pub fn ln(&self) -> f64 {
        let each: Vec<f64> = self.tests.iter().map(|test| test.evidence.ln()).collect();
        ln_mean(&each)
    }

    /// The bound that tells most of those whose logarithm and count are as wanted, with what was
    /// counted there. The one that tells most of all may lie where a difference is sure and small.
    pub(super) fn worst(&self, wanted: impl Fn(f64, Pair) -> bool) -> Option<Boundary> {
        let told = self.tests.iter().map(|test| (test.evidence.ln(), test));
        let (_, worst) = told
            .filter(|(ln, test)| wanted(*ln, test.slower))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        Some(Boundary {
            bound: worst.bound,
            slower: worst.slower,
        })
    }

    /// How many of the canary's requests were compared.
    pub(super) fn seen(&self) -> u64 {
        let seen = self.tests.iter().map(|test| test.slower.canary.requests);
        seen.max().unwrap_or(0)
    }

    /// The bounds that are watched, rising.
    pub fn bounds(&self) -> impl Iterator<Item = f64> {
        self.tests.iter().map(|test| test.bound)
    }

    fn choose(&mut self) {
        if self.before.iter().all(|(_, count)| count.requests < ENOUGH) {
            return;
        }
        self.before
            .sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut last = f64::INFINITY;
        for (bound, count) in self.before.drain(..) {
            let share = count.share();
            let tells = share <= SHARES.1 && last > SHARES.0;
            // The first beyond all that stable ever does is watched too: there a canary gets stuck.
            let apart = last.is_infinite() || share <= SHARES.0 || share * APART <= last;
            if tells && apart && bound.is_finite() {
                last = share;
                self.tests.push(Test {
                    bound,
                    evidence: Evidence::default(),
                    slower: Pair::default(),
                });
            }
        }
    }
}

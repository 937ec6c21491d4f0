//! What was counted in a tick.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

use crate::time::Timestamp;

/// Requests of one version, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// All of them.
    pub requests: u64,
    /// Those that failed, or that were too slow; never more than all.
    pub bad: u64,
}

impl Count {
    /// A count; more bad ones than requests are as many.
    pub fn new(requests: u64, bad: u64) -> Count {
        Count {
            requests,
            bad: bad.min(requests),
        }
    }

    /// The share of bad ones, 0 to 1; 0 of nothing.
    pub fn share(self) -> f64 {
        if self.requests == 0 {
            0.0
        } else {
            number(self.bad) / number(self.requests)
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bad = self.bad.saturating_add(other.bad);
    }
}

/// The same of both versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The version on trial.
    pub canary: Count,
    /// The version that serves everybody else.
    pub stable: Count,
}

impl Pair {
    /// How many times as often the canary's requests are bad as stable's; infinite if only the
    /// canary's are, 1 if none are.
    pub fn ratio(self) -> f64 {
        match (self.canary.share(), self.stable.share()) {
            (0.0, 0.0) => 1.0,
            (_, 0.0) => f64::INFINITY,
            (canary, stable) => canary / stable,
        }
    }

    /// By how much the canary's share is larger.
    pub fn difference(self) -> f64 {
        self.canary.share() - self.stable.share()
    }
}

impl AddAssign for Pair {
    fn add_assign(&mut self, other: Pair) {
        self.canary += other.canary;
        self.stable += other.stable;
    }
}

impl Add for Pair {
    type Output = Pair;

    fn add(mut self, other: Pair) -> Pair {
        self += other;
        self
    }
}

/// What came since the last tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Up to when it was counted.
    pub at: Timestamp,
    /// Requests and failed ones.
    pub errors: Pair,
    /// Requests and slower ones by boundary, boundaries rising; empty where nobody measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<Boundary>,
}

/// Requests that took longer than a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Boundary {
    /// The bound, in the unit of the histogram; the filter's is milliseconds.
    pub bound: f64,
    /// The requests, and the slower ones.
    pub slower: Pair,
}

/// A count as a number to reckon with. Counts stay far below 2^53.
pub(super) fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let number = count as f64;
    number
}

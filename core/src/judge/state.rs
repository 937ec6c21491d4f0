//! What the judge remembers, and the one step that it takes.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::calibrate::Dispersion;
use super::count::{Count, Pair, Tick};
use super::evidence::{Evidence, Rule, WORSE, cap};
use super::forecast::{Progress, needed};
use super::latency::Latency;
use super::parameters::{Parameters, Practical};
use super::recent::Recent;
use super::verdict::{Reason, Verdict};
use super::{absolute, burn, trip};
use crate::time::Timestamp;

/// A few numbers, written and read without losing a bit: whoever reads what another wrote goes on as
/// the other would have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Since when it counts.
    pub begun: Timestamp,
    /// Up to when it has counted.
    pub at: Timestamp,
    /// How much errors come in bursts.
    pub dispersion: Dispersion,
    /// All that was counted.
    pub counted: Pair,
    /// That the canary fails more often than stable.
    pub worse: Evidence,
    /// That it does not fail so many times as often.
    pub same: Evidence,
    /// The largest logarithm that `worse` had.
    pub most: f64,
    /// The last minutes.
    pub recent: Recent,
    /// That the canary is slower; none where nobody judges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The largest logarithm that `latency` had.
    #[serde(default)]
    pub most_slow: f64,
}

/// So many requests of the canary have to be compared before its latency is known at all.
const SEEN: u64 = 50;
/// Evidence above this keeps a canary from going on.
const SUSPECT: f64 = 5.0;

impl State {
    /// One that has seen nothing since `now`. `dispersion` is what was measured on stable, and
    /// `stable` its slower requests by bound, both before.
    pub fn begin(
        parameters: &Parameters,
        now: Timestamp,
        dispersion: Option<Dispersion>,
        stable: &[(f64, Count)],
    ) -> State {
        State {
            begun: now,
            at: now,
            dispersion: Dispersion::choose(parameters.dispersion, dispersion),
            counted: Pair::default(),
            worse: Evidence::default(),
            same: Evidence::default(),
            most: 0.0,
            recent: Recent::default(),
            latency: parameters.latency.map(|_| Latency::new(stable)),
            most_slow: 0.0,
        }
    }

    /// The same evidence in a new step of the same release, which has a deadline of its own.
    pub fn begin_step(mut self, now: Timestamp) -> State {
        self.begun = now;
        self
    }

    /// How many times as likely what was counted is if the canary is worse; the larger of the tests.
    pub fn evidence(&self) -> f64 {
        let slow = self.latency.as_ref().map_or(0.0, Latency::ln);
        self.worse.ln().max(slow).exp()
    }

    /// Takes in what came since [`State::at`], and says how things stand.
    pub fn take(&mut self, parameters: &Parameters, tick: &Tick) -> Verdict {
        self.count(parameters, tick);
        if let Some(bad) = self.bad(parameters) {
            return Verdict::RollBack(bad);
        }
        let ill = burn::ill(&self.recent, parameters.allowed);
        if ill.is_none() {
            if let Some((rate, counted)) = burn::burning(&self.recent, parameters.allowed) {
                return Verdict::RollBack(Reason::Burns { rate, counted });
            }
            if let Some(good) = self.good(parameters) {
                return Verdict::Promote(good);
            }
        }
        let reason = match ill {
            Some(stable) => Reason::StableIll { stable },
            None => self.open(parameters),
        };
        let over = self.at.since(self.begun) >= parameters.deadline;
        let unseen = self.counted.canary.requests == 0;
        match reason {
            reason if over && (unseen || !parameters.endless) => Verdict::Inconclusive(reason),
            Reason::StableIll { .. } => Verdict::Hold(reason),
            reason => Verdict::GoOn(reason),
        }
    }

    /// The logarithm of the evidence for the canary; it is let through above `ln(1/beta)`.
    pub fn ln_good(&self, parameters: &Parameters) -> f64 {
        let progress = self.progress(parameters);
        progress.absolute.max(progress.ratio)
    }

    fn count(&mut self, parameters: &Parameters, tick: &Tick) {
        let (alpha, ticks) = (parameters.alpha_each(), parameters.cap_ticks);
        let dispersion = self.dispersion.value;
        let worse = Rule {
            null: 1.0,
            alternatives: &WORSE,
            cap: cap(WORSE.len(), alpha, ticks),
            dispersion,
            tails: true,
        };
        let same = Rule {
            null: parameters.promotion.ratio,
            alternatives: &[1.0],
            cap: None,
            dispersion,
            // A canary that a burst of stable's lets on is still watched for being worse.
            tails: false,
        };
        self.worse.take(tick.errors, &worse);
        self.same.take(tick.errors, &same);
        self.most = self.most.max(self.worse.ln());
        if let Some(latency) = &mut self.latency {
            latency.take(&tick.latency, alpha, ticks, dispersion);
            self.most_slow = self.most_slow.max(latency.ln());
        }
        self.counted += tick.errors;
        self.recent.take(self.at, tick.at, tick.errors);
        self.at = tick.at;
    }

    /// Why the canary is bad.
    fn bad(&self, parameters: &Parameters) -> Option<Reason> {
        if let Some(counted) = trip::tripped(&self.recent) {
            return Some(Reason::Outage { counted });
        }
        let enough = (1.0 / parameters.alpha_each()).ln();
        let counted = self.counted;
        if self.worse.ln() >= enough && matters(counted, &parameters.errors) {
            let odds = self.most.exp();
            return Some(Reason::FailsMore { counted, odds });
        }
        let (latency, allowed) = (self.latency.as_ref()?, parameters.latency.as_ref()?);
        let at = latency.worst(|ln, slower| ln >= enough && matters(slower, &allowed.practical))?;
        (latency.ln() >= enough).then(|| {
            let odds = self.most_slow.exp();
            Reason::Slower { at, odds }
        })
    }

    /// Why the canary is good.
    fn good(&self, parameters: &Parameters) -> Option<Reason> {
        let progress = self.progress(parameters);
        let most = progress.absolute.max(progress.ratio);
        let over = self.at.since(self.begun) >= parameters.promotion.minimum;
        let enough = most >= (1.0 / parameters.promotion.beta).ln();
        let fast = self.latency.as_ref().is_none_or(|one| one.seen() >= SEEN);
        (over && enough && fast && self.suspicion(parameters).is_none()).then(|| Reason::Good {
            counted: self.counted,
            odds: most.exp(),
        })
    }

    /// What is missing for a verdict.
    fn open(&self, parameters: &Parameters) -> Reason {
        let counted = self.counted;
        if counted.canary.requests == 0 {
            let stable = counted.stable.requests;
            return Reason::NoRequests { stable };
        }
        if let Some(suspicion) = self.suspicion(parameters) {
            return suspicion;
        }
        let progress = self.progress(parameters);
        let enough = (1.0 / parameters.promotion.beta).ln();
        if progress.absolute.max(progress.ratio) >= enough {
            let passed = self.at.since(self.begun);
            let left = parameters.promotion.minimum.saturating_sub(passed);
            if left.is_zero() {
                return Reason::NoLatency { counted };
            }
            return Reason::Early { left, counted };
        }
        let requests = needed(counted, &progress, &parameters.promotion);
        let seconds = requests
            .zip(self.recent.rate())
            .map(|(requests, rate)| super::count::number(requests) / rate);
        Reason::Needs {
            requests,
            time: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            counted,
        }
    }

    /// What speaks against the canary, if it is too much to go on. A difference that is sure and too small
    /// to matter is none.
    fn suspicion(&self, parameters: &Parameters) -> Option<Reason> {
        let (errors, slow) = (self.worse.ln(), self.latency.as_ref().map(Latency::ln));
        let sure = (1.0 / parameters.alpha_each()).ln();
        if errors > SUSPECT.ln() && (errors < sure || matters(self.counted, &parameters.errors)) {
            return Some(Reason::Suspect {
                counted: self.counted,
                odds: errors.exp(),
            });
        }
        let slow = slow.filter(|slow| *slow > SUSPECT.ln())?;
        let practical = parameters.latency.as_ref()?.practical;
        let open = |ln, slower| ln < sure || matters(slower, &practical);
        let suspect = |ln, slower| ln > SUSPECT.ln() && open(ln, slower);
        Some(Reason::SuspectSlow {
            at: self.latency.as_ref()?.worst(suspect)?,
            odds: slow.exp(),
        })
    }

    fn progress(&self, parameters: &Parameters) -> Progress {
        Progress {
            absolute: absolute::ln(self.counted.canary, parameters.promotion.tolerated),
            ratio: self.same.ln(),
        }
    }
}

/// Whether a difference is large enough to act on.
fn matters(counted: Pair, practical: &Practical) -> bool {
    counted.canary.bad >= practical.bad
        && counted.ratio() >= practical.ratio
        && counted.difference() >= practical.difference
}

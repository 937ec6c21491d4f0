//! What the rules of thresholds that [`super::State`] is compared with have in common: they look at
//! the canary alone, through a window, at their own interval.

use std::fmt;
use std::time::Duration;

use super::count::{Count, Tick};
use crate::time::Timestamp;

/// What such a rule says at a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<Look> {
    /// It does not look at this tick, but after this time.
    Wait(Duration),
    /// It has looked, and the release goes on.
    GoOn(Look),
    /// It takes the release back, and stays with it.
    RollBack(Look),
}

impl<Look> Verdict<Look> {
    /// One word for it, as [`super::Verdict::name`].
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Wait(_) | Verdict::GoOn(_) => "wait",
            Verdict::RollBack(_) => "rollback",
        }
    }
}

impl<Look: fmt::Display> fmt::Display for Verdict<Look> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Wait(left) => write!(f, "looks again in {} s", left.as_secs()),
            Verdict::GoOn(look) | Verdict::RollBack(look) => look.fmt(f),
        }
    }
}

/// The canary's ticks, and when they are looked at next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    due: Timestamp,
    ticks: Vec<(Timestamp, Count)>,
}

impl Window {
    /// One that is looked at one interval after `begun` first: at once it would be empty.
    pub(super) fn begin(begun: Timestamp, interval: Duration) -> Window {
        Window {
            due: begun.plus(interval),
            ticks: Vec::new(),
        }
    }

    /// Takes in a tick, and forgets what ended `length` or longer before it.
    pub(super) fn take(&mut self, tick: &Tick, length: Duration) {
        self.ticks.push((tick.at, tick.errors.canary));
        self.ticks.retain(|(at, _)| tick.at.since(*at) < length);
    }

    /// What is in it, if it is time to look; the next time is one interval later. An error says how
    /// much of the time is left.
    pub(super) fn look(&mut self, now: Timestamp, interval: Duration) -> Result<Count, Duration> {
        let left = self.due.since(now);
        if !left.is_zero() {
            return Err(left);
        }
        self.due = now.plus(interval);
        let mut sum = Count::default();
        for (_, count) in &self.ticks {
            sum += *count;
        }
        Ok(sum)
    }
}

/// The share of requests that succeeded, 0 to 1; none of nothing.
pub(super) fn success(counted: Count) -> Option<f64> {
    (counted.requests > 0).then(|| 1.0 - counted.share())
}

/// `98.40 % of 600 succeeded`, or that there was nothing.
pub(super) struct Succeeded(pub(super) Count);

impl fmt::Display for Succeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match success(self.0) {
            Some(share) => {
                let (percent, requests) = (share * 100.0, self.0.requests);
                write!(f, "{percent:.2} % of {requests} succeeded")
            }
            None => write!(f, "no request"),
        }
    }
}

//! Flagger's rule, to compare with: ticks in, its checks out.
//!
//! It counts failed checks over the whole analysis and compares them with its threshold at the start
//! of the next interval, so a release that is bad from the first request is taken back after
//! `(threshold + 1) * interval` (`pkg/controller/scheduler.go`). No values is a failed check.

use std::fmt;
use std::time::Duration;

use super::baseline::{Succeeded, Verdict, Window, success};
use super::count::{Count, Tick};
use crate::time::Timestamp;

/// What a user of Flagger chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct Flagger {
    /// From one check to the next, and how far back each looks.
    pub interval: Duration,
    /// The share of requests that has to succeed, 0 to 1.
    pub success: f64,
    /// So many failed checks take the release back.
    pub threshold: u32,
}

impl Default for Flagger {
    /// The example of its documentation: every minute, 99 %, five checks.
    fn default() -> Self {
        Flagger {
            interval: Duration::from_secs(60),
            success: 0.99,
            threshold: 5,
        }
    }
}

/// An analysis under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    window: Window,
    last: Check,
    over: bool,
}

/// One look at the metric, and what it came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// The first is 1.
    pub number: u32,
    /// What the window held.
    pub counted: Count,
    /// How many checks have failed, with this one.
    pub failed: u32,
    /// How many take the release back.
    pub threshold: u32,
}

impl Analysis {
    /// One that begins now.
    pub fn begin(rule: &Flagger, now: Timestamp) -> Analysis {
        let last = Check {
            threshold: rule.threshold,
            ..Check::default()
        };
        Analysis {
            window: Window::begin(now, rule.interval),
            last,
            over: false,
        }
    }

    /// Takes in what came since the last tick.
    pub fn take(&mut self, rule: &Flagger, tick: &Tick) -> Verdict<Check> {
        if self.over {
            return Verdict::RollBack(self.last.clone());
        }
        self.window.take(tick, rule.interval);
        let counted = match self.window.look(tick.at, rule.interval) {
            Ok(counted) => counted,
            Err(left) => return Verdict::Wait(left),
        };
        // Before the new check, as Flagger does.
        self.over = self.last.failed >= rule.threshold;
        if self.over {
            return Verdict::RollBack(self.last.clone());
        }
        let succeeds = success(counted).is_some_and(|share| share >= rule.success);
        self.last.number += 1;
        self.last.counted = counted;
        self.last.failed += u32::from(!succeeds);
        Verdict::GoOn(self.last.clone())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Check {
            number,
            counted,
            failed,
            threshold,
        } = self;
        let sign = if failed >= threshold { ">=" } else { "<" };
        write!(
            f,
            "check {number}: {}, failed checks ({failed}) {sign} threshold ({threshold})",
            Succeeded(*counted)
        )
    }
}

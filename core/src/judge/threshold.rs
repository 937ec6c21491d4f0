//! Argo Rollouts' rule as most write it, to compare with: ticks in, its measurements out.
//!
//! A measurement fails where `successCondition: result[0] >= 0.99` does not hold, which NaN, the
//! result of a window without a request, does not. The run fails with the first failure above
//! `failureLimit`, and successes in between forgive nothing (`analysis/analysis.go`).

use std::fmt;
use std::time::Duration;

use super::baseline::{Succeeded, Verdict, Window, success};
use super::count::{Count, Tick};
use crate::time::Timestamp;

/// What a user of Argo Rollouts chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// From one measurement to the next. The first is so long after the beginning: `initialDelay`
    /// with the same value, for at 0, which is its default, the window is empty and fails.
    pub interval: Duration,
    /// How far back the query looks.
    pub window: Duration,
    /// The share of requests that has to succeed, 0 to 1.
    pub success: f64,
    /// So many failures are tolerated.
    pub failure_limit: u32,
}

impl Default for Threshold {
    /// The example of its documentation: every minute, two minutes back, 99 %, three failures.
    fn default() -> Self {
        Threshold {
            interval: Duration::from_secs(60),
            window: Duration::from_secs(120),
            success: 0.99,
            failure_limit: 3,
        }
    }
}

/// An analysis run under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    window: Window,
    last: Option<Measurement>,
}

/// One look at the metric, and what it came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The first is 1.
    pub number: u32,
    /// What the window held.
    pub counted: Count,
    /// How many measurements have failed, with this one.
    pub failed: u32,
    /// How many may.
    pub limit: u32,
}

impl Run {
    /// One that begins now.
    pub fn begin(rule: &Threshold, now: Timestamp) -> Run {
        Run {
            window: Window::begin(now, rule.interval),
            last: None,
        }
    }

    /// Takes in what came since the last tick.
    pub fn take(&mut self, rule: &Threshold, tick: &Tick) -> Verdict<Measurement> {
        if let Some(over) = self.last.clone().filter(Measurement::is_over) {
            return Verdict::RollBack(over);
        }
        self.window.take(tick, rule.window);
        let counted = match self.window.look(tick.at, rule.interval) {
            Ok(counted) => counted,
            Err(left) => return Verdict::Wait(left),
        };
        let succeeds = success(counted).is_some_and(|share| share >= rule.success);
        let (number, failed) = self
            .last
            .as_ref()
            .map_or((0, 0), |last| (last.number, last.failed));
        let measurement = Measurement {
            number: number + 1,
            counted,
            failed: failed + u32::from(!succeeds),
            limit: rule.failure_limit,
        };
        self.last = Some(measurement.clone());
        if measurement.is_over() {
            Verdict::RollBack(measurement)
        } else {
            Verdict::GoOn(measurement)
        }
    }
}

impl Measurement {
    fn is_over(&self) -> bool {
        self.failed > self.limit
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measurement {
            number,
            counted,
            failed,
            limit,
        } = self;
        let sign = if self.is_over() { ">" } else { "<=" };
        write!(
            f,
            "measurement {number}: {}, failed ({failed}) {sign} failureLimit ({limit})",
            Succeeded(*counted)
        )
    }
}

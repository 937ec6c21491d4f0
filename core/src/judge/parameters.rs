//! What a user may set of the judge; everything has a default.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The judge's parameters. All shares are 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// The probability that a healthy canary is blamed by any of the tests together.
    pub alpha: f64,
    /// The share of requests that may fail: 1 less the service's objective.
    pub allowed: f64,
    /// What is too small to matter.
    pub errors: Practical,
    /// How many ticks have to agree; 0: one is enough.
    pub cap_ticks: u32,
    /// How much errors come in bursts; none: measured on stable itself, or [`DISPERSION`].
    pub dispersion: Option<f64>,
    /// The latency test; none: latency is not judged.
    pub latency: Option<LatencyParameters>,
    /// What is needed to go on.
    pub promotion: Promotion,
    /// Without a verdict it ends after this time.
    pub deadline: Duration,
    /// And then this happens.
    pub on_inconclusive: OnInconclusive,
    /// Whether it goes on after the evidence for promotion is there, until nobody needs it.
    pub endless: bool,
}

/// A difference below these does not take a release back, however sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Practical {
    /// So many bad requests of the canary at least.
    pub bad: u64,
    /// So many times as often as stable at least.
    pub ratio: f64,
    /// So much larger a share than stable's at least.
    pub difference: f64,
}

/// Parameters of the latency test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyParameters {
    /// What is too small to matter.
    pub practical: Practical,
}

/// What is needed to go on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// The probability that a canary is let through that fails as often as is not tolerated.
    pub beta: f64,
    /// The share that is not tolerated.
    pub tolerated: f64,
    /// How many times as often as stable is not tolerated; either of the two is enough.
    pub ratio: f64,
    /// Not before this time has passed.
    pub minimum: Duration,
}

/// What happens where there is no verdict at the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// A person decides.
    #[default]
    Pause,
    /// As if it were good.
    Promote,
    /// As if it were bad.
    Rollback,
}

/// How much errors come in bursts where nobody has measured it.
pub const DISPERSION: f64 = 0.5;

impl Default for Parameters {
    fn default() -> Self {
        const ALLOWED: f64 = 0.01;
        Parameters {
            alpha: 0.01,
            allowed: ALLOWED,
            errors: Practical {
                bad: 3,
                ratio: 1.5,
                difference: 0.001,
            },
            cap_ticks: 3,
            dispersion: None,
            latency: Some(LatencyParameters::default()),
            promotion: Promotion {
                beta: 0.05,
                tolerated: ALLOWED,
                ratio: 2.0,
                minimum: Duration::ZERO,
            },
            deadline: Duration::from_secs(3600),
            on_inconclusive: OnInconclusive::default(),
            endless: false,
        }
    }
}

impl Default for LatencyParameters {
    fn default() -> Self {
        LatencyParameters {
            practical: Practical {
                bad: 5,
                ratio: 1.2,
                difference: 0.005,
            },
        }
    }
}

impl Parameters {
    /// How large the evidence of a test has to be.
    pub fn limit(&self) -> f64 {
        1.0 / self.alpha_each()
    }

    /// The share of alpha that each test has.
    pub(super) fn alpha_each(&self) -> f64 {
        if self.latency.is_some() {
            self.alpha / 2.0
        } else {
            self.alpha
        }
    }
}

//! What the judge says, as a sentence with its numbers.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::count::{Boundary, Count, Pair};

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The canary is bad.
    RollBack(Reason),
    /// It is good.
    Promote(Reason),
    /// Nothing may change: stable is ill too.
    Hold(Reason),
    /// It cannot be told yet.
    GoOn(Reason),
    /// The time is over and it could not be told.
    Inconclusive(Reason),
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The canary fails more often than stable.
    FailsMore {
        /// What was counted.
        counted: Pair,
        /// One in so many: the odds of it by chance.
        odds: f64,
    },
    /// The canary is slower than stable.
    Slower {
        /// The bound where it shows most, with what was counted.
        at: Boundary,
        /// One in so many: the odds of it by chance.
        odds: f64,
    },
    /// The canary fails most of its requests.
    Outage {
        /// What was counted in the last ticks.
        counted: Pair,
    },
    /// The canary fails far more often than its objective allows.
    Burns {
        /// How many times as fast as allowed.
        rate: f64,
        /// What was counted in the last minute.
        counted: Pair,
    },
    /// Stable fails more often than its objective allows.
    StableIll {
        /// What was counted in the last minute.
        stable: Count,
    },
    /// The canary fails as seldom as stable, or less often than is tolerated.
    Good {
        /// What was counted.
        counted: Pair,
        /// One in so many: the odds of letting a bad one through.
        odds: f64,
    },
    /// It takes more requests.
    Needs {
        /// So many; none: no number is enough.
        requests: Option<u64>,
        /// Which take so long at this rate.
        time: Option<Duration>,
        /// What was counted.
        counted: Pair,
    },
    /// It takes more requests, since the canary looks worse than stable.
    Suspect {
        /// What was counted.
        counted: Pair,
        /// One in so many: the odds of it by chance.
        odds: f64,
    },
    /// It takes more requests, since the canary looks slower than stable.
    SuspectSlow {
        /// The bound where it shows most, with what was counted.
        at: Boundary,
        /// One in so many: the odds of it by chance.
        odds: f64,
    },
    /// The canary is good so far; the time that was asked for is not over.
    Early {
        /// So much is left.
        left: Duration,
        /// What was counted.
        counted: Pair,
    },
    /// Its errors are good, and nothing is known of its latency.
    NoLatency {
        /// What was counted.
        counted: Pair,
    },
    /// Nobody asked the canary anything.
    NoRequests {
        /// Requests of stable meanwhile.
        stable: u64,
    },
}

impl Verdict {
    /// Why.
    pub fn reason(&self) -> &Reason {
        match self {
            Verdict::RollBack(reason)
            | Verdict::Promote(reason)
            | Verdict::Hold(reason)
            | Verdict::GoOn(reason)
            | Verdict::Inconclusive(reason) => reason,
        }
    }

    /// One word for it, for metrics and files.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::RollBack(_) => "rollback",
            Verdict::Promote(_) => "promote",
            Verdict::Hold(_) => "hold",
            Verdict::GoOn(_) => "wait",
            Verdict::Inconclusive(_) => "inconclusive",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Hold(reason) => write!(f, "{reason}: holding"),
            Verdict::Inconclusive(reason) => write!(f, "no verdict in time: {reason}"),
            other => other.reason().fmt(f),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::FailsMore { counted, odds } => {
                let odds = grouped_down(*odds);
                write!(
                    f,
                    "canary fails {}; odds of this by chance below 1 in {odds}",
                    Compared(counted)
                )
            }
            Reason::Slower { at, odds } => {
                let (bound, odds) = (at.bound, grouped_down(*odds));
                write!(
                    f,
                    "canary takes longer than {bound} ms {}; odds of this by chance below 1 in {odds}",
                    Compared(&at.slower)
                )
            }
            Reason::Outage { counted } => {
                let Count { requests, bad } = counted.canary;
                let (canary, stable) = (
                    percent(counted.canary.share()),
                    percent(counted.stable.share()),
                );
                write!(
                    f,
                    "canary fails {} of its last {} requests ({canary}), stable {stable}",
                    grouped(bad),
                    grouped(requests)
                )
            }
            Reason::Burns { rate, counted } => {
                let Count { requests, bad } = counted.canary;
                write!(
                    f,
                    "canary fails {rate:.0} times as fast as its objective allows ({} of {} in the \
                     last minute)",
                    grouped(bad),
                    grouped(requests)
                )
            }
            Reason::StableIll { stable } => {
                write!(f, "stable is failing too ({})", percent(stable.share()))
            }
            Reason::Good { counted, odds } => {
                let odds = grouped_down(*odds);
                write!(
                    f,
                    "canary is as good as stable ({}); odds of a bad one by chance below 1 in {odds}",
                    Against(counted)
                )
            }
            Reason::Needs {
                requests,
                time,
                counted,
            } => match (requests, time) {
                (Some(requests), Some(time)) => write!(
                    f,
                    "needs about {} more requests: {} at this rate ({})",
                    rounded(*requests),
                    spoken(*time),
                    Against(counted)
                ),
                (Some(requests), None) => write!(
                    f,
                    "needs about {} more requests ({})",
                    rounded(*requests),
                    Against(counted)
                ),
                (None, _) => write!(
                    f,
                    "no number of requests is enough while both fail so often ({})",
                    Against(counted)
                ),
            },
            Reason::Suspect { counted, odds } => write!(
                f,
                "canary fails {}; odds of this by chance below 1 in {}, which is not enough yet",
                Compared(counted),
                grouped_down(*odds)
            ),
            Reason::SuspectSlow { at, odds } => write!(
                f,
                "canary takes longer than {} ms {}; odds of this by chance below 1 in {}, which is \
                 not enough yet",
                at.bound,
                Compared(&at.slower),
                grouped_down(*odds)
            ),
            Reason::Early { left, counted } => write!(
                f,
                "canary is as good as stable ({}) and is watched for {} more",
                Against(counted),
                spoken(*left)
            ),
            Reason::NoLatency { counted } => write!(
                f,
                "canary is as good as stable ({}), and its latency is not known yet",
                Against(counted)
            ),
            Reason::NoRequests { stable } => {
                write!(f, "canary had no request (stable had {})", grouped(*stable))
            }
        }
    }
}

/// `3.1 times as often as stable (412 of 9,800 against 1,330 of 98,100)`.
struct Compared<'a>(&'a Pair);

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.0.ratio();
        if ratio.is_finite() {
            write!(
                f,
                "{ratio:.1} times as often as stable ({})",
                Against(self.0)
            )
        } else {
            write!(f, "and stable does not ({})", Against(self.0))
        }
    }
}

/// `412 of 9,800 against 1,330 of 98,100`.
struct Against<'a>(&'a Pair);

impl fmt::Display for Against<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { canary, stable } = self.0;
        let of = |count: &Count| format!("{} of {}", grouped(count.bad), grouped(count.requests));
        write!(f, "{} against {}", of(canary), of(stable))
    }
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage with two digits or so: `4.2 %`, `0.05 %`, `87 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 || percent == 0.0 {
        format!("{percent:.0} %")
    } else if percent >= 1.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.2} %")
    }
}

/// A number rounded down to two digits, so that what is said of it stays true.
fn grouped_down(number: f64) -> String {
    const MOST: f64 = 1e9;
    let number = number.clamp(1.0, MOST);
    let unit = 10f64.powf((number.log10().floor() - 1.0).max(0.0));
    grouped(whole((number / unit).floor() * unit))
}

/// A number rounded to two digits.
fn rounded(number: u64) -> String {
    let unit = 10u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    grouped(number.saturating_add(unit / 2) / unit * unit)
}

fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is clamped before"
    )]
    let whole = number as u64;
    whole
}

/// A time as one says it: `40 s`, `6 min`, `3 h`.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    if seconds < 100.0 {
        format!("{seconds:.0} s")
    } else if seconds < 100.0 * 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.0} h", seconds / 3600.0)
    }
}

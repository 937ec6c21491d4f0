//! Recordings of releases: JSON lines, written while one runs, read to judge it again.
//!
//! The first line is the [`Header`], each further one a [`Sample`]: what had come together by then.
//! Counts are totals since `begun`, so they never fall, and a line that is missing loses nothing.
//!
//! ```text
//! {"format":"serin-recording","version":1,"namespace":"default","rollout":"shop",
//!  "stable":"shop-58bff565d6","canary":"shop-7649859c74","begun":"2026-11-30T17:22:08.120Z",
//!  "boundsMs":[50,100]}
//! {"at":"2026-11-30T17:22:13.120Z","weightBp":1000,
//!  "canary":{"requests":98,"failed":1,"slower":[12,3]},
//!  "stable":{"requests":902,"failed":0,"slower":[100,31]}}
//! ```
//!
//! (Each of the two is one line.) `weightBp` is the canary's weight in hundredths of a percent.
//! `slower` counts the requests that took longer than each of `boundsMs`, in its order; without
//! `boundsMs`, nobody has measured it. Other fields are refused: a later version has a later number.

mod error;
mod line;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use error::{ReadError, Wrong};
pub use read::Reader;
pub use write::Writer;

use serin_core::judge::Tick;
use serin_core::time::Timestamp;

/// Which release was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The Rollout's namespace.
    pub namespace: String,
    /// Its name.
    pub rollout: String,
    /// The ReplicaSet that served everybody.
    pub stable: String,
    /// The one on trial.
    pub canary: String,
    /// Since when it counts.
    pub begun: Timestamp,
    /// The bounds of what is slow, in milliseconds, rising; empty if nobody measured it.
    pub bounds: Vec<f64>,
}

/// One line: what came since the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The canary's weight, in hundredths of a percent.
    pub weight_bp: u16,
    /// What was counted, and up to when.
    pub tick: Tick,
}

/// A longer line is none of ours, and must not fill the memory.
pub const LONGEST_LINE: usize = 64 << 10;
/// Three days at five seconds; a reader that is given more never ends.
pub const MOST_SAMPLES: usize = 50_000;
/// The filter has 24, Istio 20.
pub const MOST_BOUNDS: usize = 64;
/// Up to this every count is a number of its own as a float.
pub const MOST_REQUESTS: u64 = 1 << 53;

//! Numbers in a manifest: within bounds, in the unit that people write, as such or as text.

use crate::analysis::metric::Args;
use crate::field::Field;

/// Bounds of a number as it is written, and what it is divided by to be a share.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    low: f64,
    high: f64,
    unit: f64,
    accepted: &'static str,
}

impl Shares {
    const fn new(low: f64, high: f64, unit: f64, accepted: &'static str) -> Shares {
        Shares {
            low,
            high,
            unit,
            accepted,
        }
    }

    /// A probability of being wrong.
    pub(super) const PROBABILITY: Shares =
        Shares::new(1e-9, 0.5, 1.0, "a probability above 0 and up to 0.5");
    /// The share of requests that are to succeed, in percent.
    pub(super) const OBJECTIVE: Shares =
        Shares::new(50.0, 99.999_9, 100.0, "a percentage from 50 to 99.9999");
    /// The share that may fail, in percent.
    pub(super) const TOLERATED: Shares =
        Shares::new(1e-4, 50.0, 100.0, "a percentage from 0.0001 to 50");
    /// A standard deviation of a logarithm.
    pub(super) const DISPERSION: Shares =
        Shares::new(0.0, 10.0, 1.0, "auto, or a number from 0 to 10");
    /// How many times as often.
    pub(super) const RATIO: Shares = Shares::new(1.0, 1000.0, 1.0, "a number from 1 to 1000");
    /// How many times as often, but not as often.
    pub(super) const ABOVE_ONE: Shares =
        Shares::new(1.01, 1000.0, 1.0, "a number from 1.01 to 1000");
    /// A difference of shares, in percentage points.
    pub(super) const DIFFERENCE: Shares =
        Shares::new(0.0, 100.0, 100.0, "percentage points from 0 to 100");
}

/// The number, divided by its unit; none where it is not known yet, or wrong, which is reported.
pub(super) fn between(field: &Field<'_>, args: Args, shares: Shares) -> Option<f64> {
    let read = match field.value().as_str() {
        Some(text) if args.unknown(text) => return None,
        Some(text) => text.trim().parse().ok(),
        None => field.value().as_f64(),
    };
    let number = read.filter(|number| (shares.low..=shares.high).contains(number));
    if number.is_none() {
        field.expected(shares.accepted);
    }
    number.map(|number| number / shares.unit)
}

//! Points in time and durations as manifests write them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Always an argument, never read here.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time since `earlier`; zero if `earlier` lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This time and `by` more.
    pub fn plus(self, by: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

/// Reads a duration as Argo Rollouts does: a bare integer is seconds, anything else is a Go
/// duration such as `1h30m`, `500ms` or `1.5s`. Negative durations are refused.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let read = match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse().ok().map(Duration::from_secs),
        false => go_duration(text),
    };
    read.filter(|duration| *duration <= LONGEST)
}

/// A century: above this a timestamp could overflow; Go's own limit is 292 years.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What [`parse_duration`] accepts, for error messages.
pub const DURATION_ACCEPTED: &str = "seconds or a duration such as \"30\", \"90s\" or \"1h30m\"";

/// A sequence of decimal numbers, each with a unit (Go's `time.ParseDuration`, without a sign).
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("h", 3.6e12),
        ("m", 6e10),
        ("s", 1e9),
    ];
    let mut rest = text;
    let mut nanos = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let (tail, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| tail.strip_prefix(name).map(|tail| (tail, unit)))?;
        nanos += number * unit;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_argo_reads_them() {
        let read = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(read("30"), Some(30_000));
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("500ms"), Some(500));
        assert_eq!(read("1.5s"), Some(1_500));
        for bad in ["", "-5s", "5 s", "s", "5x", "1h30", "99999999h", "5..5s"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}

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

/// Reads a point in time as Kubernetes writes it (RFC 3339): `2026-08-30T12:00:00Z`, with an offset
/// in place of `Z` or a fraction of a second if need be.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    const DAY: i64 = 24 * 3600;
    let (date, rest) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.')?;
    let (clock, zone) = rest.split_at_checked(end)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let days = days_since_1970(year, month, day)?;
    // A leap second is the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days * DAY + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some(Timestamp(seconds * 1000 + millis(fraction)?))
}

/// What [`parse_time`] accepts, for error messages.
pub const TIME_ACCEPTED: &str = "a time such as \"2026-08-30T12:00:00Z\"";

/// Seconds that a zone is before UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(clock), _) => (1, clock),
        (_, Some(clock)) => (-1, clock),
        _ => return None,
    };
    let [hour, minute] = numbers(clock, ':', [2, 2])?;
    (hour < 24 && minute < 60).then_some(sign * (hour * 3600 + minute * 60))
}

/// The first three digits of a fraction; at least one digit must be there.
fn millis(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction}00").get(..3)?.parse().ok()
}

/// Numbers of exactly these many digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut read = [0; N];
    for (number, digits) in read.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(read)
}

/// Days from 1970-01-01 to this date of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = |month: i64| match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=in_month(month)).contains(&day) {
        return None;
    }
    let years_before = year - 1;
    let to_year = years_before * 365 + years_before / 4 - years_before / 100 + years_before / 400;
    /// The same for the year 1970.
    const TO_1970: i64 = 1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400;
    let to_month: i64 = (1..month).map(in_month).sum();
    Some(to_year - TO_1970 + to_month + day - 1)
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
    fn times_read_as_kubernetes_writes_them() {
        let read = |text| parse_time(text).map(|time| time.0);
        assert_eq!(read("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read("2000-02-29T12:34:56Z"), Some(951_827_696_000));
        assert_eq!(read("2026-08-30T12:00:00Z"), Some(1_788_091_200_000));
        assert_eq!(
            read("2026-08-30T14:00:00.25+02:00"),
            Some(1_788_091_200_250)
        );
        assert_eq!(read("2026-08-30T06:30:00-05:30"), Some(1_788_091_200_000));
        assert_eq!(read("1969-12-31T23:59:59.999Z"), Some(-1));
        for bad in [
            "",
            "2026-08-30",
            "2026-08-30T12:00:00",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-08-30T24:00:00Z",
            "2026-08-30T12:00Z",
            "2026-08-30T12:00:00.Z",
            "2026-8-30T12:00:00Z",
            "2026-08-30T12:00:00+2:00",
            "tomorrow",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

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

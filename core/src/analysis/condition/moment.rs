//! Expressions that are a point in time: `now() - duration("1h")` and now in, the time out.

use expr::Value;

use super::checker::{self, Kind};
use super::{evaluator, parsed};
use crate::time::Timestamp;

/// An expression of a point in time, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment(super::parser::Node);

impl Moment {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Moment, String> {
        let node = parsed(text)?;
        match checker::kind(&node, None)? {
            Kind::Any => Ok(Moment(node)),
            other => Err(format!("expected time.Time, but got {other}")),
        }
    }

    /// The point in time, where it is `now`.
    ///
    /// # Errors
    /// What went wrong, or what it is in place of a point in time.
    pub fn at(&self, now: Timestamp) -> Result<Timestamp, String> {
        match evaluator::evaluate_at(&self.0, now)? {
            Value::DateTime(time) => Ok(Timestamp(time.timestamp_millis())),
            other => {
                let kind = Kind::of(&other);
                Err(format!("expected time.Time, but got {kind}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_time;

    fn at(text: &str) -> Result<Timestamp, String> {
        let now = parse_time("2026-08-30T12:00:00.250Z").unwrap();
        Moment::parse(text)?.at(now)
    }

    fn is(text: &str, time: &str) {
        assert_eq!(at(text), Ok(parse_time(time).unwrap()), "{text}");
    }

    #[test]
    fn times_are_told_from_now() {
        is("now()", "2026-08-30T12:00:00.250Z");
        is("now() - duration(\"1h\")", "2026-08-30T11:00:00.250Z");
        is("now() + duration('1m30s')", "2026-08-30T12:01:30.250Z");
        is(
            "date('2023-08-14 00:00:00', '2006-01-02 15:04:05', 'UTC') - duration('1h')",
            "2023-08-13T23:00:00Z",
        );
        is(
            "now() > now() - duration('1h') ? now() : now()",
            "2026-08-30T12:00:00.250Z",
        );
    }

    #[test]
    fn no_duration_is_too_long() {
        let long = "duration('2562047h')";
        for text in [
            format!("now() + ({long} + {long})"),
            format!("now() - (duration('-2562047h') - {long})"),
            format!("now() + {long} * 1000000"),
            format!("now() {}", format!("- {long}").repeat(150)),
            format!(
                "date('9999-12-31T23:59:59Z') {}",
                format!("+ {long}").repeat(150)
            ),
        ] {
            // A time or an error, but no panic.
            let _ = at(&text);
        }
        assert!(
            Moment::parse("now()")
                .unwrap()
                .at(Timestamp(i64::MIN))
                .is_ok()
        );
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        let why = |text| at(text).unwrap_err();
        assert_eq!(why("1 + 1"), "expected time.Time, but got int");
        assert_eq!(why("result"), "unknown name result");
        assert_eq!(why("duration('1h')"), "expected time.Time, but got any");
        assert!(!why("now() - duration('1 fortnight')").is_empty());
        assert!(!why("now() -").is_empty());
        assert!(!why("").is_empty());
        assert!(at("now() - duration('2562047h') - duration('2562047h')").is_ok());
    }
}

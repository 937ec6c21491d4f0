//! The one place that reads the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use serin_core::time::Timestamp;

/// The time now.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// A time as Kubernetes writes it, in whole seconds.
pub fn text(time: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

//! `count: 0` does not keep a metric from being measured.

use super::{Found, Trap, Written};

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let count = &written.fields["count"];
    let is_zero = count.as_i64() == Some(0) || count.as_str() == Some("0");
    let has_interval = !written.fields["interval"].is_null();
    is_zero
        .then_some(("count", Trap::ZeroCount { has_interval }))
        .into_iter()
        .collect()
}

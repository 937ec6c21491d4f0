//! A text that is no number counts as 0 where one is expected.

use super::{Found, Trap, Written};
use crate::analysis::metric::NUMBERS;

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let found = NUMBERS.into_iter().filter_map(|field| {
        let text = written.fields[field].as_str()?;
        let is_odd = !text.contains("{{") && text.parse::<i64>().is_err();
        let text = text.to_string();
        is_odd.then_some((field, Trap::NoNumber { text }))
    });
    found.collect()
}

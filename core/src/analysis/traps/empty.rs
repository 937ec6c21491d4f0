//! A query that finds nothing brings an empty vector, which has no first element.

use super::misfit::many;
use super::query::Shape;
use super::{Found, Reading, Trap, Written};

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let Some(Shape::Vector { never_empty: false }) = written.query else {
        return Vec::new();
    };
    let empty = Reading::Vector(Vec::new());
    let conditions = written.conditions().unwrap_or_default().into_iter();
    // One that fits no vector at all is a trap of its own.
    let mut fitting = conditions.filter(|(.., condition)| condition.holds(&many()).is_ok());
    let found = fitting.find(|(.., condition)| condition.holds(&empty).is_err());
    let fatal = written.metric.consecutive_error_limit.saturating_add(1);
    found
        .map(|(field, ..)| (field, Trap::EmptyIsError { fatal }))
        .into_iter()
        .collect()
}

//! `or vector(0)` hides that a query finds nothing.

use super::query::Shape;
use super::{Found, Trap, Written};

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let is_so = matches!(written.query, Some(Shape::Vector { never_empty: true }));
    is_so
        .then_some(("provider.prometheus.query", Trap::StandIn))
        .into_iter()
        .collect()
}

//! `or vector(0)` hides that a query finds nothing.

use super::query::{Shape, names_stand_in};
use super::{Found, Provider, Trap, Written};

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let Provider::Prometheus(query) = &written.metric.provider else {
        return Vec::new();
    };
    let is_so = matches!(written.query, Some(Shape::Vector { never_empty: true }))
        && names_stand_in(&query.query);
    is_so
        .then_some(("provider.prometheus.query", Trap::StandIn))
        .into_iter()
        .collect()
}

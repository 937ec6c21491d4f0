//! A query brings a vector, unless it is made of numbers: a vector is not compared with a number.

use super::query::Shape;
use super::{Found, Reading, Trap, Written, name_of};

/// More series than any condition asks for by their index.
const MANY: usize = 100;

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let (vector, scalar) = (many(), Reading::Scalar(1.0));
    let (brought, other) = match written.query {
        Some(Shape::Vector { .. }) => (vector, scalar),
        Some(Shape::Scalar) => (scalar, vector),
        Some(Shape::Unknown) | None => return Vec::new(),
    };
    let conditions = written.conditions().unwrap_or_default().into_iter();
    let found = conditions.filter_map(|(field, text, condition)| {
        let why = condition.holds(&brought).err()?;
        let mends = condition.holds(&other).is_ok();
        let trap = Trap::Misfit {
            condition: text.to_string(),
            why,
            number: mends.then_some(name_of(&brought)),
        };
        Some((field, trap))
    });
    found.collect()
}

/// A vector in which every condition that fits vectors finds what it asks for.
pub(super) fn many() -> Reading {
    Reading::Vector(vec![1.0; MANY])
}

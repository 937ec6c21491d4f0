//! What measures: one module per provider, each from a metric's query to an outcome.

pub mod prometheus;

//! Every comparison with NaN is false, so a metric that is only told what is bad takes it for good.

use super::query::may_be_nan;
use super::{Found, Provider, RunPhase, Trap, Written, name_of};

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    const NUMBERS: [f64; 7] = [f64::NEG_INFINITY, -1.0, 0.0, 0.5, 1.0, 100.0, f64::INFINITY];
    let Provider::Prometheus(query) = &written.metric.provider else {
        return Vec::new();
    };
    if !may_be_nan(&query.query) {
        return Vec::new();
    }
    let is_good = |number: f64| {
        let reading = written.sample(number)?;
        Some(written.verdict(&reading) == RunPhase::Successful)
    };
    let conditions = written.conditions().unwrap_or_default();
    let thought_of = conditions.iter().any(|(.., one)| one.calls("isNaN"));
    let (Some(true), Some((field, ..)), false) = (is_good(f64::NAN), conditions.last(), thought_of)
    else {
        return Vec::new();
    };
    // What takes every number for good is not about the number.
    let judges = NUMBERS
        .into_iter()
        .any(|number| is_good(number) == Some(false));
    let number = written.sample(0.0).as_ref().map(name_of);
    let trap = number.filter(|_| judges);
    let trap = trap.map(|number| (*field, Trap::NanPasses { number }));
    trap.into_iter().collect()
}

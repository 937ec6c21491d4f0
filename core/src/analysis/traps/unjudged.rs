//! Without a condition nothing can fail.

use super::{Found, Trap, Written};

/// Providers that judge what they measure themselves.
const JUDGES: [&str; 2] = ["job", "plugin"];

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let provider = &written.fields["provider"];
    let judges = JUDGES.iter().any(|name| !provider[name].is_null());
    let metric = written.metric;
    let has_none = metric.success_condition.is_none() && metric.failure_condition.is_none();
    (has_none && !judges)
        .then_some(("", Trap::Unjudged))
        .into_iter()
        .collect()
}

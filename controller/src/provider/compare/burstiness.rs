//! How bursty errors are: stable's last hour in, one half of its processes against the other.

use serin_core::analysis::PrometheusQuery;
use serin_core::judge::{Count, Dispersion, Pair, calibrate};
use serin_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::raw::{self, Raw};
use super::sides::{self, Selector, Sides};
use super::{growth, millis};
use crate::provider::Asking;
use crate::provider::prometheus::Labels;

const HOUR: Duration = Duration::from_secs(3600);

/// The dispersion of stable in the hour before `at`; none if it had too few errors, or only one process,
/// or cannot be read: the default is used then.
pub(super) async fn of_stable(
    asking: &Asking,
    server: &PrometheusQuery,
    sides: &Sides,
    tick: Duration,
    at: Timestamp,
) -> Option<Dispersion> {
    let from = Timestamp(at.0.saturating_sub(millis(HOUR)));
    let mut read = Vec::new();
    for selector in sides.of_stable() {
        match raw::between(asking, server, &selector.text, from, at).await {
            Ok(raw) => read.push((selector, raw)),
            Err(why) => {
                tracing::debug!(why, "stable's errors before the release are not known");
                return None;
            }
        }
    }
    calibrate::measure(&halves(sides, &read, from, at, tick))
}

/// Both halves of stable's processes, tick by tick.
fn halves(
    sides: &Sides,
    read: &[(Selector, Raw)],
    from: Timestamp,
    to: Timestamp,
    tick: Duration,
) -> Vec<Pair> {
    let all = read.iter().flat_map(|(_, raw)| &raw.since);
    let processes: BTreeSet<_> = all.map(|(labels, _)| growth::process(labels)).collect();
    if processes.len() < 2 {
        return Vec::new();
    }
    // Every second one, so that neighbours by name, which are alike, come into both.
    let first: BTreeSet<_> = processes.into_iter().step_by(2).collect();
    let mut at = from;
    let mut last: BTreeMap<&Labels, f64> = BTreeMap::new();
    let mut pairs = Vec::new();
    while at < to {
        let end = at.plus(tick);
        let (mut one, mut other) = (sides.tick(end), sides.tick(end));
        for (selector, raw) in read {
            for (labels, samples) in &raw.since {
                let by = grown(labels, samples, at, end, &mut last);
                let half = if first.contains(&growth::process(labels)) {
                    &mut one
                } else {
                    &mut other
                };
                // A bound that is no number is not asked for here.
                let _ = half.add(selector, labels, by);
            }
        }
        pairs.push(Pair {
            canary: one.tick().errors.stable,
            stable: other.tick().errors.stable,
        });
        at = end;
    }
    expected(&pairs)
}

/// The pairs with as many requests as errors are to be expected of them: halves that always differ, such
/// as callers of which one asks for what fails, are no bursts.
fn expected(pairs: &[Pair]) -> Vec<Pair> {
    /// Fine enough that rounding does not show.
    const UNIT: f64 = 1e6;
    let all = pairs.iter().fold(Pair::default(), |sum, pair| sum + *pair);
    let scaled = |count: Count, all: Count| Count {
        requests: sides::whole(sides::float(count.requests) * all.share() * UNIT),
        bad: count.bad,
    };
    let pair = |pair: &Pair| Pair {
        canary: scaled(pair.canary, all.canary),
        stable: scaled(pair.stable, all.stable),
    };
    pairs.iter().map(pair).collect()
}

/// By how much a series has grown in a tick; the first sample of all counts nothing.
fn grown<'a>(
    labels: &'a Labels,
    samples: &[(f64, f64)],
    from: Timestamp,
    to: Timestamp,
    last: &mut BTreeMap<&'a Labels, f64>,
) -> f64 {
    let (from, to) = (raw::seconds(from), raw::seconds(to));
    let first = samples.partition_point(|(time, _)| *time <= from);
    let end = samples.partition_point(|(time, _)| *time <= to);
    let within = samples.get(first..end).unwrap_or_default().iter();
    let mut grown = 0.0;
    for (_, value) in within {
        let before = last.insert(labels, *value).unwrap_or(*value);
        grown += if *value >= before {
            value - before
        } else {
            *value
        };
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_that_always_differ_are_no_bursts() {
        let counted = |requests, bad| Count { requests, bad };
        let pairs = [Pair {
            canary: counted(1_000, 10),
            stable: counted(1_000, 2),
        }; 60];
        let measured = calibrate::measure(&expected(&pairs)).expect("enough errors");
        assert_eq!(measured.value, 0.2, "the least there is");
        let plain = calibrate::measure(&pairs).expect("enough errors");
        assert!(plain.value > 0.2, "{plain}");
    }
}

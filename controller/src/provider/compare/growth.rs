//! Counters to differences: raw series in, by how much each has grown out.

use std::collections::{BTreeMap, BTreeSet};

use super::raw::Raw;
use crate::provider::prometheus::Labels;

/// By how much each series has grown.
///
/// A counter that falls was begun again and has grown by what it shows now. One that was not there
/// before has grown by all that it shows, if its process was there: it counts something that had not
/// happened yet. If its process was not, its first sample may be the sum of a day, so only what comes
/// after that counts. One that vanishes has grown up to its last sample.
pub(super) fn growth<'r>(raw: &'r Raw, known: &BTreeSet<Process<'_>>) -> Vec<(&'r Labels, f64)> {
    let before: BTreeMap<&Labels, f64> = raw
        .before
        .iter()
        .map(|(labels, value)| (labels, *value))
        .collect();
    let grown = raw.since.iter().map(|(labels, samples)| {
        let new = known.contains(&process(labels)).then_some(0.0);
        let mut last = before.get(labels).copied().or(new);
        let mut grown = 0.0;
        for (_, value) in samples.iter().filter(|(_, value)| is_count(*value)) {
            grown += match last {
                Some(last) if *value >= last => value - last,
                Some(_) => *value,
                None => 0.0,
            };
            last = Some(*value);
        }
        (labels, grown)
    });
    grown.collect()
}

/// The processes that counted anything before.
pub(super) fn known<'r>(all: impl IntoIterator<Item = &'r Raw>) -> BTreeSet<Process<'r>> {
    let before = all.into_iter().flat_map(|raw| &raw.before);
    before.map(|(labels, _)| process(labels)).collect()
}

/// What a process is known by.
pub(super) type Process<'a> = [Option<&'a String>; 4];

/// The labels that Prometheus gives a target, and those that say which pod it is.
pub(super) fn process(labels: &Labels) -> Process<'_> {
    ["job", "instance", "namespace", "pod"].map(|name| labels.get(name))
}

fn is_count(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(instance: &str, code: &str) -> Labels {
        let label = |name: &str, value: &str| (name.to_string(), value.to_string());
        [
            label("job", "envoy"),
            label("instance", instance),
            label("code", code),
        ]
        .into()
    }

    /// A series: its process and code, its value before, its samples since.
    type Written<'a> = (&'a str, &'a str, Option<f64>, &'a [f64]);

    fn grown(series: &[Written<'_>]) -> Vec<f64> {
        let before = series
            .iter()
            .filter_map(|(instance, code, before, _)| Some((labels(instance, code), (*before)?)));
        let since = series.iter().map(|(instance, code, _, samples)| {
            let timed = samples.iter().map(|value| (1.0, *value));
            (labels(instance, code), timed.collect())
        });
        let raw = Raw {
            before: before.collect(),
            since: since.collect(),
        };
        let known = known([&raw]);
        growth(&raw, &known).into_iter().map(|(_, by)| by).collect()
    }

    #[test]
    fn a_counter_grows_by_its_differences_and_a_reset_by_what_it_shows() {
        assert_eq!(grown(&[("a", "200", Some(100.0), &[110.0, 125.0])]), [25.0]);
        assert_eq!(
            grown(&[("a", "200", Some(100.0), &[110.0, 4.0, 9.0])]),
            [19.0]
        );
        assert_eq!(grown(&[("a", "200", Some(100.0), &[3.0])]), [3.0]);
    }

    #[test]
    fn a_new_counter_of_a_known_process_counts_whole() {
        let series: [Written<'_>; 2] = [
            ("a", "200", Some(100.0), &[110.0]),
            ("a", "503", None, &[7.0, 9.0]),
        ];
        assert_eq!(grown(&series), [10.0, 9.0]);
    }

    #[test]
    fn the_first_error_of_a_process_that_only_succeeded_counts() {
        let before = |instance: &str| Raw {
            before: vec![(labels(instance, "200"), 100.0)],
            since: Vec::new(),
        };
        let errors = Raw {
            before: Vec::new(),
            since: vec![(labels("a", "503"), vec![(1.0, 7.0)])],
        };
        let grown = |requests: &Raw| growth(&errors, &known([requests, &errors]))[0].1;
        assert_eq!(grown(&before("a")), 7.0);
        assert_eq!(grown(&before("b")), 0.0);
    }

    #[test]
    fn a_new_process_may_have_a_history() {
        assert_eq!(
            grown(&[("b", "200", None, &[1_000_000.0, 1_000_005.0])]),
            [5.0]
        );
    }

    #[test]
    fn one_that_vanishes_has_grown_up_to_its_last_sample() {
        assert_eq!(
            grown(&[
                ("a", "200", Some(1.0), &[4.0]),
                ("b", "200", Some(1.0), &[])
            ]),
            [3.0, 0.0]
        );
    }

    #[test]
    fn what_is_no_count_counts_nothing() {
        let odd = [f64::NAN, 12.0, f64::INFINITY, -1.0, 13.0];
        assert_eq!(grown(&[("a", "200", Some(10.0), &odd)]), [3.0]);
    }
}

//! What the filter's counters are called. A stat's labels stand in front of its name, encoded so
//! that Envoy's `stats_tags` cut them out; both sides of that are here, so they cannot disagree.

/// Requests by version, answer and reporter.
pub const REQUESTS: &str = "serin_requests_total";
/// How long they took: `_bucket`, `_sum` and `_count` are counters of their own.
pub const DURATION: &str = "serin_request_duration_milliseconds";
/// The generation of the configuration that this proxy runs.
pub const GENERATION: &str = "serin_config_generation";
/// How many threads of this proxy run the newest generation of the configuration that any of them
/// runs: all its workers and its main thread, or the filter is missing on one.
pub const THREADS: &str = "serin_filter_threads";
/// Host calls that failed; each sent its request to stable.
pub const HOST_ERRORS: &str = "serin_host_errors_total";
/// Requests that were not counted by version, since all [`crate::wire::MAX_LABEL_SETS`] are taken.
pub const LABEL_OVERFLOW: &str = "serin_label_overflow_total";
/// Istio's name for [`REQUESTS`].
pub const ISTIO_REQUESTS: &str = "istio_requests_total";
/// Istio's name for [`DURATION`].
pub const ISTIO_DURATION: &str = "istio_request_duration_milliseconds";

/// The labels of the filter's own metrics. In a mesh, where Istio's metrics are Istio's, these are all
/// that it needs.
pub const OWN_LABELS: &[&str] = &[
    "config",
    "le",
    "namespace",
    "reporter",
    "response_code",
    "revision",
    "rollout",
    "variant",
];

/// Every label that a stat of the filter can carry.
pub const LABELS: &[&str] = &[
    "config",
    "connection_security_policy",
    "destination_app",
    "destination_canonical_revision",
    "destination_canonical_service",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_version",
    "destination_workload",
    "destination_workload_namespace",
    "le",
    "namespace",
    "reporter",
    "request_protocol",
    "response_code",
    "revision",
    "rollout",
    "source_app",
    "source_canonical_revision",
    "source_canonical_service",
    "source_version",
    "source_workload",
    "source_workload_namespace",
    "variant",
];

/// Upper bounds of the latency buckets in milliseconds, with the value of their label `le`.
///
/// A gate reads a quantile between the two bounds around it, so the bounds are close together
/// where objectives are set (10 ms to 2.5 s: neighbours differ by at most a factor of 2, round
/// objectives are bounds themselves) and few elsewhere: each bound is one stat per label set.
pub const BUCKETS: &[(u64, &str)] = &[
    (1, "1"),
    (2, "2"),
    (5, "5"),
    (10, "10"),
    (20, "20"),
    (30, "30"),
    (50, "50"),
    (75, "75"),
    (100, "100"),
    (150, "150"),
    (200, "200"),
    (250, "250"),
    (300, "300"),
    (400, "400"),
    (500, "500"),
    (750, "750"),
    (1_000, "1000"),
    (1_500, "1500"),
    (2_000, "2000"),
    (2_500, "2500"),
    (5_000, "5000"),
    (10_000, "10000"),
    (30_000, "30000"),
    (60_000, "60000"),
];

/// The value of `le` that every request is below.
pub const INFINITE: &str = "+Inf";

/// Labels as they stand in front of a stat's name.
pub fn prefix(labels: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (label, value) in labels {
        push_label(&mut out, label, value);
    }
    out
}

/// Adds one more label to a [`prefix`]. Of the value, `;` and `=` become `_`: they would end it.
pub fn push_label(prefix: &mut String, label: &str, value: &str) {
    prefix.push_str(label);
    prefix.push_str("=.=");
    prefix.extend(value.chars().map(|c| match c {
        ';' | '=' => '_',
        kept => kept,
    }));
    prefix.push_str(";.;");
}

/// The `regex` of Envoy's `stats_tags` entry for a label: the first group is cut out of the name,
/// the second is the value.
///
/// Anchored at the separator before it: `namespace` must not match inside
/// `source_workload_namespace`.
pub fn tag_regex(label: &str) -> String {
    format!(r"(?:^|[.;])({label}=\.=(.*?);\.;)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Envoy does with `stats_tags`: every label is looked for in the whole name, then all
    /// that was found is cut out.
    fn extract(stat: &str) -> (String, Vec<(&'static str, String)>) {
        let mut cuts = Vec::new();
        let mut tags = Vec::new();
        for label in LABELS {
            let regex = regex_lite::Regex::new(&tag_regex(label)).unwrap();
            if let Some(found) = regex.captures(stat) {
                cuts.push(found.get(1).unwrap().range());
                tags.push((*label, found[2].to_string()));
            }
        }
        cuts.sort_by_key(|cut| std::cmp::Reverse(cut.start));
        let mut name = stat.to_string();
        for cut in cuts {
            name.replace_range(cut, "");
        }
        (name, tags)
    }

    #[test]
    fn all_labels_are_read_back_and_nothing_is_left_in_the_name() {
        let values: Vec<String> = (0..LABELS.len()).map(|i| format!("v.{i}")).collect();
        let labels: Vec<(&str, &str)> = LABELS
            .iter()
            .zip(&values)
            .map(|(label, value)| (*label, value.as_str()))
            .collect();
        for rotation in 0..labels.len() {
            let mut turned = labels.clone();
            turned.rotate_left(rotation);
            let stat = format!("wasmcustom.{}{REQUESTS}", prefix(&turned));
            let (name, tags) = extract(&stat);
            assert_eq!(name, "wasmcustom.serin_requests_total");
            assert_eq!(
                tags,
                labels
                    .iter()
                    .map(|(label, value)| (*label, value.to_string()))
                    .collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn its_own_labels_are_among_all() {
        assert!(OWN_LABELS.iter().all(|label| LABELS.contains(label)));
    }

    #[test]
    fn a_value_cannot_end_itself() {
        let stat = format!("{}x", prefix(&[("rollout", "a;.;variant=.=canary")]));
        let (name, tags) = extract(&stat);
        assert_eq!(name, "x");
        assert_eq!(tags, [("rollout", "a_._variant_._canary".to_string())]);
    }

    #[test]
    fn bucket_bounds_rise_and_are_their_labels() {
        assert!(BUCKETS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(BUCKETS.iter().all(|(bound, le)| bound.to_string() == *le));
    }
}

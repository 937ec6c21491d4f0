//! Whether the mesh can tell the versions apart, asked of the Prometheus that scrapes its proxies:
//! the queries, and what is told of their answers. What Prometheus does not know is no finding.

use std::collections::BTreeMap;

use serin_core::metric::OWN_LABELS;

use super::proxies::listed;
use crate::provider::prometheus::Series;

/// The first version of Istio that knows `failure_policy`, by which the filter fails open.
const FIRST: (u32, u32) = (1, 25);

/// How long a finding is remembered: between releases proxies have no counters of the filter's.
const REMEMBERED: &str = "15m";

/// The proxies whose series of the filter have labels in their names. Envoy writes a stat's name as it
/// stands but for the characters that Prometheus does not take: of `config=.=a;.;serin_x` it makes
/// `config___a___serin_x`.
pub fn unlabelled() -> String {
    format!(
        "count by (namespace, kubernetes_namespace, pod, pod_name, kubernetes_pod_name, instance) \
         (last_over_time({{__name__=~\".+___serin_[a-z_]+\"}}[{REMEMBERED}]))"
    )
}

/// What is told of those proxies; none if there are none.
pub fn told_unlabelled(proxies: &[Series]) -> Option<String> {
    if proxies.is_empty() {
        return None;
    }
    let (count, has) = match proxies.len() {
        1 => ("1 proxy".to_string(), "has"),
        count => (format!("{count} proxies"), "have"),
    };
    Some(format!(
        "{count} {has} labels of the filter's metrics inside their names, so no query finds them and \
         no weight is seen to be in force there, expected meshConfig.defaultConfig.extraStatTags: [{}] \
         and the pods restarted since: {}",
        OWN_LABELS.join(", "),
        listed(
            proxies
                .iter()
                .map(|(labels, _)| super::proxies::name(labels))
        )
    ))
}

/// How many proxies and control planes there are of each version of Istio.
pub fn versions() -> String {
    "count by (component, tag) (istio_build{component=~\"proxy|pilot\"})".to_string()
}

/// What is told of versions that are too old; none if all that are known are new enough.
pub fn told_too_old(versions: &[Series]) -> Option<String> {
    let mut old: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for (labels, count) in versions {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let (component, tag) = (label("component"), label("tag"));
        if version(tag).is_some_and(|version| version < FIRST) {
            *old.entry((component, tag)).or_default() += count;
        }
    }
    if old.is_empty() {
        return None;
    }
    let old = old.iter().map(|((component, tag), count)| {
        let who = match (*component, *count == 1.0) {
            ("pilot", _) => "istiod".to_string(),
            (_, true) => "1 proxy".to_string(),
            (_, false) => format!("{count} proxies"),
        };
        format!("{who} of Istio {tag}")
    });
    let (major, minor) = FIRST;
    Some(format!(
        "{}, expected {major}.{minor} or newer: older ones do not know failure_policy, so where the \
         filter cannot be fetched or fails, requests are refused and do not go to stable",
        old.collect::<Vec<_>>().join(", ")
    ))
}

/// The numbers that a version begins with, as in `1.24.3-distroless`.
fn version(tag: &str) -> Option<(u32, u32)> {
    let (major, rest) = tag.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let minor = rest.split_at(end.unwrap_or(rest.len())).0;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], value: f64) -> Series {
        let labels = labels.iter();
        let labels = labels.map(|(name, value)| (name.to_string(), value.to_string()));
        (labels.collect(), value)
    }

    #[test]
    fn proxies_without_labels_are_named_with_what_they_lack() {
        assert_eq!(told_unlabelled(&[]), None);
        let one = series(&[("namespace", "web"), ("pod", "cart-1")], 3.0);
        assert_eq!(
            told_unlabelled(&[one]).expect("a finding"),
            "1 proxy has labels of the filter's metrics inside their names, so no query finds them and \
             no weight is seen to be in force there, expected \
             meshConfig.defaultConfig.extraStatTags: [config, le, namespace, reporter, \
             response_code, revision, rollout, variant] and the pods restarted since: web/cart-1"
        );
    }

    #[test]
    fn versions_that_are_too_old_are_told_and_unknown_ones_are_not() {
        let build = |component: &str, tag: &str, count: f64| {
            series(&[("component", component), ("tag", tag)], count)
        };
        let fine = [
            build("pilot", "1.25.0", 1.0),
            build("proxy", "1.25-alpha.5f3a", 9.0),
            build("proxy", "2.0.1", 1.0),
            build("proxy", "unknown", 4.0),
            build("proxy", "5d3e1f", 1.0),
            build("proxy", "", 1.0),
        ];
        assert_eq!(told_too_old(&fine), None);
        let old = [
            build("proxy", "1.24.3-distroless", 12.0),
            build("pilot", "1.9.1", 2.0),
        ];
        let told = told_too_old(&[&fine[..], &old].concat()).expect("a finding");
        let begins =
            "istiod of Istio 1.9.1, 12 proxies of Istio 1.24.3-distroless, expected 1.25 or";
        assert!(told.starts_with(begins), "{told}");
    }

    #[test]
    fn the_pattern_is_what_envoy_makes_of_a_stat_s_name() {
        let pattern = unlabelled();
        let pattern = pattern.split('"').nth(1).expect("a pattern");
        // Prometheus' patterns match the whole name.
        let regex = regex_lite::Regex::new(&format!("^(?:{pattern})$")).expect("a pattern");
        let exposed = |stat: &str| {
            let taken = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            stat.chars().map(taken).collect::<String>()
        };
        let stat = serin_core::metric::prefix(&[("config", "serin-source")])
            + serin_core::metric::GENERATION;
        assert!(regex.is_match(&exposed(&stat)), "{}", exposed(&stat));
        for right in [serin_core::metric::GENERATION, "istio_requests_total"] {
            assert!(!regex.is_match(right), "{right}");
        }
    }
}

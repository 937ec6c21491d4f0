//! Which proxies run a configuration, asked of the Prometheus that scrapes them: the queries, and what
//! is told of those that do not.

use serin_core::metric::{GENERATION, THREADS};

use crate::provider::prometheus::{Labels, Series};

/// The labels by which Prometheus tells what it scrapes apart.
const TARGET: &str = "on(job, instance)";

/// How long a proxy that cannot be scraped any more is expected to be there still.
const REMEMBERED: &str = "5m";

/// The listeners that every proxy of Istio's has: for its metrics and for its health.
const OWN_LISTENERS: usize = 2;

/// How many proxies are told by name.
const NAMED: usize = 5;

/// The queries about all proxies, which a selector of series names: one series of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies(pub String);

impl Proxies {
    /// Those that were scraped lately and that are still to be scraped, and have a listener for
    /// requests: a gateway that no Gateway selects has no filter, nor anybody who calls it.
    fn all(&self) -> String {
        let Proxies(selector) = self;
        format!(
            "((last_over_time({selector}[{REMEMBERED}]) and {TARGET} up) unless {TARGET} \
             envoy_listener_manager_total_listeners_active <= {OWN_LISTENERS})"
        )
    }

    /// The lowest generation that all proxies are known to run, 0 if one runs none; nothing if there is
    /// no proxy. One that cannot be scraped for a moment counts with what it ran, and those that
    /// started within `young` seconds have been told the newest only.
    pub fn lowest(&self, config: &str, young: u64) -> String {
        let all = self.all();
        let all = format!("({all} unless {TARGET} envoy_server_uptime < {young})");
        let shown = shown(config);
        // Scraped, and without a generation: the filter was there and is not any more.
        let without = format!("(up == 1 unless {TARGET} {shown})");
        format!(
            "min(((max by (job, instance) (max_over_time({shown}[{REMEMBERED}])) and {TARGET} {all}) \
             unless {TARGET} {without}) or {TARGET} {all} * 0)"
        )
    }

    /// The proxies that do not run a generation now, or miss the filter on a thread, with what they
    /// run; 0 is none.
    pub fn behind(&self, config: &str, generation: u64) -> String {
        let (all, shown, lost) = (self.all(), shown(config), lost(config));
        format!(
            "((({shown} and {TARGET} {all}) unless {TARGET} {lost}) or {TARGET} {all} * 0) \
             < {generation}"
        )
    }
}

/// The proxies where the filter is missing on a thread, with the number of those that have it: each
/// worker has it, and the main thread.
pub fn lost(config: &str) -> String {
    format!(
        "(min by (job, instance) ({THREADS}{{config=\"{config}\"}}) < {TARGET} \
         (max by (job, instance) (envoy_server_concurrency) + 1))"
    )
}

fn shown(config: &str) -> String {
    format!("{GENERATION}{{config=\"{config}\"}}")
}

/// What is told of proxies that are behind, with what each shows, and of `lost` how many threads have
/// the filter.
pub fn told(generation: u64, behind: &[Series], lost: &[Series]) -> String {
    let target = |labels: &Labels| [labels.get("job").cloned(), labels.get("instance").cloned()];
    let threads = |labels: &Labels| {
        let mut lost = lost.iter();
        let found = lost.find(|(other, _)| target(other) == target(labels));
        found.map(|(_, threads)| *threads)
    };
    let one = |(labels, shown): &Series| {
        let name = name(labels);
        match threads(labels) {
            Some(threads) => format!("{name} (lost the filter, has it on {threads} threads)"),
            None if *shown > 0.0 => format!("{name} (runs {shown})"),
            None => format!("{name} (runs none)"),
        }
    };
    let text = listed(behind.iter().map(one));
    let (count, verb) = match behind.len() {
        1 => ("1 proxy".to_string(), "does"),
        count => (format!("{count} proxies"), "do"),
    };
    format!(
        "{count} {verb} not run generation {generation} of the filter's configuration: {text} (the \
         controller's option --proxies says which count)"
    )
}

/// The first few names, and how many there are more.
pub(super) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.sort();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let mut text = names.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What people call a proxy.
pub(super) fn name(labels: &Labels) -> String {
    let label = |name: &str| {
        labels
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    let pod = label("pod")
        .or(label("pod_name"))
        .or(label("kubernetes_pod_name"));
    let namespace = label("namespace").or(label("kubernetes_namespace"));
    match (namespace, pod) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        (None, Some(pod)) => pod.to_string(),
        _ => label("instance")
            .unwrap_or("one without a name")
            .to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn a_proxy_that_shows_nothing_counts_as_zero() {
        let proxies = Proxies("envoy_server_uptime".into());
        let all = "((last_over_time(envoy_server_uptime[5m]) and on(job, instance) up) unless \
                   on(job, instance) envoy_listener_manager_total_listeners_active <= 2)";
        let old = format!("({all} unless on(job, instance) envoy_server_uptime < 9)");
        assert_eq!(
            proxies.lowest("serin-source", 9),
            format!(
                "min(((max by (job, instance) (max_over_time(serin_config_generation\
                 {{config=\"serin-source\"}}[5m])) and on(job, instance) {old}) unless \
                 on(job, instance) (up == 1 unless on(job, instance) serin_config_generation\
                 {{config=\"serin-source\"}})) or on(job, instance) {old} * 0)"
            )
        );
    }

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let one = [(labels(&[("namespace", "web"), ("pod", "cart-1")]), 6.0)];
        assert_eq!(
            told(7, &one, &[]),
            "1 proxy does not run generation 7 of the filter's configuration: web/cart-1 (runs 6) \
             (the controller's option --proxies says which count)"
        );
        let lost = [(labels(&[("namespace", "web"), ("pod", "cart-1")]), 2.0)];
        assert!(
            super::told(7, &one, &lost).contains("cart-1 (lost the filter, has it on 2 threads)")
        );
        let many: Vec<_> = (0..9)
            .map(|n| (labels(&[("instance", &format!("10.0.0.{n}:15020"))]), 0.0))
            .collect();
        let told = told(7, &many, &[]);
        assert!(
            told.starts_with("9 proxies do not run generation 7"),
            "{told}"
        );
        assert!(
            told.contains("10.0.0.4:15020 (runs none) and 4 more ("),
            "{told}"
        );
    }
}

//! Which proxies run a configuration, asked of the Prometheus that scrapes them: the queries, and what
//! is told of those that do not.

use serin_core::metric::GENERATION;

use crate::provider::prometheus::{Labels, Series};

/// The labels by which Prometheus tells what it scrapes apart.
const TARGET: &str = "on(job, instance)";

/// How long a proxy that cannot be scraped any more is expected to be there still.
const REMEMBERED: &str = "5m";

/// How many proxies are told by name.
const NAMED: usize = 5;

/// The queries about all proxies, which a selector of series names: one series of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies(pub String);

impl Proxies {
    /// Those that were scraped lately and that are still to be scraped.
    fn all(&self) -> String {
        let Proxies(selector) = self;
        format!("(last_over_time({selector}[{REMEMBERED}]) and {TARGET} up)")
    }

    /// The generation of a configuration that each proxy shows, 0 if none.
    fn generations(&self, config: &str) -> String {
        let all = self.all();
        format!(
            "(({} and {TARGET} {all}) or {TARGET} {all} * 0)",
            shown(config)
        )
    }

    /// The lowest generation that a proxy shows; nothing if there is no proxy.
    pub fn lowest(&self, config: &str) -> String {
        format!("min({})", self.generations(config))
    }

    /// The proxies that show less than a generation, with what they show.
    pub fn behind(&self, config: &str, generation: u64) -> String {
        format!("{} < {generation}", self.generations(config))
    }
}

/// The highest generation that was shown lately, also by proxies that are gone.
pub fn highest(config: &str) -> String {
    format!("max(max_over_time({}[1d]))", shown(config))
}

fn shown(config: &str) -> String {
    format!("{GENERATION}{{config=\"{config}\"}}")
}

/// What is told of proxies that are behind, with what each shows.
pub fn told(generation: u64, behind: &[Series]) -> String {
    let names = behind.iter().map(|(labels, shown)| {
        let name = name(labels);
        match *shown > 0.0 {
            true => format!("{name} (runs {shown})"),
            false => format!("{name} (runs none)"),
        }
    });
    let text = listed(names);
    let (count, verb) = match behind.len() {
        1 => ("1 proxy".to_string(), "does"),
        count => (format!("{count} proxies"), "do"),
    };
    format!("{count} {verb} not run generation {generation} of the filter's configuration: {text}")
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
        assert_eq!(
            proxies.lowest("serin-source"),
            "min(((serin_config_generation{config=\"serin-source\"} and on(job, instance) \
             (last_over_time(envoy_server_uptime[5m]) and on(job, instance) up)) or \
             on(job, instance) (last_over_time(envoy_server_uptime[5m]) and on(job, instance) up) * 0))"
        );
    }

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let one = [(labels(&[("namespace", "web"), ("pod", "cart-1")]), 6.0)];
        assert_eq!(
            told(7, &one),
            "1 proxy does not run generation 7 of the filter's configuration: web/cart-1 (runs 6)"
        );
        let many: Vec<_> = (0..9)
            .map(|n| (labels(&[("instance", &format!("10.0.0.{n}:15020"))]), 0.0))
            .collect();
        let told = told(7, &many);
        assert!(
            told.starts_with("9 proxies do not run generation 7"),
            "{told}"
        );
        assert!(
            told.ends_with("10.0.0.4:15020 (runs none) and 4 more"),
            "{told}"
        );
    }
}

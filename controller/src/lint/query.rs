//! Queries of analyses that count each request twice.

use serde_json::Value;

use super::Finding;
use super::files::{Files, Object};

/// The kinds that have queries.
pub(super) const TEMPLATES: [&str; 2] = ["AnalysisTemplate", "ClusterAnalysisTemplate"];

/// A query to Prometheus.
pub(super) struct Query<'a> {
    /// The template.
    pub of: &'a Object,
    /// Where in it.
    pub field: String,
    pub text: &'a str,
}

pub(super) fn check(files: &Files) -> Vec<Finding> {
    const METRIC: &str = "istio_requests_total";
    let templates = TEMPLATES.iter().flat_map(|kind| files.of_kind(kind));
    let doubled = templates
        .flat_map(queries)
        .filter(|query| query.is_of_any(METRIC, lacks_reporter));
    doubled
        .map(|query| {
            query.of.warning(format_args!(
                "{}: asks {METRIC} without reporter, which counts a request twice where the proxies \
                 of both its ends report it, and once elsewhere, expected \
                 {METRIC}{{reporter=\"destination\", ...}}, or \"source\"",
                query.field
            ))
        })
        .collect()
}

/// The queries of a template.
pub(super) fn queries(template: &Object) -> impl Iterator<Item = Query<'_>> {
    let metrics = template.value["spec"]["metrics"].as_array();
    let metrics = metrics.into_iter().flatten().enumerate();
    metrics.filter_map(move |(i, metric)| {
        let provider = &metric["provider"]["prometheus"];
        let text = provider["query"].as_str()?;
        let field = format!("spec.metrics[{i}].provider.prometheus.query");
        Some(Query {
            of: template,
            field,
            text,
        })
    })
}

impl Query<'_> {
    /// Whether a label or a metric of this name is in it.
    pub(super) fn mentions(&self, name: &str) -> bool {
        after_each(self.text, name).next().is_some()
    }

    /// Whether any of its selectors of this metric is so.
    fn is_of_any(&self, metric: &str, is: fn(&str) -> bool) -> bool {
        after_each(self.text, metric).any(is)
    }
}

/// What follows each place where a name stands that is not a part of another, nor of a text.
fn after_each<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.match_indices(name).filter_map(move |(at, name)| {
        let (before, rest) = text.split_at(at);
        let after = rest.split_at(name.len()).1;
        let is_whole = !before.ends_with(of_name) && !after.starts_with(of_name);
        (is_whole && !ends_in_quotes(before)).then_some(after)
    })
}

/// Whether a quote that is opened in it is still open.
fn ends_in_quotes(text: &str) -> bool {
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some('"' | '\'') if c == '\\' => drop(chars.next()),
            Some(open) if c == open => quote = None,
            None if "\"'`".contains(c) => quote = Some(c),
            _ => {}
        }
    }
    quote.is_some()
}

/// Whether no matcher of the selector that begins here is of the label `reporter`. Where an argument
/// stands for matchers nobody knows.
fn lacks_reporter(rest: &str) -> bool {
    let Some(inside) = rest.trim_start().strip_prefix('{') else {
        return true;
    };
    let unquoted = unquoted_until_brace(inside);
    !unquoted.contains("{{") && after_each(&unquoted, "reporter").next().is_none()
}

/// A selector's text up to its brace, without what stands in quotes.
fn unquoted_until_brace(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some(_) if c == '\\' => drop(chars.next()),
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if "\"'`".contains(c) => quote = Some(c),
            None if c == '}' => break,
            None => out.push(c),
        }
    }
    out
}

/// The names of the templates that a template is made of, and whether each is a cluster's.
pub(super) fn parts(template: &Object) -> impl Iterator<Item = (&str, bool)> {
    let parts = template.value["spec"]["templates"].as_array();
    parts.into_iter().flatten().filter_map(|part| {
        let is_clusters = part["clusterScope"].as_bool().unwrap_or(false);
        Some((Value::as_str(&part["templateName"])?, is_clusters))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{asking, told};

    #[test]
    fn a_query_without_reporter_is_told() {
        let found = told(&asking("sum(rate(istio_requests_total[1m]))"));
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "warning: all.yaml document 1: AnalysisTemplate web/good: \
                    spec.metrics[0].provider.prometheus.query: asks istio_requests_total without \
                    reporter";
        assert!(only.starts_with(told), "{only}");
    }

    #[test]
    fn each_selector_must_have_one() {
        for (query, is_told) in [
            ("istio_requests_total{reporter=\"source\"}", false),
            ("istio_requests_total {app='a}', reporter=~'s.*'}", false),
            ("istio_requests_total{app=\"reporter\"}", true),
            (
                "istio_requests_total{app=\"\\\"}\", reporter!=\"source\"}",
                false,
            ),
            ("istio_requests_total{the_reporter=\"a\"}", true),
            (
                "istio_requests_total{reporter='source'} / istio_requests_total",
                true,
            ),
            ("istio_requests_total{{{args.matchers}}}", false),
            ("my_istio_requests_total", false),
            (
                "{__name__=\"istio_requests_total\", reporter=\"destination\"}",
                false,
            ),
            ("serin_requests_total", false),
        ] {
            assert_eq!(told(&asking(query)).len() == 1, is_told, "{query}");
        }
    }
}

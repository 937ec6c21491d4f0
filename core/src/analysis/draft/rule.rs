//! `dryRun` and `measurementRetention`: rules that choose metrics by a pattern.

use regex_lite::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

use crate::analysis::metric::Metric;
use crate::analysis::resolve::ResolveError;

/// A rule for the metrics whose name holds a match of its pattern anywhere.
pub(super) struct Rule {
    pattern: Regex,
    pub(super) limit: Option<usize>,
}

impl Rule {
    pub(super) fn matches(&self, metric: &Metric) -> bool {
        self.pattern.is_match(&metric.name)
    }
}

/// The rules of `list`, each of which must choose a metric: one that is no pattern, such as `*`,
/// chooses none.
pub(super) fn rules(
    list: &'static str,
    written: &[Value],
    metrics: &[Metric],
) -> Result<Vec<Rule>, ResolveError> {
    let mut seen = BTreeSet::new();
    let mut rules = Vec::new();
    for (index, rule) in written.iter().enumerate() {
        let name = rule
            .get("metricName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !seen.insert(name) {
            return Err(ResolveError::RuleTwice {
                list,
                name: name.to_string(),
            });
        }
        let limit = rule.get("limit").and_then(Value::as_u64);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let rule = Regex::new(name).ok().map(|pattern| Rule { pattern, limit });
        match rule.filter(|rule| metrics.iter().any(|metric| rule.matches(metric))) {
            Some(rule) => rules.push(rule),
            None => return Err(ResolveError::RuleForNothing { list, index }),
        }
    }
    Ok(rules)
}

//! Rules are regular expressions: `*` is none.

use regex_lite::Regex;
use serde_json::Value;

use super::{Trap, Warning};

/// The traps of the rules at `path`.
pub(super) fn find(path: &str, dry_run: &[Value], retention: &[Value]) -> Vec<Warning> {
    let lists = [("dryRun", dry_run), ("measurementRetention", retention)];
    let found = lists.into_iter().flat_map(|(list, rules)| {
        let rules = rules.iter().enumerate();
        rules.filter_map(move |(index, rule)| {
            let text = rule.get("metricName")?.as_str()?;
            Regex::new(text).is_err().then(|| Warning {
                path: format!("{path}.{list}[{index}].metricName"),
                trap: Trap::NoPattern {
                    text: text.to_string(),
                },
            })
        })
    });
    found.collect()
}

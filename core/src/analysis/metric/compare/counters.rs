//! Which counters are compared.

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use crate::analysis::metric::Args;
use crate::field::Field;

/// The counters of both versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Counters {
    /// The filter's own.
    Filter {
        /// The Rollout; none: the one that the run is for.
        rollout: Option<String>,
        /// The template hash of the version on trial; none: that of the run.
        revision: Option<String>,
        /// `source` or `destination`: which of the two proxies of a request counts it.
        reporter: String,
        /// Which response codes are errors: a regular expression for all of a code.
        codes: String,
    },
    /// The user's.
    Given {
        /// Those of the version on trial.
        canary: Selectors,
        /// Those of the version that serves everybody else.
        stable: Selectors,
    },
}

impl Counters {
    /// The filter's own, of the Rollout and the version that a run is for.
    pub fn of_filter() -> Counters {
        Counters::Filter {
            rollout: None,
            revision: None,
            reporter: "source".to_string(),
            codes: ERROR_CODES.to_string(),
        }
    }
}

/// Selectors of counters in PromQL, such as `istio_requests_total{destination_workload="shop"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selectors {
    /// All requests.
    pub requests: String,
    /// Those that failed.
    pub errors: String,
    /// Buckets of a histogram of their durations; none: latency is not judged.
    pub buckets: Option<String>,
}

/// Failures of the server, and requests that nobody answered, which the filter counts as code 0.
const ERROR_CODES: &str = "5..|0";

pub(super) fn counters(field: &Field<'_>, args: Args) -> Option<Counters> {
    let (canary, stable) = (field.optional("canary"), field.optional("stable"));
    let codes = field.optional("errors").and_then(|f| f.optional("codes"));
    if canary.is_none() && stable.is_none() {
        return filter(field, args, codes.as_ref());
    }
    let of_filter = ["rollout", "revision", "reporter"].map(|name| field.optional(name));
    for other in of_filter.into_iter().flatten().chain(codes) {
        other.refuse(
            "is for the filter's own counters, expected it left out beside canary and stable",
        );
    }
    let accepted = "the counters of this version too";
    let canary = field.required("canary", accepted);
    let stable = field.required("stable", accepted);
    Some(Counters::Given {
        canary: selectors(&canary?, args)?,
        stable: selectors(&stable?, args)?,
    })
}

fn filter(field: &Field<'_>, args: Args, codes: Option<&Field<'_>>) -> Option<Counters> {
    let text = |name| {
        let found = field.optional(name)?;
        found.name().map(str::to_string)
    };
    let reporter = text("reporter").unwrap_or_else(|| "source".to_string());
    if !["source", "destination"].contains(&reporter.as_str())
        && !args.unknown(&reporter)
        && let Some(found) = field.optional("reporter")
    {
        found.expected("source or destination");
    }
    let written = codes.and_then(|codes| codes.name().map(str::to_string));
    if let (Some(codes), Some(written)) = (codes, &written)
        && !args.unknown(written)
        && let Err(why) = whole(written)
    {
        codes.expected(format_args!("a regular expression such as \"5..\": {why}"));
    }
    Some(Counters::Filter {
        rollout: text("rollout"),
        revision: text("revision"),
        reporter,
        codes: written.unwrap_or_else(|| ERROR_CODES.to_string()),
    })
}

/// A regular expression for all of a text.
///
/// # Errors
/// If it is none.
pub fn whole(pattern: &str) -> Result<Regex, regex_lite::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

fn selectors(field: &Field<'_>, args: Args) -> Option<Selectors> {
    field.only(&["requests", "errors", "buckets"]);
    let required = |name| {
        let accepted = "a selector of counters";
        selector(&field.required(name, accepted)?, args)
    };
    let (requests, errors) = (required("requests"), required("errors"));
    Some(Selectors {
        buckets: field.optional("buckets").and_then(|f| selector(&f, args)),
        requests: requests?,
        errors: errors?,
    })
}

/// A selector and nothing else: the differences of each series are taken here, so a sum over series,
/// which falls when one of them ends, or an `increase`, which is extrapolated, would be wrong.
fn selector(field: &Field<'_>, args: Args) -> Option<String> {
    let text = field.name()?.trim();
    if !args.unknown(text) && !is_selector(text) {
        field.expected(
            "a selector of counters such as istio_requests_total{reporter=\"source\"}, without \
             functions, operators and ranges: the differences of each series are taken from it",
        );
        return None;
    }
    Some(text.to_string())
}

/// Whether it is `name`, `name{...}` or `{...}`, with quotes closed inside.
fn is_selector(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let name = text.len() - text.trim_start_matches(is_name).len();
    let (name, rest) = text.split_at(name);
    let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
    let rest = rest.trim();
    if rest.is_empty() {
        return starts_well && !name.is_empty();
    }
    let inside = rest
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    starts_well && inside.is_some_and(closed)
}

/// Whether no brace stands outside quotes, and every quote is closed.
fn closed(inside: &str) -> bool {
    let mut quote = None;
    let mut escaped = false;
    for c in inside.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == '\\' => escaped = open != '`',
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if matches!(c, '{' | '}' | '[' | ']' | '(' | ')' | '#') => return false,
            None => {}
        }
    }
    quote.is_none()
}

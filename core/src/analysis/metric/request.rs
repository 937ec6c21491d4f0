//! What requests to providers are made of, in manifests: addresses, headers, patience.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

use super::Args;
use crate::field::Field;

/// A header sent along.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Tokens are sent in headers, and stay out of logs.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A year: more is a mistake.
const LONGEST_TIMEOUT_SECONDS: i64 = 31_536_000;

/// A URL with http or https; `example` is shown where it is none.
pub(super) fn url(field: &Field<'_>, args: Args, example: &str) -> Option<String> {
    let text = field.string()?;
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let has_host = host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?']));
    if !has_host && !args.unknown(text) {
        field.expected(format_args!("a URL such as {example:?}"));
        return None;
    }
    Some(text.to_string())
}

/// A list of headers.
pub(super) fn headers(field: &Field<'_>) -> Vec<Header> {
    let header = |header: Field<'_>| {
        header.only(&["key", "value"]);
        Some(Header {
            key: header
                .required("key", "a header's name")?
                .name()?
                .to_string(),
            value: header
                .required("value", "a header's value")?
                .string()?
                .to_string(),
        })
    };
    field.list().into_iter().filter_map(header).collect()
}

/// Whole seconds in the field `name` of `field`; 0 is `default`, as in Argo Rollouts.
pub(super) fn seconds(field: &Field<'_>, name: &str, default: u64) -> Duration {
    let written = field
        .optional(name)
        .and_then(|f| f.integer(0, LONGEST_TIMEOUT_SECONDS))
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0);
    Duration::from_secs(written.unwrap_or(default))
}

/// A duration of more than no time in the field `name` of `field`.
pub(super) fn duration(field: &Field<'_>, args: Args, name: &str, default: Duration) -> Duration {
    let Some(written) = field.optional(name) else {
        return default;
    };
    let duration = args.duration(&written);
    if duration.is_some_and(|duration| duration.is_zero()) {
        written.expected("more than no time");
    }
    duration.unwrap_or(default)
}

/// Whether the field `name` of `field` is true.
pub(super) fn flag(field: &Field<'_>, name: &str) -> bool {
    field.optional(name).and_then(|f| f.boolean()) == Some(true)
}

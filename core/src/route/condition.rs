//! One condition and one request in, whether it holds out.

use super::{Headers, Request};
use crate::wire::{self, REGEX_PROGRAM, REGEX_SUBJECT, Subject};
use regex_lite::{Regex, RegexBuilder};
use std::borrow::Cow;

/// A condition, compiled.
#[derive(Debug)]
pub(super) struct Condition {
    on: Subject,
    is: Test,
    not: bool,
}

#[derive(Debug)]
enum Test {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Regex(Pattern),
    Present,
}

/// A regular expression that must match all of a value.
#[derive(Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles `regex`; the error says what of it is not understood.
    pub fn new(regex: &str) -> Result<Self, String> {
        let build = |pattern: &str| {
            RegexBuilder::new(pattern)
                .size_limit(REGEX_PROGRAM)
                .nest_limit(32)
                .build()
                .map_err(|error| error.to_string())
        };
        build(regex)?; // alone first, so that a stray parenthesis cannot close the group around it
        build(&format!(r"\A(?:{regex})\z")).map(Pattern)
    }

    /// Whether it matches the whole of `value`. It does not if that is not UTF-8 or is longer
    /// than [`REGEX_SUBJECT`].
    pub fn matches(&self, value: &[u8]) -> bool {
        value.len() <= REGEX_SUBJECT
            && std::str::from_utf8(value).is_ok_and(|value| self.0.is_match(value))
    }
}

impl Condition {
    pub(super) fn compile(condition: &wire::Match) -> Result<Self, String> {
        let is = match &condition.is {
            wire::Test::Exact(value) => Test::Exact(value.clone()),
            wire::Test::Prefix(value) => Test::Prefix(value.clone()),
            wire::Test::Suffix(value) => Test::Suffix(value.clone()),
            wire::Test::Regex(regex) => Test::Regex(Pattern::new(regex)?),
            wire::Test::Present => Test::Present,
        };
        let on = condition.on.clone();
        let not = condition.not;
        Ok(Condition { on, is, not })
    }

    /// Whether it holds. Of a header, cookie or parameter that comes more than once, one value
    /// that passes the test is enough.
    pub(super) fn holds<'a>(&self, request: &Request<'a>, headers: impl Headers<'a>) -> bool {
        let passes = |value: &[u8]| self.is.passes(value);
        let passed = match &self.on {
            Subject::Header(name) => values(headers, name).any(passes),
            Subject::Cookie(name) => cookies(headers, name).any(passes),
            Subject::Path => passes(split_path(request.path).0),
            Subject::Method => passes(request.method),
            Subject::Query(name) => {
                parameters(split_path(request.path).1, name).any(|value| self.is.passes(&value))
            }
        };
        passed != self.not
    }
}

impl Test {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Test::Exact(wanted) => value == wanted.as_bytes(),
            Test::Prefix(wanted) => value.starts_with(wanted.as_bytes()),
            Test::Suffix(wanted) => value.ends_with(wanted.as_bytes()),
            Test::Regex(pattern) => pattern.matches(value),
            Test::Present => true,
        }
    }
}

/// The values of a header.
pub(super) fn values<'a>(headers: impl Headers<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .filter(move |(found, _)| *found == name.as_bytes())
        .map(|(_, value)| value)
}

/// The values of a cookie. HTTP/2 clients may send one `cookie` header per cookie.
pub(super) fn cookies<'a>(headers: impl Headers<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    values(headers, "cookie")
        .flat_map(|header| header.split(|byte| *byte == b';'))
        .filter_map(move |pair| named(pair.trim_ascii(), name.as_bytes()))
}

fn named<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pair.strip_prefix(name)?.strip_prefix(b"=")
}

/// Path and query; a fragment belongs to neither.
fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    let (path, _) = split_at_byte(path, b'#');
    split_at_byte(path, b'?')
}

fn split_at_byte(bytes: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == separator);
    let first = parts.next().unwrap_or_default();
    (first, parts.next().unwrap_or_default())
}

/// The values of a query parameter, decoded.
fn parameters<'a>(query: &'a [u8], name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    query
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| split_at_byte(pair, b'='))
        .filter(move |(found, _)| *decoded(found) == *name.as_bytes())
        .map(|(_, value)| decoded(value))
}

/// Percent-encoding undone; what is no valid escape stays as it is. Only a value with an escape
/// is copied, and a copy is never longer than its original.
fn decoded(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'%') {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        let (byte, next) = match (first, after) {
            (b'%', [high, low, next @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, next),
                _ => (*first, after),
            },
            _ => (*first, after),
        };
        out.push(byte);
        rest = next;
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

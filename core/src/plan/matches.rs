//! Matches of header routes: Argo's list of headers, and the richer form of `serin/wasm`.

use crate::field::Field;
use crate::wire::{AllOf, HeaderRoute, Match, Subject, Test};

/// Who carries out a match, and so says which regular expressions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    /// The filter; its expressions are tried here.
    Filter,
    /// Envoy itself, with RE2, which knows more.
    Envoy,
}

/// One entry of `setHeaderRoute.match`: a header and its value. Entries are alternatives.
pub(super) fn header_match(entry: &Field<'_>, matcher: Matcher) -> Option<AllOf> {
    entry.only(&["headerName", "headerValue"]);
    let name = entry
        .required("headerName", "a header's name")
        .and_then(|name| header_name(&name));
    let value = entry.required("headerValue", "exact, prefix or regex")?;
    value.only(&["exact", "prefix", "regex"]);
    let is = test(&value, &["exact", "prefix", "regex"], matcher);
    let on = Subject::Header(name?);
    Some(AllOf {
        all: vec![Match {
            on,
            is: is?,
            not: false,
        }],
    })
}

/// One entry of `serin/wasm`'s `routes`: `{name, any: [{all: [{header: {name, exact}}, …]}]}`.
pub(super) fn rich_route(route: &Field<'_>) -> Option<HeaderRoute> {
    route.only(&["name", "any"]);
    let name = route
        .required("name", "a managed route's name")
        .and_then(|name| name.name());
    let any = route.required("any", "a list of alternatives")?;
    let any: Vec<_> = not_empty(&any)?.iter().map(all_of).collect();
    let any = any.into_iter().collect::<Option<Vec<_>>>();
    Some(HeaderRoute {
        name: name?.to_string(),
        any: any?,
    })
}

fn all_of(entry: &Field<'_>) -> Option<AllOf> {
    entry.only(&["all"]);
    let all = entry.required("all", "a list of conditions")?;
    let all: Vec<_> = not_empty(&all)?.iter().map(condition).collect();
    all.into_iter()
        .collect::<Option<Vec<_>>>()
        .map(|all| AllOf { all })
}

/// An empty list would match everything, which nobody means.
fn not_empty<'a>(list: &Field<'a>) -> Option<Vec<Field<'a>>> {
    let items = list.list();
    if items.is_empty() {
        list.expected("at least one entry");
        return None;
    }
    Some(items)
}

const SUBJECTS: [&str; 5] = ["header", "cookie", "path", "method", "query"];
const TESTS: [&str; 5] = ["exact", "prefix", "suffix", "regex", "present"];

/// One condition: what of the request, and its test or the test's negation under `not`.
fn condition(condition: &Field<'_>) -> Option<Match> {
    condition.only(&SUBJECTS);
    let mut found = SUBJECTS
        .iter()
        .filter_map(|name| Some((*name, condition.optional(name)?)));
    let (Some((kind, subject)), None) = (found.next(), found.next()) else {
        condition.expected(format_args!("exactly one of {}", SUBJECTS.join(", ")));
        return None;
    };
    let named = matches!(kind, "header" | "cookie" | "query");
    let mut known = TESTS.to_vec();
    known.push("not");
    if named {
        known.push("name");
    }
    subject.only(&known);
    let name = || {
        subject
            .required("name", "a name")?
            .name()
            .map(str::to_string)
    };
    let on = match kind {
        "header" => Subject::Header(header_name(&subject.required("name", "a header's name")?)?),
        "cookie" => Subject::Cookie(name()?),
        "query" => Subject::Query(name()?),
        "path" => Subject::Path,
        _ => Subject::Method,
    };
    match subject.optional("not") {
        Some(not) => {
            not.only(&TESTS);
            if TESTS.iter().any(|name| subject.optional(name).is_some()) {
                subject.expected("a test, or a test under not, but not both");
            }
            test(&not, &TESTS, Matcher::Filter).map(|is| Match { on, is, not: true })
        }
        None => test(&subject, &TESTS, Matcher::Filter).map(|is| Match { on, is, not: false }),
    }
}

/// The one test among the fields of `value`.
fn test(value: &Field<'_>, accepted: &[&str], matcher: Matcher) -> Option<Test> {
    let mut found = accepted
        .iter()
        .filter_map(|name| Some((*name, value.optional(name)?)));
    let (Some((kind, field)), None) = (found.next(), found.next()) else {
        value.expected(format_args!("exactly one of {}", accepted.join(", ")));
        return None;
    };
    if kind == "present" {
        if field.boolean()? {
            return Some(Test::Present);
        }
        field.expected("true (absence is not: {present: true})");
        return None;
    }
    let text = field.string()?.to_string();
    match kind {
        "exact" => Some(Test::Exact(text)),
        "prefix" => Some(Test::Prefix(text)),
        "suffix" => Some(Test::Suffix(text)),
        _ => {
            if matcher == Matcher::Filter
                && let Err(error) = regex_lite::Regex::new(&text)
            {
                field.expected(format_args!("a regular expression ({error})"));
                return None;
            }
            Some(Test::Regex(text))
        }
    }
}

/// A header's name in lower case, as proxies keep it.
pub(super) fn header_name(field: &Field<'_>) -> Option<String> {
    let name = header_name_of(field.name()?);
    if name.is_none() {
        field.expected("a header's name");
    }
    name
}

/// The same of a text (RFC 9110's token characters).
pub(super) fn header_name_of(text: &str) -> Option<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let good = !text.is_empty() && text.bytes().all(token);
    good.then(|| text.to_ascii_lowercase())
}

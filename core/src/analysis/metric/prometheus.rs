//! `provider.prometheus`.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Args;
use crate::field::Field;

/// A query to a Prometheus server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrometheusQuery {
    /// The server, such as `http://prometheus.istio-system:9090`; none: the controller's own.
    pub address: Option<String>,
    /// The query in PromQL.
    pub query: String,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether the server's certificate is taken unseen.
    pub insecure: bool,
    /// Headers sent along.
    pub headers: Vec<Header>,
    /// User name and password.
    pub basic_auth: Option<BasicAuth>,
}

/// A header sent along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// User name and password.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

const DEFAULT_TIMEOUT_SECONDS: i64 = 30;
/// A year: more is a mistake.
const LONGEST_TIMEOUT_SECONDS: i64 = 31_536_000;

const FIELDS: [&str; 7] = [
    "address",
    "query",
    "timeout",
    "insecure",
    "headers",
    "authentication",
    "rangeQuery",
];

/// A server to be asked for something else than one query.
pub(super) fn connection(field: &Field<'_>, args: Args) -> Option<PrometheusQuery> {
    for name in ["query", "rangeQuery"] {
        if let Some(found) = field.optional(name) {
            found.refuse("has no meaning here, expected only how the server is reached");
        }
    }
    server(field, args)
}

impl Default for PrometheusQuery {
    fn default() -> Self {
        PrometheusQuery {
            address: None,
            query: String::new(),
            timeout: Duration::from_secs(DEFAULT_TIMEOUT_SECONDS.unsigned_abs()),
            insecure: false,
            headers: Vec::new(),
            basic_auth: None,
        }
    }
}

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<PrometheusQuery> {
    let server = server(field, args);
    let query = field.required("query", "a query")?.name()?.to_string();
    Some(PrometheusQuery { query, ..server? })
}

fn server(field: &Field<'_>, args: Args) -> Option<PrometheusQuery> {
    field.only(&FIELDS);
    if let Some(range) = field.optional("rangeQuery") {
        range.refuse("is not supported yet, expected a query without it");
    }
    let timeout = field
        .optional("timeout")
        .and_then(|f| f.integer(0, LONGEST_TIMEOUT_SECONDS))
        .filter(|seconds| *seconds > 0)
        .unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    Some(PrometheusQuery {
        address: field.optional("address").and_then(|f| address(&f, args)),
        timeout: Duration::from_secs(u64::try_from(timeout).unwrap_or(0)),
        insecure: field
            .optional("insecure")
            .and_then(|f| f.boolean())
            .unwrap_or(false),
        headers: field
            .optional("headers")
            .map(|f| headers(&f))
            .unwrap_or_default(),
        basic_auth: field
            .optional("authentication")
            .and_then(|f| authentication(&f)),
        query: String::new(),
    })
}

fn address(field: &Field<'_>, args: Args) -> Option<String> {
    let text = field.string().filter(|text| !text.is_empty())?;
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let has_host = host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?']));
    if !has_host && !args.unknown(text) {
        field.expected("a URL such as \"http://prometheus.istio-system:9090\"");
        return None;
    }
    Some(text.to_string())
}

fn headers(field: &Field<'_>) -> Vec<Header> {
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

fn authentication(field: &Field<'_>) -> Option<BasicAuth> {
    field.only(&["basicAuth", "oauth2", "sigv4"]);
    for later in ["oauth2", "sigv4"] {
        // An empty object is how Argo's own tools write "none".
        if let Some(found) = field.optional(later)
            && found.object().is_none_or(|object| !object.is_empty())
        {
            found.refuse("is not supported yet, expected basicAuth, or a token in headers");
        }
    }
    let basic = field.optional("basicAuth")?;
    basic.only(&["username", "password"]);
    let text = |name| {
        basic
            .optional(name)
            .and_then(|f| f.string().map(str::to_string))
    };
    Some(BasicAuth {
        username: text("username").unwrap_or_default(),
        password: text("password").unwrap_or_default(),
    })
}

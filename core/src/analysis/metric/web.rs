//! `provider.web`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

use super::authentication::{self, Authentication};
use super::request::{self, Header};
use super::{Args, JsonPath};
use crate::field::Field;

/// A URL that answers with JSON.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct WebQuery {
    /// Where to ask.
    pub url: String,
    /// How.
    pub method: WebMethod,
    /// Headers sent along.
    pub headers: Vec<Header>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What of the answer is measured, as [`JsonPath`] reads it; none: all of it.
    pub json_path: Option<String>,
    /// Whether the server's certificate is taken unseen.
    pub insecure: bool,
    /// Who asks; none: anybody.
    pub authentication: Option<Authentication>,
}

/// How to ask.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebMethod {
    /// GET, which has no body.
    Get,
    /// POST.
    Post(Option<WebBody>),
    /// PUT.
    Put(Option<WebBody>),
}

/// What is sent.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebBody {
    /// This text.
    Text(String),
    /// This JSON, and the header that says so.
    Json(Value),
}

/// Tokens are sent in URLs and bodies too, and stay out of logs.
impl fmt::Debug for WebQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebQuery")
            .field("headers", &self.headers)
            .field("timeout", &self.timeout)
            .field("json_path", &self.json_path)
            .field("authentication", &self.authentication)
            .finish_non_exhaustive()
    }
}

const DEFAULT_TIMEOUT_SECONDS: u64 = 10;

const FIELDS: [&str; 9] = [
    "url",
    "method",
    "headers",
    "body",
    "jsonBody",
    "timeoutSeconds",
    "jsonPath",
    "insecure",
    "authentication",
];

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<WebQuery> {
    field.only(&FIELDS);
    let url = field
        .required("url", "a URL")
        .and_then(|f| request::url(&f, args, "https://example.com/health"));
    let method = method(field, args);
    Some(WebQuery {
        headers: field
            .optional("headers")
            .map(|f| request::headers(&f))
            .unwrap_or_default(),
        timeout: request::seconds(field, "timeoutSeconds", DEFAULT_TIMEOUT_SECONDS),
        json_path: field.optional("jsonPath").and_then(|f| path(&f, args)),
        insecure: request::flag(field, "insecure"),
        authentication: authentication::read(field, args),
        url: url?,
        method: method?,
    })
}

fn method(field: &Field<'_>, args: Args) -> Option<WebMethod> {
    let body = body(field);
    let written = field.optional("method");
    let text = match &written {
        Some(method) => method.string()?,
        None => "",
    };
    match text {
        "" | "GET" => {
            let bodies = [text_body(field), field.optional("jsonBody")];
            for found in bodies.into_iter().flatten() {
                found.refuse("needs method POST or PUT");
            }
            Some(WebMethod::Get)
        }
        "POST" => Some(WebMethod::Post(body)),
        "PUT" => Some(WebMethod::Put(body)),
        open if args.unknown(open) => Some(WebMethod::Post(body)),
        _ => {
            if let Some(method) = written {
                method.expected("GET, POST or PUT");
            }
            None
        }
    }
}

/// An empty one is none, as in Argo Rollouts.
fn text_body<'f>(field: &Field<'f>) -> Option<Field<'f>> {
    field.optional("body").filter(|body| body.value() != "")
}

fn body(field: &Field<'_>) -> Option<WebBody> {
    match (text_body(field), field.optional("jsonBody")) {
        (Some(_), Some(json)) => {
            json.refuse("stands beside body, expected one of them");
            None
        }
        (Some(text), None) => Some(WebBody::Text(text.string()?.to_string())),
        (None, Some(json)) => Some(WebBody::Json(json.value().clone())),
        (None, None) => None,
    }
}

fn path(field: &Field<'_>, args: Args) -> Option<String> {
    let text = field.string().filter(|text| !text.is_empty())?;
    if !args.unknown(text)
        && let Err(why) = JsonPath::parse(text)
    {
        field.expected(format_args!("a JSONPath such as \"{{$.data.ok}}\": {why}"));
    }
    Some(text.to_string())
}

//! `provider.prometheus`.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Args;
use super::authentication::{self, Authentication};
use super::request::{self, Header};
use crate::analysis::condition::Moment;
use crate::field::Field;
use crate::time::Timestamp;

/// A query to a Prometheus server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrometheusQuery {
    /// The server, such as `http://prometheus.istio-system:9090`; none: the controller's own.
    pub address: Option<String>,
    /// The query in PromQL.
    pub query: String,
    /// The time that it is asked for; none: this moment.
    pub range: Option<RangeQuery>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether the server's certificate is taken unseen.
    pub insecure: bool,
    /// Headers sent along.
    pub headers: Vec<Header>,
    /// Who asks; none: anybody.
    pub authentication: Option<Authentication>,
}

/// A time from one moment to another, as expressions such as `now() - duration("1h")`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeQuery {
    /// Its begin.
    pub start: String,
    /// Its end.
    pub end: String,
    /// The time between two values.
    pub step: Duration,
}

const DEFAULT_TIMEOUT_SECONDS: u64 = 30;

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
            range: None,
            timeout: Duration::from_secs(DEFAULT_TIMEOUT_SECONDS),
            insecure: false,
            headers: Vec::new(),
            authentication: None,
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
    Some(PrometheusQuery {
        address: field
            .optional("address")
            .filter(|f| f.value() != "")
            .and_then(|f| request::url(&f, args, "http://prometheus.istio-system:9090")),
        timeout: request::seconds(field, "timeout", DEFAULT_TIMEOUT_SECONDS),
        insecure: request::flag(field, "insecure"),
        headers: field
            .optional("headers")
            .map(|f| request::headers(&f))
            .unwrap_or_default(),
        authentication: authentication::read(field, args),
        range: field.optional("rangeQuery").and_then(|f| range(&f, args)),
        query: String::new(),
    })
}

fn moment(field: &Field<'_>, args: Args) -> Option<String> {
    let text = field.string()?;
    if !args.unknown(text)
        && let Err(why) = Moment::parse(text)
    {
        field.expected(format_args!(
            "a time such as now() - duration(\"1h\"): {why}"
        ));
        return None;
    }
    Some(text.to_string())
}

fn range(field: &Field<'_>, args: Args) -> Option<RangeQuery> {
    field.only(&["start", "end", "step"]);
    let start = field
        .required("start", "a time such as now() - duration(\"1h\")")
        .and_then(|f| moment(&f, args));
    let end = field
        .required("end", "a time such as now()")
        .and_then(|f| moment(&f, args));
    // A step that is not known yet is read again when it is.
    let step = field
        .required("step", "a duration such as \"1m\"")
        .map(|_| request::duration(field, args, "step", Duration::MAX));
    Some(RangeQuery {
        start: start?,
        end: end?,
        step: step?,
    })
}

impl RangeQuery {
    /// Its begin and its end at `now`.
    ///
    /// # Errors
    /// Which is no time, or that it ends before it begins.
    pub fn at(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), String> {
        let moment = |name: &str, text: &str| {
            let moment = Moment::parse(text).and_then(|moment| moment.at(now));
            moment.map_err(|why| format!("rangeQuery.{name} is {text:?}, expected a time: {why}"))
        };
        let (start, end) = (moment("start", &self.start)?, moment("end", &self.end)?);
        if start > end {
            return Err(format!(
                "rangeQuery.start is {:?}, expected a time before its end, {:?}",
                self.start, self.end
            ));
        }
        Ok((start, end))
    }
}

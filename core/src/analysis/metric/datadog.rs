//! `provider.datadog`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Args, request};
use crate::analysis::{SecretKey, Wanted};
use crate::field::Field;

/// A query to Datadog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatadogQuery {
    /// What is asked.
    pub question: DatadogQuestion,
    /// The time up to now that it is asked about.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The Secret with its keys and its address.
    pub secret: String,
}

/// What is asked, by the version of Datadog's API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DatadogQuestion {
    /// Version 1: the last value of a query.
    Last(String),
    /// Version 2: one number.
    Scalar {
        /// The queries by the names that the formula has for them.
        queries: BTreeMap<String, String>,
        /// The formula; none: there is one query, which is the answer.
        formula: Option<String>,
        /// How the values of the interval become one.
        aggregator: String,
    },
}

const DEFAULT_SECRET: &str = "datadog";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5 * 60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_AGGREGATOR: &str = "last";

const AGGREGATORS: [&str; 9] = [
    "avg",
    "min",
    "max",
    "sum",
    "last",
    "percentile",
    "mean",
    "l2norm",
    "area",
];

const FIELDS: [&str; 8] = [
    "apiVersion",
    "query",
    "queries",
    "formula",
    "interval",
    "aggregator",
    "requestTimeout",
    "secretRef",
];

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<DatadogQuery> {
    field.only(&FIELDS);
    Some(DatadogQuery {
        interval: request::duration(field, args, "interval", DEFAULT_INTERVAL),
        timeout: request::duration(field, args, "requestTimeout", DEFAULT_TIMEOUT),
        secret: match field.optional("secretRef") {
            Some(found) => secret_ref(&found, args)?,
            None => DEFAULT_SECRET.to_string(),
        },
        question: question(field, args)?,
    })
}

/// The Secret's name. Secrets are read from the run's own namespace only: what measures in one
/// namespace must not use the credentials of another.
fn secret_ref(field: &Field<'_>, args: Args) -> Option<String> {
    field.only(&["name", "namespaced"]);
    if let Some(namespaced) = field.optional("namespaced")
        && namespaced.boolean() == Some(false)
    {
        namespaced.expected("true (a Secret is read from the run's own namespace)");
    }
    args.secret_name(&field.required("name", "the name of a Secret")?)
}

fn question(field: &Field<'_>, args: Args) -> Option<DatadogQuestion> {
    let version = field.optional("apiVersion");
    let text = match &version {
        Some(version) => version.string()?,
        None => "v1",
    };
    match text {
        "v1" => last(field),
        "v2" => scalar(field, args),
        open if args.unknown(open) => scalar(field, args),
        _ => {
            if let Some(version) = version {
                version.expected("v1 or v2");
            }
            None
        }
    }
}

/// The field `name`, unless it has the value that Argo Rollouts takes for none.
fn given<'f>(field: &Field<'f>, name: &str) -> Option<Field<'f>> {
    let found = field.optional(name)?;
    let is_none = *found.value() == json!("") || *found.value() == json!({});
    (!is_none).then_some(found)
}

fn last(field: &Field<'_>) -> Option<DatadogQuestion> {
    for name in ["queries", "formula", "aggregator"] {
        if let Some(found) = given(field, name) {
            found.refuse("needs apiVersion v2");
        }
    }
    let query = field.required("query", "a query")?.name()?;
    Some(DatadogQuestion::Last(query.to_string()))
}

fn scalar(field: &Field<'_>, args: Args) -> Option<DatadogQuestion> {
    let formula = given(field, "formula");
    let queries = match (given(field, "query"), given(field, "queries")) {
        (Some(_), Some(queries)) => {
            queries.refuse("stands beside query, expected one of them");
            return None;
        }
        (None, Some(queries)) => named(&queries)?,
        (query, None) => {
            if let Some(formula) = &formula {
                formula.refuse("needs queries, whose names it holds");
            }
            let query = query.or_else(|| field.required("query", "a query, or queries"))?;
            [("query".to_string(), query.name()?.to_string())].into()
        }
    };
    if queries.len() > 1 && formula.is_none() {
        field.required("formula", "what becomes of several queries");
    }
    let aggregator = given(field, "aggregator");
    Some(DatadogQuestion::Scalar {
        queries,
        formula: match formula {
            Some(formula) => Some(formula.name()?.to_string()),
            None => None,
        },
        aggregator: match aggregator {
            Some(found) => read_aggregator(&found, args)?,
            None => DEFAULT_AGGREGATOR.to_string(),
        },
    })
}

fn named(field: &Field<'_>) -> Option<BTreeMap<String, String>> {
    let fields = field.object()?;
    let query = |(name, query): (&String, &Value)| {
        let query = field.beside(name, query).name()?.to_string();
        Some((name.clone(), query))
    };
    fields.iter().map(query).collect()
}

fn read_aggregator(field: &Field<'_>, args: Args) -> Option<String> {
    let text = field.string()?;
    if !AGGREGATORS.contains(&text) && !args.unknown(text) {
        field.expected(format_args!("one of {}", AGGREGATORS.join(", ")));
        return None;
    }
    Some(text.to_string())
}

impl DatadogQuery {
    /// Where its API key is.
    pub fn api_key(&self) -> SecretKey {
        self.entry("api-key")
    }

    /// Where its application key is.
    pub fn app_key(&self) -> SecretKey {
        self.entry("app-key")
    }

    /// Where its address is, if it is not that of Datadog's first site.
    pub fn address(&self) -> SecretKey {
        self.entry("address")
    }

    /// What it wants of its Secret.
    pub fn secrets(&self) -> BTreeSet<Wanted> {
        let address = Wanted::from(&self.address()).optional().open();
        [self.api_key(), self.app_key()]
            .iter()
            .map(Wanted::from)
            .chain([address])
            .collect()
    }

    fn entry(&self, key: &str) -> SecretKey {
        SecretKey {
            name: self.secret.clone(),
            key: key.to_string(),
        }
    }
}

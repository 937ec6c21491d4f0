//! Datadog: a query in, one number out, or nil where there is none.

use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value, json};
use serin_core::analysis::metric::DatadogQuestion;
use serin_core::analysis::{DatadogQuery, Outcome, Reading, SecretKey, Secrets};

use super::exchange::{self, Answer, Server, send};
use super::{Given, entry, trouble};

const DATADOG: Server = Server {
    name: "Datadog",
    insecure: None,
    largest: 4 << 20,
    larger: "does the query aggregate?",
};

const DEFAULT_ADDRESS: &str = "https://api.datadoghq.com";

/// Asks Datadog for the query's value.
///
/// # Errors
/// What went wrong, with the address, and what to look at.
pub(super) async fn measure(query: &DatadogQuery, given: Given<'_>) -> Result<Outcome, String> {
    let address = entry(given.secrets, &query.address()).unwrap_or(DEFAULT_ADDRESS);
    let address = address.trim_end_matches('/');
    let asked = exchange::within(query.timeout, ask(query, address, given));
    let measured = asked.await.and_then(|answer| match &query.question {
        DatadogQuestion::Last(_) => last(&answer.json(given.hidden)?),
        DatadogQuestion::Scalar { .. } => scalar(&answer.json(given.hidden)?),
    });
    measured.map_err(|why| {
        let address = trouble::without_secrets(address);
        format!("Datadog at {address}: {why}")
    })
}

async fn ask(query: &DatadogQuery, address: &str, given: Given<'_>) -> Result<Answer, String> {
    let path = match &query.question {
        DatadogQuestion::Last(_) => "api/v1/query",
        DatadogQuestion::Scalar { .. } => "api/v2/query/scalar",
    };
    let url = exchange::url(&format!("{address}/{path}"))?;
    let client = exchange::client(&DATADOG, &url, false)?;
    let request = request(&client, query, url, given.now.0.div_euclid(1000))
        .header("DD-API-KEY", credential(given.secrets, query.api_key())?)
        .header(
            "DD-APPLICATION-KEY",
            credential(given.secrets, query.app_key())?,
        );
    send(&DATADOG, request).await
}

fn request(client: &Client, query: &DatadogQuery, mut url: Url, now: i64) -> RequestBuilder {
    let interval = i64::try_from(query.interval.as_secs()).unwrap_or(i64::MAX);
    let from = now.saturating_sub(interval);
    match &query.question {
        DatadogQuestion::Last(text) => {
            url.query_pairs_mut()
                .append_pair("query", text)
                .append_pair("from", &from.to_string())
                .append_pair("to", &now.to_string());
            client.get(url)
        }
        DatadogQuestion::Scalar {
            queries,
            formula,
            aggregator,
        } => {
            let query = |(name, query): (&String, &String)| {
                json!({"data_source": "metrics", "name": name, "query": query,
                    "aggregator": aggregator})
            };
            let queries: Vec<Value> = queries.iter().map(query).collect();
            let formulas: Vec<Value> = formula.iter().map(|f| json!({"formula": f})).collect();
            // This version counts in milliseconds.
            let attributes = json!({"from": from.saturating_mul(1000), "to": now * 1000,
                "queries": queries, "formulas": formulas});
            client.post(url).json(&json!({
                "data": {"type": "scalar_request", "attributes": attributes},
            }))
        }
    }
}

fn credential(secrets: &Secrets, key: SecretKey) -> Result<String, String> {
    let found = entry(secrets, &key).map(str::to_string);
    let SecretKey { name, key } = key;
    found.ok_or_else(|| format!("key {key} of Secret {name} is empty"))
}

/// The last value of the first series.
fn last(body: &Value) -> Result<Outcome, String> {
    if body["status"] == "error" {
        let said = body["error"].as_str().unwrap_or_default();
        return Err(format!("the query is not taken: {said}"));
    }
    let series = body["series"]
        .as_array()
        .ok_or("the answer has no series")?;
    let points = series.first().map(|first| &first["pointlist"]);
    let points = points.and_then(Value::as_array).map(Vec::as_slice);
    let Some(point) = points.unwrap_or_default().last() else {
        return Ok(nothing("[]"));
    };
    match point.as_array().map(Vec::as_slice) {
        Some([_, value]) => number(value),
        _ => Err(format!("a point is {point}, expected a time and a value")),
    }
}

/// The first value of the first column of numbers.
fn scalar(body: &Value) -> Result<Outcome, String> {
    let said = match (&body["data"]["errors"], &body["errors"]) {
        (Value::Null, said) | (said, _) => said,
    };
    if ![Value::Null, json!(""), json!([])].contains(said) {
        return Err(format!("the query is not taken: {said}"));
    }
    let columns = body["data"]["attributes"]["columns"]
        .as_array()
        .ok_or("the answer has no columns")?;
    let of_numbers = |column: &&Value| column["type"] != "group";
    let values = columns
        .iter()
        .find(of_numbers)
        .map(|column| &column["values"]);
    match values.and_then(|values| values.get(0)) {
        None => Ok(nothing("[]")),
        Some(Value::Null) => Ok(nothing("[null]")),
        Some(value) => number(value),
    }
}

fn number(value: &Value) -> Result<Outcome, String> {
    match value {
        Value::Null => Ok(nothing("null")),
        value => match value.as_f64() {
            Some(number) => Ok(Reading::Scalar(number).into()),
            None => Err(format!("a value is {value}, expected a number")),
        },
    }
}

/// No value, which conditions see as nil.
fn nothing(shown: &str) -> Outcome {
    Outcome {
        shown: shown.to_string(),
        ..Outcome::from(Reading::Json(Value::Null))
    }
}

#[cfg(test)]
mod tests;

//! New Relic: a query in, its rows out, by NerdGraph.

use std::time::Duration;

use serde_json::json;
use serin_core::analysis::{NewRelicQuery, Outcome, Reading, Secrets};

use super::exchange::{self, Answer, Server, send};
use super::{Given, entry, trouble};

const NEW_RELIC: Server = Server {
    name: "New Relic",
    insecure: None,
    largest: 4 << 20,
    larger: "does the query aggregate?",
};

/// The query has its own time; this much more is for the way.
const ON_THE_WAY: Duration = Duration::from_secs(10);

const ROWS: &str = "query ($account: Int!, $query: Nrql!, $timeout: Seconds!) { actor { \
    account(id: $account) { nrql(query: $query, timeout: $timeout) { results } } } }";

/// Asks New Relic for the query's rows.
///
/// # Errors
/// What went wrong, with the address, and what to look at.
pub(super) async fn measure(query: &NewRelicQuery, given: Given<'_>) -> Result<Outcome, String> {
    let address = &address(query, given.secrets)?;
    let patience = query.timeout.saturating_add(ON_THE_WAY);
    let answered = exchange::within(patience, ask(query, address, given)).await;
    let measured = answered.and_then(|answer| read(&answer, given.hidden));
    measured.map_err(|why| {
        let address = trouble::without_secrets(address);
        format!("New Relic at {address}: {why}")
    })
}

/// Where NerdGraph is.
fn address(query: &NewRelicQuery, secrets: &Secrets) -> Result<String, String> {
    if let Some(own) = entry(secrets, &query.nerdgraph()) {
        return Ok(own.to_string());
    }
    let region = entry(secrets, &query.region()).unwrap_or("us");
    match region.to_lowercase().as_str() {
        "us" => Ok("https://api.newrelic.com/graphql".to_string()),
        "eu" => Ok("https://api.eu.newrelic.com/graphql".to_string()),
        "staging" => Ok("https://staging-api.newrelic.com/graphql".to_string()),
        _ => Err(format!(
            "region of Secret {} is {region:?}, expected us, eu or staging",
            query.profile
        )),
    }
}

async fn ask(query: &NewRelicQuery, address: &str, given: Given<'_>) -> Result<Answer, String> {
    let profile = &query.profile;
    let key = entry(given.secrets, &query.api_key());
    let key = key.ok_or_else(|| format!("personal-api-key of Secret {profile} is empty"))?;
    let account = entry(given.secrets, &query.account());
    let account: Option<u64> = account.and_then(|account| account.parse().ok());
    let account = account
        .ok_or_else(|| format!("account-id of Secret {profile}: expected a whole number"))?;
    let url = exchange::url(address)?;
    let client = exchange::client(&NEW_RELIC, &url, false)?;
    let variables = json!({"account": account, "query": query.query,
        "timeout": query.timeout.as_secs()});
    let request = client
        .post(url)
        .header("Api-Key", key)
        .json(&json!({"query": ROWS, "variables": variables}));
    send(&NEW_RELIC, request).await
}

fn read(answer: &Answer, hidden: &Secrets) -> Result<Outcome, String> {
    let body = answer.json(hidden)?;
    let errors = body["errors"].as_array().into_iter().flatten();
    let said: Vec<&str> = errors
        .map(|error| {
            error["message"]
                .as_str()
                .unwrap_or("an error without message")
        })
        .collect();
    if !said.is_empty() {
        return Err(said.join("; "));
    }
    let rows = &body["data"]["actor"]["account"]["nrql"]["results"];
    match rows.as_array().map(Vec::as_slice) {
        None => Err(format!(
            "the answer has no results: {:?}",
            answer.beginning(hidden)
        )),
        Some([]) => Err(NO_ROWS.to_string()),
        Some([row]) if row.as_object().is_none_or(|row| row.is_empty()) => Err(NO_ROWS.to_string()),
        Some([row]) => Ok(Reading::Json(row.clone()).into()),
        Some(_) => Ok(Reading::Json(rows.clone()).into()),
    }
}

const NO_ROWS: &str = "no results returned from NRQL query";

#[cfg(test)]
mod tests;

//! InfluxDB: a query in Flux in, the values of its rows out.

use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde_json::json;
use serin_core::analysis::metric::influxdb::{ADDRESS, ORGANISATION, TOKEN};
use serin_core::analysis::{InfluxdbQuery, Outcome, SecretKey, Secrets};
use std::time::Duration;

use super::Given;
use super::exchange::{self, Server, send};

mod answer;
mod table;
mod value;

const INFLUXDB: Server = Server {
    name: "InfluxDB",
    insecure: None,
    largest: 16 << 20,
    larger: "does the query aggregate?",
};

/// As long as Argo Rollouts waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks InfluxDB with the address, organisation and token of the query's profile. What comes back
/// is the measurement's outcome, or the message of its error.
///
/// # Errors
/// What went wrong, with the query and the profile, and what to look at.
pub(super) async fn measure(query: &InfluxdbQuery, given: Given<'_>) -> Result<Outcome, String> {
    let asked = exchange::within(PATIENCE, async {
        let answer = send(&INFLUXDB, request(query, given.secrets)?).await?;
        answer::read(&answer, given.hidden)
    });
    asked.await.map_err(|why| {
        let profile = &query.profile;
        format!("query {:?} with profile {profile}: {why}", query.query)
    })
}

fn request(query: &InfluxdbQuery, secrets: &Secrets) -> Result<RequestBuilder, String> {
    let entry = |key: &str| entry(&query.profile, key, secrets);
    let address = entry(ADDRESS)?.trim_end_matches('/');
    let mut url = exchange::url(&format!("{address}/api/v2/query"))?;
    url.query_pairs_mut()
        .append_pair("org", entry(ORGANISATION)?);
    let client = exchange::client(&INFLUXDB, &url, false)?;
    let dialect = json!({
        "annotations": ["datatype", "group", "default"], "delimiter": ",", "header": true,
    });
    let body = json!({"query": query.query, "type": "flux", "dialect": dialect});
    Ok(client
        .post(url)
        .header(AUTHORIZATION, format!("Token {}", entry(TOKEN)?))
        .header(ACCEPT, "application/csv")
        .json(&body))
}

/// A key of the profile.
fn entry<'s>(profile: &str, key: &str, secrets: &'s Secrets) -> Result<&'s str, String> {
    let wanted = SecretKey {
        name: profile.to_string(),
        key: key.to_string(),
    };
    let found = super::entry(secrets, &wanted);
    found.ok_or_else(|| format!("key {key} of Secret {profile} is missing or empty"))
}

#[cfg(test)]
mod tests;

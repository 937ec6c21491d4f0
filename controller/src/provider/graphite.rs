//! Graphite: a target in, the values of its series out.

use reqwest::Url;
use serin_core::analysis::{GraphiteQuery, Outcome};
use std::time::Duration;

use super::exchange::{self, Server, send};
use super::{Given, trouble};

mod answer;

const GRAPHITE: Server = Server {
    name: "Graphite",
    insecure: None,
    largest: 16 << 20,
    larger: "does the target name few series, and from little time?",
};

/// As long as Argo Rollouts waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks Graphite's render API. What comes back is the measurement's outcome, or the message of its
/// error.
///
/// # Errors
/// What went wrong, with the query and the address, and what to look at.
pub(super) async fn measure(query: &GraphiteQuery, given: Given<'_>) -> Result<Outcome, String> {
    let asked = exchange::within(PATIENCE, async {
        let url = url(query)?;
        let client = exchange::following(&GRAPHITE, &url, false, false)?;
        let answer = send(&GRAPHITE, client.get(url)).await?;
        answer::read(&answer, given.hidden)
    });
    asked.await.map_err(|why| {
        let address = trouble::without_secrets(&query.address);
        format!("query {:?} at {address}: {why}", query.query)
    })
}

/// The query's own parameters, and the one format that is read.
fn url(query: &GraphiteQuery) -> Result<Url, String> {
    let address = query.address.trim_end_matches('/');
    let mut url = exchange::url(&format!("{address}/render"))?;
    url.set_query(Some(&query.query));
    let written: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let kept = written.into_iter().filter(|(name, _)| name != "format");
    let json = ("format".to_string(), "json".to_string());
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept.chain([json]));
    Ok(url)
}

#[cfg(test)]
mod tests;

//! Prometheus: a query in, the values of its series out.

use std::collections::BTreeMap;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serin_core::analysis::{Outcome, PrometheusQuery};
use serin_core::time::Timestamp;

use super::exchange::{self, Answer, Server};
use super::oauth2::{Asker, Tokens};
use super::trouble;
use crate::http;

mod answer;

const PROMETHEUS: Server = Server {
    name: "Prometheus",
    insecure: Some("provider.prometheus.insecure"),
    largest: 16 << 20,
    larger: "does the query aggregate?",
};

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// A series with its value.
pub type Series = (Labels, f64);

/// What [`measure`] asks addresses with http by.
///
/// # Errors
/// If the HTTP client cannot be set up.
pub fn client() -> reqwest::Result<Client> {
    http::plain()
        .no_proxy()
        .referer(false)
        .redirect(exchange::redirects(true, true))
        .build()
}

/// Asks Prometheus for the query's value at `now`, or over its range, with a [`client`] where the
/// address has http. What comes back is the measurement's outcome, or the message of its error.
///
/// # Errors
/// What went wrong, with the query and the address, and what to look at.
pub async fn measure(
    client: &Client,
    query: &PrometheusQuery,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Outcome, String> {
    let asked = ask(client, query, tokens, now);
    answered(query, asked, answer::read).await
}

/// Asks Prometheus for a query's series at `now`, with their labels and values, as [`measure`] does.
///
/// # Errors
/// As those of [`measure`].
pub async fn series(
    client: &Client,
    query: &PrometheusQuery,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Vec<Series>, String> {
    answered(query, ask(client, query, tokens, now), answer::series).await
}

/// A point in time, in seconds since 1970, and a value.
pub type Sample = (f64, f64);

/// Asks Prometheus for the raw samples of a selector with a range, such as `up[5m]`, as [`measure`]
/// does.
///
/// # Errors
/// As those of [`measure`].
pub async fn samples(
    client: &Client,
    query: &PrometheusQuery,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Vec<(Labels, Vec<Sample>)>, String> {
    answered(query, ask(client, query, tokens, now), answer::samples).await
}

async fn answered<T>(
    query: &PrometheusQuery,
    asked: impl Future<Output = Result<Answer, String>>,
    read: fn(StatusCode, &[u8]) -> Result<T, String>,
) -> Result<T, String> {
    let address = query.address.as_deref().ok_or(
        "no address of Prometheus (give one in provider.prometheus.address or to the controller)",
    )?;
    let answered = exchange::within(query.timeout, asked).await;
    let answered = answered.and_then(|answer| {
        let read = read(answer.status, &answer.body);
        // Some proxies tell what they refuse.
        read.map_err(|why| answer.without_credential(&why))
    });
    answered.map_err(|why| {
        let address = trouble::without_secrets(address);
        format!("query {:?} at {address}: {why}", query.query)
    })
}

async fn ask(
    client: &Client,
    query: &PrometheusQuery,
    tokens: &Tokens,
    now: Timestamp,
) -> Result<Answer, String> {
    let url = &url(query, now)?;
    let client = &trusting(client, query, url)?;
    let asker = Asker {
        authentication: query.authentication.as_ref(),
        insecure: query.insecure,
        tokens,
        now,
    };
    let request = |method: Method| move || request(client, query, method.clone(), url);
    let answer = asker.send(&PROMETHEUS, request(Method::POST)).await?;
    // Some proxies before Prometheus let only GET through.
    match answer.status {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            asker.send(&PROMETHEUS, request(Method::GET)).await
        }
        _ => Ok(answer),
    }
}

/// The URL of a GET; a POST sends its query part as the body.
fn url(query: &PrometheusQuery, now: Timestamp) -> Result<Url, String> {
    let address = query.address.as_deref().unwrap_or_default();
    let path = match query.range {
        Some(_) => "query_range",
        None => "query",
    };
    let mut url = exchange::url(&format!("{}/api/v1/{path}", address.trim_end_matches('/')))?;
    let mut pairs = url.query_pairs_mut();
    pairs.append_pair("query", &query.query);
    match &query.range {
        Some(range) => {
            let (start, end) = range.at(now)?;
            pairs
                .append_pair("start", &seconds(start.0))
                .append_pair("end", &seconds(end.0))
                .append_pair("step", &range.step.as_secs_f64().to_string())
        }
        None => pairs.append_pair("time", &seconds(now.0)),
    };
    drop(pairs);
    Ok(url)
}

fn seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    format!("{sign}{}.{:03}", millis / 1000, millis % 1000)
}

/// The client that trusts whom the query says. One for https is made for each measurement, so that
/// a root certificate added to the machine is seen by the next one.
fn trusting(http: &Client, query: &PrometheusQuery, url: &Url) -> Result<Client, String> {
    let builder = match (query.insecure, url.scheme()) {
        (true, _) => http::insecure(),
        (false, "https") => http::verified(),
        _ => return Ok(http.clone()),
    };
    // The query is a body.
    let redirects = exchange::redirects(false, true);
    let builder = builder.no_proxy().referer(false).redirect(redirects);
    let built = builder.build();
    built.map_err(|why| trouble::of(&PROMETHEUS, &why))
}

fn request(client: &Client, query: &PrometheusQuery, method: Method, url: &Url) -> RequestBuilder {
    let mut target = url.clone();
    let body = match method {
        Method::POST => url.query().map(str::to_string),
        _ => None,
    };
    if body.is_some() {
        target.set_query(None);
    }
    let request = client.request(method, target);
    let authenticated = query.authentication.is_some();
    let request = exchange::with_headers(request, &query.headers, authenticated);
    match body {
        Some(body) => exchange::typed(request, "application/x-www-form-urlencoded").body(body),
        None => request,
    }
}

#[cfg(test)]
mod tests;

//! Prometheus: a query in, the values of its series out.

use std::collections::BTreeMap;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serin_core::analysis::{Outcome, PrometheusQuery};
use serin_core::time::Timestamp;

use crate::http;

mod answer;
mod trouble;

/// An answer of many thousand series is a mistake in the query, and must not fill the memory.
const LARGEST_ANSWER: usize = 16 << 20;

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// A series with its value.
pub type Series = (Labels, f64);

/// What [`measure`] asks addresses with http by.
///
/// # Errors
/// If the HTTP client cannot be set up.
pub fn client() -> reqwest::Result<Client> {
    // It trusts nobody, so behind https it would report the certificate, which is not to blame.
    let by_http = Policy::custom(|attempt| match attempt.url().scheme() {
        "https" => attempt.error("it redirects to https (give that address)"),
        _ => Policy::default().redirect(attempt),
    });
    http::plain().no_proxy().redirect(by_http).build()
}

/// Asks Prometheus for the query's value at `now`, with a [`client`] where the address has http.
/// What comes back is the measurement's outcome, or the message of its error.
///
/// # Errors
/// What went wrong, with the query and the address, and what to look at.
pub async fn measure(
    client: &Client,
    query: &PrometheusQuery,
    now: Timestamp,
) -> Result<Outcome, String> {
    answered(client, query, now, answer::read).await
}

/// Asks Prometheus for a query's series at `now`, with their labels and values, as [`measure`] does.
///
/// # Errors
/// As those of [`measure`].
pub async fn series(
    client: &Client,
    query: &PrometheusQuery,
    now: Timestamp,
) -> Result<Vec<Series>, String> {
    answered(client, query, now, answer::series).await
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
    now: Timestamp,
) -> Result<Vec<(Labels, Vec<Sample>)>, String> {
    answered(client, query, now, answer::samples).await
}

async fn answered<T>(
    client: &Client,
    query: &PrometheusQuery,
    now: Timestamp,
    read: fn(StatusCode, &[u8]) -> Result<T, String>,
) -> Result<T, String> {
    let address = query.address.as_deref().ok_or(
        "no address of Prometheus (give one in provider.prometheus.address or to the controller)",
    )?;
    let asked = async {
        let (status, body) = ask(client, query, address, now).await?;
        read(status, &body)
    };
    let answered = match tokio::time::timeout(query.timeout, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("no answer within {:?}", query.timeout)),
    };
    answered.map_err(|why| {
        let address = trouble::without_secrets(address);
        format!("query {:?} at {address}: {why}", query.query)
    })
}

async fn ask(
    client: &Client,
    query: &PrometheusQuery,
    address: &str,
    now: Timestamp,
) -> Result<(StatusCode, Vec<u8>), String> {
    let url = url(query, address, now)?;
    let trusting = trusting(client, query, &url)?;
    let client = &trusting;
    let mut response = send(request(client, query, Method::POST, &url)).await?;
    // Some proxies before Prometheus let only GET through.
    if [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED].contains(&response.status()) {
        response = send(request(client, query, Method::GET, &url)).await?;
    }
    Ok((response.status(), body(response).await?))
}

/// The URL of a GET; a POST sends its query part as the body.
fn url(query: &PrometheusQuery, address: &str, now: Timestamp) -> Result<Url, String> {
    let mut url = Url::parse(&format!("{}/api/v1/query", address.trim_end_matches('/')))
        .map_err(|why| format!("the address is no URL: {why}"))?;
    if !["http", "https"].contains(&url.scheme()) {
        let scheme = url.scheme();
        return Err(format!("{scheme} is not supported, expected http or https"));
    }
    let seconds = now.0.div_euclid(1000);
    let millis = now.0.rem_euclid(1000);
    url.query_pairs_mut()
        .append_pair("query", &query.query)
        .append_pair("time", &format!("{seconds}.{millis:03}"));
    Ok(url)
}

/// The client that trusts whom the query says. One for https is made for each measurement, so that
/// a root certificate added to the machine is seen by the next one.
fn trusting(http: &Client, query: &PrometheusQuery, url: &Url) -> Result<Client, String> {
    let builder = match (query.insecure, url.scheme()) {
        (true, _) => http::insecure(),
        (false, "https") => http::verified(),
        _ => return Ok(http.clone()),
    };
    builder.no_proxy().build().map_err(|why| trouble::of(&why))
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
    let mut request = client.request(method, target);
    if let Some(body) = body {
        request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
    }
    if let Some(auth) = &query.basic_auth {
        request = request.basic_auth(&auth.username, Some(&auth.password));
    }
    query.headers.iter().fold(request, |request, header| {
        request.header(&header.key, &header.value)
    })
}

async fn send(request: RequestBuilder) -> Result<Response, String> {
    request.send().await.map_err(|why| trouble::of(&why))
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| trouble::of(&why))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            let most = LARGEST_ANSWER >> 20;
            return Err(format!(
                "the answer is larger than {most} MiB (does the query aggregate?)"
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests;

//! A URL that answers with JSON: a query in, what its path finds in the answer out.

use reqwest::{Client, Method, RequestBuilder, Url};
use serin_core::analysis::metric::{JsonPath, WebBody, WebMethod};
use serin_core::analysis::{Outcome, Reading, Secrets, WebQuery};

use super::exchange::{self, Answer, Server};
use super::oauth2::Asker;
use super::{Given, trouble};

const SERVER: Server = Server {
    name: "the server",
    insecure: Some("provider.web.insecure"),
    largest: 4 << 20,
    larger: "is there a URL for the one value?",
};

/// Asks for what the query measures.
///
/// # Errors
/// What went wrong, with the URL, and what to look at.
pub(super) async fn measure(query: &WebQuery, given: Given<'_>) -> Result<Outcome, String> {
    let answered = exchange::within(query.timeout, ask(query, given)).await;
    let measured = answered.and_then(|answer| read(query, &answer, given.hidden));
    measured.map_err(|why| {
        let url = trouble::without_secrets(&query.url);
        format!("{url}: {why}")
    })
}

async fn ask(query: &WebQuery, given: Given<'_>) -> Result<Answer, String> {
    let url = exchange::url(&query.url)?;
    let client = exchange::following(&SERVER, &url, query.insecure, carries(query))?;
    let asker = Asker {
        authentication: query.authentication.as_ref(),
        insecure: query.insecure,
        tokens: given.tokens,
        now: given.now,
    };
    let request = || request(&client, query, &url);
    asker.send(&SERVER, request).await
}

/// Whether more is sent than the URL.
fn carries(query: &WebQuery) -> bool {
    let has_body = matches!(
        query.method,
        WebMethod::Post(Some(_)) | WebMethod::Put(Some(_))
    );
    has_body || !query.headers.is_empty() || query.authentication.is_some()
}

fn request(client: &Client, query: &WebQuery, url: &Url) -> RequestBuilder {
    let (method, body) = match &query.method {
        WebMethod::Get => (Method::GET, None),
        WebMethod::Post(body) => (Method::POST, body.as_ref()),
        WebMethod::Put(body) => (Method::PUT, body.as_ref()),
    };
    let request = client.request(method, url.clone());
    let authenticated = query.authentication.is_some();
    let request = exchange::with_headers(request, &query.headers, authenticated);
    match body {
        None => request,
        Some(WebBody::Text(text)) => request.body(text.clone()),
        Some(WebBody::Json(json)) => {
            exchange::typed(request, "application/json").body(json.to_string())
        }
    }
}

fn read(query: &WebQuery, answer: &Answer, hidden: &Secrets) -> Result<Outcome, String> {
    let body = answer.json(hidden)?;
    let found = match query.json_path.as_deref() {
        None => body,
        Some(path) => {
            let found = JsonPath::parse(path)?.first(&body).cloned();
            found.ok_or_else(|| format!("jsonPath {path:?} finds nothing in the answer"))?
        }
    };
    Ok(Outcome {
        // Argo Rollouts shows texts with their quotes.
        shown: answer.without_credential(&found.to_string()),
        ..Outcome::from(Reading::Json(found))
    })
}

#[cfg(test)]
mod tests;

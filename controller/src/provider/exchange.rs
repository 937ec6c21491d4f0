//! One exchange over HTTP, for every provider: a request in; out comes the answer, of bounded size,
//! or the one message of what went wrong.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use serin_core::analysis::Secrets;
use serin_core::analysis::metric::Header;

use super::hide::cut_out;
use super::trouble;
use crate::http;

/// Who is asked.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name in messages.
    pub(super) name: &'static str,
    /// The field that has any certificate taken, if there is one.
    pub(super) insecure: Option<&'static str>,
    /// The largest answer that is read: more is a mistake in the query, and must not fill the memory.
    pub(super) largest: usize,
    /// What to look at where it is larger.
    pub(super) larger: &'static str,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    /// The credential that was sent: some servers answer with the request that they refuse.
    sent: String,
}

/// What `asked` brings, if it comes in time.
pub(super) async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("no answer within {patience:?}")),
    }
}

/// An address as a URL that can be asked.
pub(super) fn url(address: &str) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|why| format!("the address is no URL: {why}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("{scheme} is not supported, expected http or https")),
    }
}

/// The client for one measurement, which follows no redirect: keys in headers are for this address
/// only. One for https reads the machine's root certificates, so that one added meanwhile is seen.
pub(super) fn client(server: &Server, url: &Url, insecure: bool) -> Result<Client, String> {
    built(
        server,
        trusting(url, insecure).redirect(Policy::none()),
        url,
    )
}

/// The same, which follows redirects. What is `carried` along, be it a header or a body, is for this
/// server only.
pub(super) fn following(
    server: &Server,
    url: &Url,
    insecure: bool,
    carried: bool,
) -> Result<Client, String> {
    let trusts_nobody = !insecure && url.scheme() == "http";
    let builder = trusting(url, insecure).referer(false);
    let redirects = redirects(trusts_nobody, carried);
    built(server, builder.redirect(redirects), url)
}

/// The redirects that are followed. A client that trusts nobody would behind https report the
/// certificate, which is not to blame.
pub(super) fn redirects(trusts_nobody: bool, carried: bool) -> Policy {
    Policy::custom(move |attempt| {
        let to = attempt.url();
        let leaves = attempt
            .previous()
            .first()
            .is_some_and(|from| leaves(from, to));
        if trusts_nobody && to.scheme() == "https" {
            attempt.error("it redirects to https (give that address)")
        } else if carried && leaves {
            attempt.error(
                "it redirects to another server or away from https, which headers, body and \
                 credentials are not for (give that address)",
            )
        } else {
            Policy::default().redirect(attempt)
        }
    })
}

/// Whether another server is asked, or the same by a way that others can read. Another port is another
/// server, unless that is where the same host speaks https.
fn leaves(from: &Url, to: &Url) -> bool {
    let (before, after) = (from.scheme(), to.scheme());
    let same_way = before == after && from.port_or_known_default() == to.port_or_known_default();
    let safer = before == "http" && after == "https";
    from.host_str() != to.host_str() || !(same_way || safer)
}

/// A request with a metric's headers: of those of one name the last is sent, and what says who asks
/// is in the place of a header that does.
pub(super) fn with_headers(
    request: RequestBuilder,
    headers: &[Header],
    authenticated: bool,
) -> RequestBuilder {
    let mut all = HeaderMap::new();
    for Header { key, value } in headers {
        let (Ok(name), Ok(header)) = (HeaderName::try_from(key), HeaderValue::try_from(value))
        else {
            // The request tells what is wrong with it.
            return request.header(key, value);
        };
        if !(authenticated && name == AUTHORIZATION) {
            all.insert(name, header);
        }
    }
    request.headers(all)
}

/// A request whose body is of this type, whatever its headers say.
pub(super) fn typed(request: RequestBuilder, content_type: &'static str) -> RequestBuilder {
    let header = (CONTENT_TYPE, HeaderValue::from_static(content_type));
    request.headers(HeaderMap::from_iter([header]))
}

fn trusting(url: &Url, insecure: bool) -> ClientBuilder {
    match (insecure, url.scheme()) {
        (true, _) => http::insecure(),
        (false, "https") => http::verified(),
        _ => http::plain(),
    }
}

/// The environment may name a proxy for the world outside; this machine is asked directly.
fn built(server: &Server, builder: ClientBuilder, url: &Url) -> Result<Client, String> {
    let host = url.host_str().unwrap_or_default();
    let here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    let builder = if here { builder.no_proxy() } else { builder };
    builder.build().map_err(|why| trouble::of(server, &why))
}

/// Sends a request and reads what comes back.
pub(super) async fn send(server: &Server, request: RequestBuilder) -> Result<Answer, String> {
    let (client, request) = request.build_split();
    let request = request.map_err(|why| trouble::of(server, &why))?;
    let sent = request.headers().get(AUTHORIZATION);
    let sent = sent.and_then(|value| value.to_str().ok()).unwrap_or("");
    let sent = sent
        .split_once(' ')
        .map_or(sent, |(_, credential)| credential);
    let sent = sent.to_string();
    let response = client.execute(request).await;
    let response = response.map_err(|why| trouble::of(server, &why))?;
    Ok(Answer {
        status: response.status(),
        body: body(server, response).await?,
        sent,
    })
}

async fn body(server: &Server, mut response: Response) -> Result<Vec<u8>, String> {
    let broken = |why| format!("the answer broke off: {}", trouble::of(server, &why));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > server.largest {
            let most = server.largest >> 20;
            let hint = server.larger;
            return Err(format!("the answer is larger than {most} MiB ({hint})"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Answer {
    /// The body's beginning, as far as an error shows it. What is hidden is cut out first: a part of
    /// it would not be found any more.
    pub(super) fn beginning(&self, hidden: &Secrets) -> String {
        const SHOWN: usize = 200;
        let text = String::from_utf8_lossy(&self.body);
        let text = self.without_credential(&cut_out(text.trim(), hidden));
        match text.char_indices().nth(SHOWN) {
            Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
            None => text,
        }
    }

    /// A text of the answer without the credential that was sent.
    pub(super) fn without_credential(&self, text: &str) -> String {
        match self.sent.as_str() {
            "" => text.to_string(),
            sent => text.replace(sent, "*****"),
        }
    }

    /// The body as JSON, if the status is a good one.
    ///
    /// # Errors
    /// What is wrong with it, and its beginning.
    pub(super) fn json(&self, hidden: &Secrets) -> Result<Value, String> {
        serde_json::from_slice(self.good(hidden)?).map_err(|why| {
            let beginning = self.beginning(hidden);
            format!("the answer is no JSON ({why}): {beginning:?}")
        })
    }

    /// The body, if the status is a good one.
    ///
    /// # Errors
    /// The status, with a hint where credentials are not taken, and the body's beginning.
    pub(super) fn good(&self, hidden: &Secrets) -> Result<&[u8], String> {
        let status = self.status;
        if status.is_success() {
            return Ok(&self.body);
        }
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => " (are the credentials right?)",
            _ if status.is_redirection() => " (it redirects; give that address)",
            _ => "",
        };
        let beginning = self.beginning(hidden);
        Err(format!("status {status}{hint}: {beginning:?}"))
    }
}

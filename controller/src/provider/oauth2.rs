//! OAuth 2's client credentials: who asks in, an answer to a request with a token out. Tokens are
//! kept until they expire.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use serin_core::analysis::metric::{Authentication, BasicAuth, OAuth2};
use serin_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::exchange::{self, Answer, Server, send};
use super::trouble;

/// The tokens that are still good, for all who have a clone.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Mutex<HashMap<Client, Token>>>);

/// Secrets stay out of logs.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// To whom a token was given, and for what.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Client {
    url: String,
    id: String,
    scopes: Vec<String>,
    /// Of what only the client knows: that itself is not kept.
    hash: [u8; 32],
    /// Whether it came from a server that nobody had vouched for.
    insecure: bool,
}

#[derive(Clone)]
struct Token {
    text: String,
    given: Timestamp,
    expires: Timestamp,
}

/// Who asks, and what is known of tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) authentication: Option<&'a Authentication>,
    /// Whether the certificate of the server that gives tokens is taken unseen.
    pub(super) insecure: bool,
    pub(super) tokens: &'a Tokens,
    pub(super) now: Timestamp,
}

const SERVER: Server = Server {
    name: "the server of oauth2.tokenUrl",
    insecure: None,
    largest: 1 << 20,
    larger: "does it give tokens?",
};

/// A token about to expire would do so on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

impl Asker<'_> {
    /// Sends a request with what says who asks. A token that was kept and is refused is fetched
    /// again, once.
    ///
    /// # Errors
    /// What went wrong with the token, or with what was asked.
    pub(super) async fn send(
        self,
        server: &Server,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, String> {
        let oauth2 = match self.authentication {
            None => return send(server, request()).await,
            Some(Authentication::Basic(BasicAuth { username, password })) => {
                return send(server, request().basic_auth(username, Some(password))).await;
            }
            Some(Authentication::OAuth2(oauth2)) => oauth2,
        };
        let client = Client::of(oauth2, self.insecure);
        if let Some(kept) = self.tokens.kept(&client, self.now) {
            let answer = send(server, request().bearer_auth(&kept)).await?;
            if !refuses(&answer) {
                return Ok(answer);
            }
            self.tokens.drop_if(&client, &kept);
        }
        let token = self.fetch(oauth2).await?;
        let answer = send(server, request().bearer_auth(&token.text)).await?;
        if !refuses(&answer) {
            self.tokens.keep(client, token);
        }
        Ok(answer)
    }

    async fn fetch(self, oauth2: &OAuth2) -> Result<Token, String> {
        let fetched = fetch(oauth2, self.insecure, self.now).await;
        fetched.map_err(|why| {
            let url = trouble::without_secrets(&oauth2.token_url);
            let why = why.replace(&oauth2.client_secret, "*****");
            format!("no token from {url}: {why}")
        })
    }
}

/// Whether the token may be to blame: some servers say of one that was revoked that it is forbidden.
fn refuses(answer: &Answer) -> bool {
    matches!(
        answer.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

impl Client {
    fn of(oauth2: &OAuth2, insecure: bool) -> Client {
        Client {
            url: oauth2.token_url.clone(),
            id: oauth2.client_id.clone(),
            scopes: oauth2.scopes.clone(),
            hash: Sha256::digest(&oauth2.client_secret).into(),
            insecure,
        }
    }
}

impl Tokens {
    fn kept(&self, client: &Client, now: Timestamp) -> Option<String> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| now < token.expires);
        tokens.get(client).map(|token| token.text.clone())
    }

    /// Keeps a token; the one given longest ago makes room for it.
    fn keep(&self, client: Client, token: Token) {
        // More than a cluster's metrics have clients: what arguments make of them is not bounded.
        const MOST: usize = 256;
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST && !tokens.contains_key(&client) {
            let oldest = tokens.iter().min_by_key(|(_, token)| token.given);
            let oldest = oldest.map(|(client, _)| client.clone());
            oldest.and_then(|oldest| tokens.remove(&oldest));
        }
        tokens.insert(client, token);
    }

    /// Drops a token that was refused, unless another has been given meanwhile.
    fn drop_if(&self, client: &Client, refused: &str) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens
            .get(client)
            .is_some_and(|token| token.text == refused)
        {
            tokens.remove(client);
        }
    }
}

/// Fetches a token. Servers take the client's credentials in a header or in the body, and none says
/// which: the header comes first, as the standard has it.
async fn fetch(oauth2: &OAuth2, insecure: bool, now: Timestamp) -> Result<Token, String> {
    let url = exchange::url(&oauth2.token_url)?;
    let client = exchange::client(&SERVER, &url, insecure)?;
    let scopes = oauth2.scopes.join(" ");
    let mut form = vec![("grant_type", "client_credentials")];
    if !scopes.is_empty() {
        form.push(("scope", scopes.as_str()));
    }
    let coded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (id, secret) = (&oauth2.client_id, &oauth2.client_secret);
    let request = client.post(url.clone()).form(&form);
    let in_header = request.basic_auth(coded(id), Some(coded(secret)));
    let answer = send(&SERVER, in_header).await?;
    if !answer.status.is_client_error() {
        return read(&answer, now);
    }
    form.extend([("client_id", id.as_str()), ("client_secret", secret)]);
    let in_body = client.post(url).form(&form);
    read(&send(&SERVER, in_body).await?, now)
}

#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Reads the answer. Its body is not shown, since it may hold a token.
fn read(answer: &Answer, now: Timestamp) -> Result<Token, String> {
    let status = answer.status;
    let given: Given = serde_json::from_slice(&answer.body).map_err(|_| {
        format!("status {status}, and the answer is no JSON object (is tokenUrl right?)")
    })?;
    if !status.is_success() || given.access_token.is_empty() {
        let said = [given.error, given.error_description];
        let said: Vec<&str> = said
            .iter()
            .map(String::as_str)
            .filter(|s| !s.is_empty())
            .collect();
        let said = match said.as_slice() {
            [] => "it says no more".to_string(),
            some => some.join(": "),
        };
        return Err(format!("status {status} without a token: {said}"));
    }
    let seconds = match &given.expires_in {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let good = match seconds {
        Some(seconds) => Duration::from_secs(u64::min(seconds, LONGEST)),
        None => UNSAID,
    };
    Ok(Token {
        text: given.access_token,
        given: now,
        expires: now.plus(good.saturating_sub(ON_ITS_WAY)),
    })
}

/// How long a token is good whose server does not say it: few give any for less.
const UNSAID: Duration = Duration::from_secs(5 * 60);

/// A year: a token said to be good for longer is asked for again then.
const LONGEST: u64 = 31_536_000;

#[cfg(test)]
mod tests;

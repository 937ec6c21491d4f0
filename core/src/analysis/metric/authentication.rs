//! `authentication` of providers that are asked over HTTP.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::{Args, request};
use crate::field::Field;

/// How a request says who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Authentication {
    /// By user name and password.
    Basic(BasicAuth),
    /// By a token that a server gives for the client's own credentials.
    OAuth2(OAuth2),
}

/// User name and password.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Where tokens are given, and to whom.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OAuth2 {
    /// The server that gives them.
    pub token_url: String,
    /// The client.
    pub client_id: String,
    /// What only the client knows.
    pub client_secret: String,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
}

/// Secrets stay out of logs.
impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Reads `authentication` of `provider`, if it is there.
pub(super) fn read(provider: &Field<'_>, args: Args) -> Option<Authentication> {
    let field = provider.optional("authentication")?;
    field.only(&["basicAuth", "oauth2", "sigv4"]);
    // An empty object is how Argo's own tools write "none".
    let found = |name| {
        let found = field.optional(name)?;
        let empty = found.object().is_some_and(|object| object.is_empty());
        (!empty).then_some(found)
    };
    if let Some(sigv4) = found("sigv4") {
        sigv4.refuse("is not supported, expected basicAuth, oauth2, or a token in headers");
    }
    match (found("basicAuth"), found("oauth2")) {
        (Some(_), Some(oauth2)) => {
            oauth2.refuse("stands beside basicAuth, expected one of them");
            None
        }
        (Some(basic), None) => Some(Authentication::Basic(basic_auth(&basic))),
        (None, Some(oauth2)) => read_oauth2(&oauth2, args).map(Authentication::OAuth2),
        (None, None) => None,
    }
}

fn basic_auth(field: &Field<'_>) -> BasicAuth {
    field.only(&["username", "password"]);
    let text = |name| {
        let text = field.optional(name).and_then(|f| f.string());
        text.unwrap_or_default().to_string()
    };
    BasicAuth {
        username: text("username"),
        password: text("password"),
    }
}

fn read_oauth2(field: &Field<'_>, args: Args) -> Option<OAuth2> {
    field.only(&["tokenUrl", "clientId", "clientSecret", "scopes"]);
    let token_url = field
        .required("tokenUrl", "the URL that gives tokens")
        .and_then(|f| request::url(&f, args, "https://login.example.com/oauth2/token"));
    let text = |name, what| {
        let found = field.required(name, what)?;
        found.name().map(str::to_string)
    };
    let client_id = text("clientId", "the client's name");
    let client_secret = text(
        "clientSecret",
        "the client's secret, such as {{args.secret}}",
    );
    let scopes = field.optional("scopes").map(|f| f.names());
    Some(OAuth2 {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes.unwrap_or_else(|| Some(Vec::new()))?,
    })
}

//! Taking a role: a service account's token in, temporary credentials out.

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serin_core::analysis::{SecretKey, Secrets};

use super::credentials::Credentials;
use super::endpoint;
use super::environment::Role;
use crate::provider::exchange::{self, Answer, Server, send};
use crate::provider::refusal;

const STS: Server = Server {
    name: "STS",
    insecure: None,
    largest: 1 << 20,
    larger: "is the address right?",
};

/// Asks STS for the credentials of a role (AssumeRoleWithWebIdentity). They are asked for anew for
/// each measurement: what is kept could be stolen, and measurements are seldom.
///
/// # Errors
/// What went wrong, with the role.
pub(super) async fn assume(role: &Role, region: &str) -> Result<Credentials, String> {
    let assumed = async {
        let token = tokio::fs::read_to_string(&role.token_file).await;
        let token = token.map_err(|why| {
            let file = role.token_file.display();
            format!("the token in {file} (AWS_WEB_IDENTITY_TOKEN_FILE): {why}")
        })?;
        let token = token.trim();
        let url = endpoint::url("sts", region, role.address.as_deref())?;
        read(&ask(role, &url, token).await?, &hidden(token))
    };
    let assumed = assumed.await;
    assumed.map_err(|why| format!("role {}: {why}", role.arn))
}

async fn ask(role: &Role, url: &Url, token: &str) -> Result<Answer, String> {
    let mut form = url.clone();
    form.query_pairs_mut()
        .append_pair("Action", "AssumeRoleWithWebIdentity")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", &role.arn)
        .append_pair("RoleSessionName", &role.session)
        .append_pair("WebIdentityToken", token);
    let body = form.query().unwrap_or_default().to_string();
    let request = exchange::client(&STS, url, false)?
        .post(url.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body);
    send(&STS, request).await
}

fn hidden(token: &str) -> Secrets {
    let key = SecretKey {
        name: String::new(),
        key: "token".to_string(),
    };
    [(key, token.to_string())].into()
}

/// An answer that is not understood may hold a key, so it is not shown.
fn read(answer: &Answer, hidden: &Secrets) -> Result<Credentials, String> {
    credentials(refusal::good(answer, hidden)?)
        .ok_or_else(|| "the answer is not STS' (is the address right?)".to_string())
}

fn credentials(body: &[u8]) -> Option<Credentials> {
    let document = roxmltree::Document::parse(std::str::from_utf8(body).ok()?).ok()?;
    let text = |name: &str| refusal::element(&document, name).filter(|text| !text.is_empty());
    Some(Credentials {
        access_key: text("AccessKeyId")?,
        secret_key: text("SecretAccessKey")?,
        session_token: Some(text("SessionToken")?),
    })
}

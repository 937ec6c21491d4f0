//! Single requests through the gateway, as a user sends them.

use anyhow::Context;
use reqwest::header::HOST;
use serin::local::traffic::{REPLICA_SET_HEADER, USER_HEADER};

use super::ROLLOUT;
use super::teller::Teller;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its status code.
    pub(super) status: u16,
    /// Its body.
    pub(super) body: String,
    /// The ReplicaSet that gave it.
    pub(super) replica_set: String,
}

/// The gateway.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    url: String,
    http: reqwest::Client,
}

impl Gateway {
    pub(super) fn new(url: &str) -> anyhow::Result<Gateway> {
        Ok(Gateway {
            url: url.to_string(),
            http: serin::http::plain().no_proxy().build()?,
        })
    }

    /// Sends one request with further headers.
    pub(super) async fn get(&self, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let mut request = self.http.get(&self.url).header(HOST, ROLLOUT);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request
            .send()
            .await
            .context("send a request to the gateway")?;
        let named = response.headers().get(REPLICA_SET_HEADER);
        let replica_set = named
            .and_then(|name| name.to_str().ok())
            .unwrap_or_default();
        Ok(Answer {
            status: response.status().as_u16(),
            replica_set: replica_set.to_string(),
            body: response.text().await?.trim_end().to_string(),
        })
    }

    /// Sends one request and shows it with its answer.
    pub(super) async fn show(
        &self,
        teller: &Teller,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let mut command = format!("curl -H 'Host: {ROLLOUT}'");
        for (name, value) in headers {
            command.push_str(&format!(" -H '{name}: {value}'"));
        }
        teller.command(&format!("{command} {}", self.url));
        let answer = self.get(headers).await?;
        let Answer {
            status,
            body,
            replica_set,
        } = &answer;
        teller.line(&format!("    {status} {body} from {replica_set}"));
        Ok(answer)
    }

    /// A user whose requests this ReplicaSet answers, of those that the traffic is drawn from.
    pub(super) async fn user_of(&self, replica_set: &str) -> anyhow::Result<Option<String>> {
        for number in 0..100 {
            let user = serin::local::traffic::Users::name(number);
            if self.get(&[(USER_HEADER, &user)]).await?.replica_set == replica_set {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }
}

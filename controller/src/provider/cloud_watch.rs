//! Amazon CloudWatch: queries in, their results out.

use reqwest::Url;
use serin_core::analysis::{CloudWatchQuery, Outcome, Secrets};
use serin_core::time::Timestamp;
use std::time::Duration;

use super::Given;
use super::exchange::{self, Answer, Server, send};
use credentials::{Credentials, Place};
use environment::Identity;

mod answer;
mod credentials;
mod endpoint;
mod environment;
mod request;
mod role;
mod signature;

pub use environment::Environment;

const CLOUD_WATCH: Server = Server {
    name: "CloudWatch",
    insecure: None,
    largest: 16 << 20,
    larger: "ask for a shorter interval or a longer period",
};

/// CloudWatch's name in hosts and signatures.
const SERVICE: &str = "monitoring";
/// For all pages together.
const PATIENCE: Duration = Duration::from_secs(30);
/// A page holds some hundred thousand values: more of them are a mistake in the queries.
const MOST_PAGES: usize = 20;

/// Asks CloudWatch for the data until now, with the Secret that the query names or else with the
/// controller's own key or role. What comes back is the measurement's outcome, or the message of
/// its error.
///
/// # Errors
/// What went wrong, and what to look at.
pub(super) async fn measure(query: &CloudWatchQuery, given: Given<'_>) -> Result<Outcome, String> {
    let asked = exchange::within(PATIENCE, async {
        let (place, credentials) = access(query, given).await?;
        let hidden = credentials.hidden(given.hidden);
        Access {
            url: endpoint::url(SERVICE, &place.region, place.address.as_deref())?,
            region: place.region,
            credentials,
            hidden,
        }
        .ask(query, given.now)
        .await
    });
    asked.await.map_err(|why| format!("CloudWatch: {why}"))
}

/// Where and as whom.
async fn access(query: &CloudWatchQuery, given: Given<'_>) -> Result<(Place, Credentials), String> {
    match &query.secret {
        Some(name) => Ok((
            Place::of_secret(name, given.secrets, given.aws)?,
            credentials::of_secret(name, given.secrets)?,
        )),
        None => {
            let place = Place::of_environment(given.aws)?;
            let credentials = own(&given.aws.identity, &place.region).await?;
            Ok((place, credentials))
        }
    }
}

/// The controller's own credentials.
async fn own(identity: &Identity, region: &str) -> Result<Credentials, String> {
    match identity {
        Identity::Key(credentials) => Ok(credentials.clone()),
        Identity::Role(role) => role::assume(role, region).await,
        Identity::Nobody => Err(
            "no credentials, expected a Secret in provider.cloudWatch.secretRef, or \
             AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, or AWS_ROLE_ARN with \
             AWS_WEB_IDENTITY_TOKEN_FILE, of the controller"
                .to_string(),
        ),
    }
}

/// What requests are sent by.
struct Access {
    url: Url,
    region: String,
    credentials: Credentials,
    /// What is never told.
    hidden: Secrets,
}

impl Access {
    async fn ask(&self, query: &CloudWatchQuery, now: Timestamp) -> Result<Outcome, String> {
        let mut answer = answer::Answer::default();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let body = request::body(query, now, token.as_deref()).to_string();
            let mut page = answer::page(&self.send(body, now).await?, &self.hidden)?;
            token = page.next_token.take();
            answer.take(page);
            if token.is_none() {
                return answer.outcome();
            }
        }
        Err(format!(
            "the answer has more than {MOST_PAGES} pages ({})",
            CLOUD_WATCH.larger
        ))
    }

    async fn send(&self, body: String, now: Timestamp) -> Result<Answer, String> {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            (
                "x-amz-target",
                "GraniteServiceVersion20100801.GetMetricData",
            ),
        ];
        let signed = signature::sign(
            &signature::Request {
                host: &endpoint::host(&self.url),
                headers: &headers,
                body: body.as_bytes(),
                region: &self.region,
                service: SERVICE,
            },
            &self.credentials,
            now,
        );
        let client = exchange::client(&CLOUD_WATCH, &self.url, false)?;
        let mut request = client.post(self.url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        send(&CLOUD_WATCH, request).await
    }
}

#[cfg(test)]
mod tests;

//! What measures: one module per provider, each from a metric's query to an outcome.

mod blind;
pub mod cloud_watch;
pub mod compare;
mod datadog;
mod exchange;
mod graphite;
pub(crate) mod hide;
mod influxdb;
mod new_relic;
mod number;
mod oauth2;
pub mod prometheus;
mod refusal;
#[cfg(test)]
mod served;
mod trouble;
mod web;

pub use cloud_watch::Environment;
pub use oauth2::Tokens;

use reqwest::Client;
use serin_core::analysis::ticking::Before;
use serin_core::analysis::{Compare, Outcome, PrometheusQuery, Provider, SecretKey, Secrets};
use serin_core::time::Timestamp;

use compare::Subject;

/// What providers have at hand.
#[derive(Clone, Debug)]
pub struct Asking {
    /// For addresses of Prometheus with http.
    pub http: Client,
    /// The Prometheus of metrics that name none.
    pub prometheus: Option<String>,
    /// Whether that one is asked in the place of those that metrics name.
    pub instead: bool,
    /// The tokens that are still good.
    pub tokens: Tokens,
    /// The controller's own access to AWS.
    pub aws: Environment,
}

/// What one measurement has at hand.
#[derive(Clone, Copy)]
struct Given<'a> {
    /// What [`Provider::secrets`] wants, and what arguments brought.
    secrets: &'a Secrets,
    /// What of it is never told.
    hidden: &'a Secrets,
    tokens: &'a Tokens,
    aws: &'a Environment,
    now: Timestamp,
}

impl Asking {
    /// Asks a provider at `now` for a run for `subject`, with what [`Provider::secrets`] wants. What
    /// comes back is the measurement's outcome, or the message of its error; neither tells what
    /// Secrets hold.
    ///
    /// # Errors
    /// What went wrong, and what to look at.
    pub async fn measure(
        &self,
        provider: &Provider,
        secrets: &Secrets,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Outcome, String> {
        let hidden = &hide::hidden(provider, secrets);
        let given = Given {
            secrets,
            hidden,
            tokens: &self.tokens,
            aws: &self.aws,
            now,
        };
        match self.ask(provider, subject, given).await {
            Ok(outcome) => Ok(hide::cut_out_of(outcome, hidden)),
            Err(why) => Err(hide::cut_out(&why, hidden)),
        }
    }

    async fn ask(
        &self,
        provider: &Provider,
        subject: &Subject,
        given: Given<'_>,
    ) -> Result<Outcome, String> {
        match provider {
            Provider::Prometheus(query) => {
                let query = self.server(query);
                let now = given.now;
                let outcome = prometheus::measure(&self.http, &query, &self.tokens, now).await?;
                let blind = blind::why(self, &query, subject, &outcome, now).await;
                Ok(match blind {
                    Some(why) => outcome.blind(why, subject.blind_queries, now),
                    None => outcome,
                })
            }
            Provider::Web(query) => web::measure(query, given).await,
            Provider::Datadog(query) => datadog::measure(query, given).await,
            Provider::NewRelic(query) => new_relic::measure(query, given).await,
            Provider::Graphite(query) => graphite::measure(query, given).await,
            Provider::Influxdb(query) => influxdb::measure(query, given).await,
            Provider::CloudWatch(query) => cloud_watch::measure(query, given).await,
            Provider::Job(_) => Err("a Job is started, not asked".to_string()),
            Provider::Compare(_) => Err("a judge is asked tick by tick".to_string()),
        }
    }

    /// Takes a tick of the sequential judge at `now`, from where the measurement was before.
    ///
    /// # Errors
    /// If it is not known what to compare.
    pub async fn tick(
        &self,
        compare: &Compare,
        secrets: &Secrets,
        subject: &Subject,
        before: &Before,
        now: Timestamp,
    ) -> Result<Outcome, String> {
        match compare::tick(self, compare, subject, before, now).await {
            Ok(outcome) => Ok(hide::cut_out_of(outcome, secrets)),
            Err(why) => Err(hide::cut_out(&why, secrets)),
        }
    }

    /// The query, with the address that is to be asked.
    fn server(&self, query: &PrometheusQuery) -> PrometheusQuery {
        let mut query = query.clone();
        if self.instead || query.address.is_none() {
            query.address.clone_from(&self.prometheus);
        }
        query
    }
}

/// What stands in a Secret, without the end of line that files end with; none: nothing does.
fn entry<'s>(secrets: &'s Secrets, key: &SecretKey) -> Option<&'s str> {
    let value = secrets.get(key)?.trim();
    (!value.is_empty()).then_some(value)
}

//! What measures: one module per provider, each from a metric's query to an outcome.

mod blind;
pub mod compare;
pub mod prometheus;

use reqwest::Client;
use serin_core::analysis::ticking::Before;
use serin_core::analysis::{Compare, Outcome, PrometheusQuery, Provider, Secrets};
use serin_core::time::Timestamp;

use compare::Subject;

/// What providers have at hand.
#[derive(Clone, Debug)]
pub struct Asking {
    /// For addresses with http.
    pub http: Client,
    /// The Prometheus of metrics that name none.
    pub prometheus: Option<String>,
    /// Whether that one is asked in the place of those that metrics name.
    pub instead: bool,
}

impl Asking {
    /// Asks a provider at `now` for a run for `subject`, with what [`Provider::secrets`] wants. What comes back is the
    /// measurement's outcome, or the message of its error.
    ///
    /// # Errors
    /// What went wrong, and what to look at.
    pub async fn measure(
        &self,
        provider: &Provider,
        _secrets: &Secrets,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Outcome, String> {
        match provider {
            Provider::Prometheus(query) => {
                let query = self.server(query);
                let outcome = prometheus::measure(&self.http, &query, now).await?;
                Ok(
                    match blind::why(self, &query, subject, &outcome, now).await {
                        Some(why) => outcome.blind(why, subject.blind_queries, now),
                        None => outcome,
                    },
                )
            }
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
        subject: &Subject,
        before: &Before,
        now: Timestamp,
    ) -> Result<Outcome, String> {
        compare::tick(self, compare, subject, before, now).await
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

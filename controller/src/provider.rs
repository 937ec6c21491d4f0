//! What measures: one module per provider, each from a metric's query to an outcome.

pub mod prometheus;

use reqwest::Client;
use serin_core::analysis::{Outcome, Provider};
use serin_core::time::Timestamp;

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
    /// Asks a provider at `now`. What comes back is the measurement's outcome, or the message of its
    /// error.
    ///
    /// # Errors
    /// What went wrong, and what to look at.
    pub async fn measure(&self, provider: &Provider, now: Timestamp) -> Result<Outcome, String> {
        match provider {
            Provider::Prometheus(query) => {
                let mut query = query.clone();
                if self.instead || query.address.is_none() {
                    query.address.clone_from(&self.prometheus);
                }
                prometheus::measure(&self.http, &query, now).await
            }
            Provider::Job(_) => Err("a Job is started, not asked".to_string()),
        }
    }
}

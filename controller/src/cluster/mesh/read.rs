//! Prometheus is asked about the proxies.

use std::time::Duration;

use reqwest::Client;
use serin_core::analysis::PrometheusQuery;

use super::Mesh;
use crate::clock;
use crate::provider::Tokens;
use crate::provider::prometheus::{self, Series};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl Mesh {
    /// The series of a query's answer, with their values.
    pub(super) async fn ask(&self, query: &str) -> Result<Vec<Series>, String> {
        let client = self.client()?;
        let query = PrometheusQuery {
            query: query.to_string(),
            address: self.settings.prometheus.clone(),
            timeout: PATIENCE,
            insecure: false,
            headers: Vec::new(),
            authentication: None,
            range: None,
        };
        prometheus::series(client, &query, &Tokens::default(), clock::now()).await
    }

    /// One for all questions.
    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = prometheus::client().map_err(|error| error.to_string())?;
        Ok(self.http.get_or_init(|| client))
    }
}

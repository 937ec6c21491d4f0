//! Queries that see nothing while requests reach the canary: what is said of them.

use super::reading::{Judged, Outcome};
use super::status::RunStatus;
use crate::plan::BlindQueries;
use crate::step::RunPhase;
use crate::time::Timestamp;

/// What a measurement's metadata says of a query that is blind, and a metric's of its first.
pub const BLIND: &str = "serin/blind";

impl Outcome {
    /// The outcome of a query that is blind, which is judged as it is or cannot tell.
    pub fn blind(mut self, why: String, policy: BlindQueries, now: Timestamp) -> Outcome {
        self.judged = match policy {
            BlindQueries::Warn => None,
            BlindQueries::Inconclusive => Some(Judged {
                phase: RunPhase::Inconclusive,
                message: why.clone(),
                again: now,
            }),
        };
        self.metadata.insert(BLIND.to_string(), why);
        self
    }
}

impl RunStatus {
    /// What is said of queries that were blind, as it was when each was first found so.
    pub fn blind(&self) -> impl Iterator<Item = String> {
        self.metric_results.iter().filter_map(|result| {
            let why = result.metadata.get(BLIND)?;
            Some(format!("metric {:?} is {why}", result.name))
        })
    }
}

//! What the requests that `serin local --traffic N` sends have met so far; `GET /v1/traffic`.

use serde::{Deserialize, Serialize};
use serin_core::time::Timestamp;

/// All requests so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficReport {
    /// Where the requests go, such as `http://127.0.0.1:8080/`.
    pub url: String,
    /// The host that they name.
    pub host: String,
    /// Requests a second.
    pub rate: u32,
    /// How many users they are drawn from.
    pub users: usize,
    /// Requests sent.
    pub sent: u64,
    /// Answered by a version with a status below 500.
    pub ok: u64,
    /// Answered by a version with 500 or above.
    pub server_errors: u64,
    /// Not answered by any version: no connection, a broken one, no answer in time, or the proxy's
    /// own.
    pub failed: u64,
    /// Not answered yet.
    pub in_flight: u64,
    /// Not sent when they were due, since too many were waiting for an answer.
    pub skipped: u64,
    /// The last request that no version answered, as an error text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// What each version answered, in the order of their first answers.
    pub versions: Vec<VersionTraffic>,
}

/// What one version answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionTraffic {
    /// The ReplicaSet.
    pub replica_set: String,
    /// Answers below 500.
    pub ok: u64,
    /// Answers of 500 or above.
    pub server_errors: u64,
    /// How many users reached it.
    pub users: usize,
    /// How many users got an answer of 500 or above from it.
    pub users_with_errors: usize,
    /// When it answered first.
    pub first_seen: Timestamp,
    /// When it answered last.
    pub last_seen: Timestamp,
}

impl TrafficReport {
    /// What the version of this ReplicaSet answered, if it did.
    pub fn version(&self, replica_set: &str) -> Option<&VersionTraffic> {
        let mut versions = self.versions.iter();
        versions.find(|version| version.replica_set == replica_set)
    }
}

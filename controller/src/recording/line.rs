//! The lines as they stand in the file, before anything is checked.

use serde::{Deserialize, Serialize};

/// What the first line says it is.
pub(super) const FORMAT: &str = "serin-recording";
/// The only version so far.
pub(super) const VERSION: u64 = 1;

/// What every version's first line says, whatever else is in it.
#[derive(Deserialize)]
pub(super) struct Kind {
    pub(super) format: String,
    pub(super) version: u64,
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct First {
    pub(super) format: String,
    pub(super) version: u64,
    pub(super) namespace: String,
    pub(super) rollout: String,
    pub(super) stable: String,
    pub(super) canary: String,
    pub(super) begun: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) bounds_ms: Vec<f64>,
}

/// Any further line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Further {
    pub(super) at: String,
    pub(super) weight_bp: u64,
    pub(super) canary: Totals,
    pub(super) stable: Totals,
}

/// What came together of one version.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) failed: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) slower: Vec<u64>,
}

//! How long changes take to a proxy, as one program tells another.

use serde::{Deserialize, Serialize};

/// Some changes, one after the other; all in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pushes {
    /// From the request that writes the object to the API server's answer.
    pub written: Vec<f64>,
    /// From that request until the proxy shows the generation.
    pub shown: Vec<f64>,
}

/// The one in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

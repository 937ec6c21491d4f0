//! What a provider measured.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

use crate::step::RunPhase;
use crate::time::Timestamp;

/// The `result` that conditions judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// One number.
    Scalar(f64),
    /// The sample values of a query's series, in the order they came; labels are lost.
    Vector(Vec<f64>),
    /// Anything JSON can say; null is `nil`.
    Json(serde_json::Value),
}

impl Reading {
    /// Whether there is nothing to judge: nil, or a list without elements.
    pub fn is_empty(&self) -> bool {
        match self {
            Reading::Scalar(_) => false,
            Reading::Vector(values) => values.is_empty(),
            Reading::Json(serde_json::Value::Array(values)) => values.is_empty(),
            Reading::Json(value) => value.is_null(),
        }
    }
}

/// As `measurement.value` shows it: `10`, `NaN`, `+Inf`, `[10,11]`.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Scalar(number) => f.write_str(&shown(*number)),
            Reading::Vector(numbers) => {
                let all: Vec<String> = numbers.iter().map(|number| shown(*number)).collect();
                write!(f, "[{}]", all.join(","))
            }
            Reading::Json(serde_json::Value::String(text)) => f.write_str(text),
            Reading::Json(value) => write!(f, "{value}"),
        }
    }
}

fn shown(number: f64) -> String {
    if number == f64::INFINITY {
        "+Inf".to_string()
    } else if number == f64::NEG_INFINITY {
        "-Inf".to_string()
    } else {
        number.to_string()
    }
}

/// What a measurement brought, before its conditions are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What conditions see as `result`.
    pub value: Reading,
    /// `measurement.value`, usually the reading's own text.
    pub shown: String,
    /// `measurement.metadata`, such as the provider's warnings.
    pub metadata: BTreeMap<String, String>,
    /// The provider's own verdict, in the place of the conditions'.
    pub judged: Option<Judged>,
}

/// A verdict that a provider found itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict; running, there is none yet and the measurement goes on.
    pub phase: RunPhase,
    /// Why.
    pub message: String,
    /// When it is looked at again, if it goes on.
    pub again: Timestamp,
}

impl From<Reading> for Outcome {
    fn from(value: Reading) -> Self {
        Outcome {
            shown: value.to_string(),
            value,
            metadata: BTreeMap::new(),
            judged: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_argo_shows_them() {
        let vector = |values: &[f64]| Reading::Vector(values.to_vec()).to_string();
        assert_eq!(Reading::Scalar(10.0).to_string(), "10");
        assert_eq!(Reading::Scalar(0.25).to_string(), "0.25");
        assert_eq!(Reading::Scalar(f64::NAN).to_string(), "NaN");
        assert_eq!(Reading::Scalar(f64::INFINITY).to_string(), "+Inf");
        assert_eq!(Reading::Scalar(f64::NEG_INFINITY).to_string(), "-Inf");
        assert_eq!(vector(&[10.0, 11.0]), "[10,11]");
        assert_eq!(vector(&[f64::NAN]), "[NaN]");
        assert_eq!(vector(&[]), "[]");
    }
}

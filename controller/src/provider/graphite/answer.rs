//! What Graphite answers: JSON in, an outcome out.

use serde::Deserialize;
use serde_json::Value;
use serin_core::analysis::{Outcome, Reading, Secrets};

use crate::provider::exchange::Answer;
use crate::provider::{number, refusal};

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    datapoints: Vec<Value>,
}

/// Reads the body of an answer: the values of the first series, without those that are null.
pub(super) fn read(answer: &Answer, hidden: &Secrets) -> Result<Outcome, String> {
    let body = refusal::good(answer, hidden)?;
    let all: Vec<Series> = serde_json::from_slice(body).map_err(|why| {
        let beginning = answer.beginning(hidden);
        format!("the answer is not Graphite's ({why}; is the address right?): {beginning:?}")
    })?;
    let all: Vec<Vec<Option<f64>>> = all
        .into_iter()
        .map(|series| series.datapoints.iter().map(value).collect())
        .collect::<Result<_, _>>()?;
    match all.into_iter().next() {
        Some(points) if !points.is_empty() => Ok(outcome(points.into_iter().flatten().collect())),
        _ => {
            Err("no values found (does the target name a series, and is from early enough?)".into())
        }
    }
}

/// Argo Rollouts shows six digits behind the point.
fn outcome(values: Vec<f64>) -> Outcome {
    let shown: Vec<String> = values.iter().map(|value| number::fixed(*value)).collect();
    Outcome {
        shown: format!("[{}]", shown.join(",")),
        ..Reading::Vector(values).into()
    }
}

/// The value of a pair of value and time, either of which may be null, or text.
fn value(point: &Value) -> Result<Option<f64>, String> {
    let strange = || format!("the datapoint {point} is no pair of a number and a time");
    let Some([value, time]) = point.as_array().map(Vec::as_slice) else {
        return Err(strange());
    };
    number_in(time).and(number_in(value)).ok_or_else(strange)
}

/// A number, or none for null; none at all for what is neither.
#[expect(clippy::option_option, reason = "null is a value that Graphite gives")]
fn number_in(value: &Value) -> Option<Option<f64>> {
    match value {
        Value::Null => Some(None),
        Value::Number(number) => number.as_f64().map(Some),
        Value::String(text) => text.parse().ok().map(Some),
        _ => None,
    }
}

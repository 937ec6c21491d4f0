//! What Prometheus answers: JSON in, an outcome out.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use serin_core::analysis::{Outcome, Reading};

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: super::Labels,
    #[serde(default)]
    value: Option<Sample>,
    #[serde(default)]
    values: Vec<Sample>,
}

/// A time and a number as text.
#[derive(Deserialize)]
struct Sample(f64, String);

/// Reads the body of an answer.
pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Outcome, String> {
    let answer = well(status, body)?;
    let data = answer.data.ok_or(NO_DATA)?;
    let mut outcome = Outcome::from(reading(data)?);
    if !answer.warnings.is_empty() {
        let all: Vec<String> = answer
            .warnings
            .iter()
            .map(|text| format!("\"{text}\""))
            .collect();
        outcome
            .metadata
            .insert("warnings".to_string(), all.join(", "));
    }
    Ok(outcome)
}

/// Reads the series of a vector, with their labels.
pub(super) fn series(status: StatusCode, body: &[u8]) -> Result<Vec<super::Series>, String> {
    let data = well(status, body)?.data.ok_or(NO_DATA)?;
    if data.kind != "vector" {
        return Err(format!("the answer is a {}, expected a vector", data.kind));
    }
    let series: Vec<Series> = serde_json::from_value(data.result).map_err(unreadable)?;
    let series = series.into_iter().map(|one| {
        let sample = one.value.ok_or("a native histogram is no number")?;
        Ok((one.metric, number(&sample)?))
    });
    series.collect()
}

/// Reads the raw samples of a matrix, with the labels of their series.
pub(super) fn samples(
    status: StatusCode,
    body: &[u8],
) -> Result<Vec<(super::Labels, Vec<super::Sample>)>, String> {
    let data = well(status, body)?.data.ok_or(NO_DATA)?;
    if data.kind != "matrix" {
        return Err(format!("the answer is a {}, expected a matrix", data.kind));
    }
    let series: Vec<Series> = serde_json::from_value(data.result).map_err(unreadable)?;
    let series = series.into_iter().map(|one| {
        let timed = one
            .values
            .iter()
            .map(|sample| Ok((sample.0, number(sample)?)));
        Ok((one.metric, timed.collect::<Result<_, String>>()?))
    });
    series.collect()
}

const NO_DATA: &str = "the answer has no data";

fn unreadable(why: serde_json::Error) -> String {
    format!("the answer's result: {why}")
}

/// An answer that tells of no error.
fn well(status: StatusCode, body: &[u8]) -> Result<Answer, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|why| {
        format!("status {status}, and the answer is not Prometheus' ({why}; is the address right?)")
    })?;
    if answer.status != "success" {
        return Err(format!("{}: {}", answer.error_type, answer.error));
    }
    if !status.is_success() {
        return Err(format!(
            "status {status}, though the answer tells of success"
        ));
    }
    Ok(answer)
}

fn reading(data: Data) -> Result<Reading, String> {
    match data.kind.as_str() {
        "scalar" => {
            let sample: Sample = serde_json::from_value(data.result).map_err(unreadable)?;
            number(&sample).map(Reading::Scalar)
        }
        "vector" | "matrix" => {
            let series: Vec<Series> = serde_json::from_value(data.result).map_err(unreadable)?;
            if data.kind == "vector" && series.iter().any(|one| one.value.is_none()) {
                return Err(
                    "a native histogram is no number (take histogram_quantile of it)".into(),
                );
            }
            let samples = series
                .iter()
                .flat_map(|one| one.value.iter().chain(&one.values));
            samples
                .map(number)
                .collect::<Result<_, _>>()
                .map(Reading::Vector)
        }
        _ => Err("Prometheus metric type not supported".to_string()),
    }
}

fn number(Sample(_, text): &Sample) -> Result<f64, String> {
    // Rust reads Prometheus' NaN, +Inf and -Inf too.
    text.parse()
        .map_err(|_| format!("the answer's result: {text:?} is no number"))
}

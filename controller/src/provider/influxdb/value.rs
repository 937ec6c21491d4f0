//! A row's value: its type and text in, the value out, and of all of them the outcome.

use serde_json::json;
use serin_core::analysis::{Outcome, Reading};

use crate::provider::number;

/// The value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Number(f64),
    /// A text, a time, a duration, or bytes in base64, as it is written.
    Text(String),
}

impl Value {
    /// Reads a value of a type that `#datatype` names.
    pub(super) fn read(kind: &str, text: &str) -> Result<Value, String> {
        if text.is_empty() {
            return Ok(Value::Nil);
        }
        match kind {
            // Rust reads InfluxDB's NaN, +Inf and -Inf too.
            "double" | "long" | "unsignedLong" => text
                .parse()
                .map(Value::Number)
                .map_err(|_| format!("has {text:?}, expected a {kind}")),
            "boolean" => Ok(Value::Bool(!text.eq_ignore_ascii_case("false"))),
            "string" | "duration" | "base64Binary" => Ok(Value::Text(text.to_string())),
            time if time.starts_with("dateTime") => Ok(Value::Text(text.to_string())),
            other => Err(format!("has a value of the unknown type {other:?}")),
        }
    }

    /// As Go shows it.
    fn shown(&self) -> String {
        match self {
            Value::Nil => "<nil>".to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number::shown(*number),
            Value::Text(text) => text.clone(),
        }
    }
}

/// The values as conditions see them.
///
/// # Errors
/// If one is no finite number and another no number at all: there is no list of both.
pub(super) fn outcome(values: Vec<Value>) -> Result<Outcome, String> {
    let shown: Vec<String> = values.iter().map(Value::shown).collect();
    Ok(Outcome {
        shown: format!("[{}]", shown.join(" ")),
        ..reading(&values)?.into()
    })
}

fn reading(values: &[Value]) -> Result<Reading, String> {
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    if let Some(numbers) = values.iter().map(number).collect() {
        return Ok(Reading::Vector(numbers));
    }
    let json = |value: &Value| match value {
        Value::Nil => Ok(json!(null)),
        Value::Bool(truth) => Ok(json!(truth)),
        Value::Number(number) if number.is_finite() => Ok(json!(number)),
        Value::Number(_) => Err(format!(
            "{} stands beside what is no number (filter one of them out)",
            value.shown()
        )),
        Value::Text(text) => Ok(json!(text)),
    };
    let list: Vec<serde_json::Value> = values.iter().map(json).collect::<Result<_, String>>()?;
    Ok(Reading::Json(list.into()))
}

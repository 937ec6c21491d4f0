//! What CloudWatch answers: pages of JSON in, an outcome out.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serin_core::analysis::{Outcome, Reading, Secrets};
use serin_core::time::Timestamp;

use crate::clock;
use crate::provider::{exchange, number, refusal};

/// A page of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    metric_data_results: Vec<Series>,
    #[serde(default)]
    messages: Option<Vec<Message>>,
    /// What names the next page.
    #[serde(default)]
    pub(super) next_token: Option<String>,
}

/// The data of a query; a search has many of one id, told apart by their labels.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    id: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    messages: Option<Vec<Message>>,
    #[serde(default)]
    status_code: Option<String>,
    #[serde(default)]
    timestamps: Option<Vec<f64>>,
    #[serde(default)]
    values: Option<Vec<f64>>,
}

/// What CloudWatch says beside the data.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    value: Option<String>,
}

/// Reads the body of one page.
pub(super) fn page(answer: &exchange::Answer, hidden: &Secrets) -> Result<Page, String> {
    serde_json::from_slice(refusal::good(answer, hidden)?).map_err(|why| {
        let beginning = answer.beginning(hidden);
        format!("the answer is not CloudWatch's ({why}; is the address right?): {beginning:?}")
    })
}

/// All the pages so far.
#[derive(Default)]
pub(super) struct Answer {
    series: Vec<Series>,
    messages: Vec<Message>,
}

impl Answer {
    /// Takes a page: series go on where those of the pages before ended.
    pub(super) fn take(&mut self, page: Page) {
        self.messages.extend(page.messages.unwrap_or_default());
        for next in page.metric_data_results {
            let begun = |one: &&mut Series| one.id == next.id && one.label == next.label;
            match self.series.iter_mut().find(begun) {
                Some(begun) => begun.go_on(next),
                None => self.series.push(next),
            }
        }
    }

    /// What conditions judge: the results by the names that Argo Rollouts gives their fields.
    ///
    /// # Errors
    /// If one of them is not complete: a part of the data is no measurement.
    pub(super) fn outcome(self) -> Result<Outcome, String> {
        for series in &self.series {
            series.complete()?;
        }
        let shown: Vec<String> = self.series.iter().map(Series::shown).collect();
        let results = self.series.iter().map(Series::result).collect();
        let mut outcome = Outcome {
            shown: format!("[{}]", shown.join(" ")),
            ..Reading::Json(results).into()
        };
        if !self.messages.is_empty() {
            outcome
                .metadata
                .insert("messages".to_string(), told(&self.messages));
        }
        Ok(outcome)
    }
}

impl Series {
    fn go_on(&mut self, next: Series) {
        let extend = |list: &mut Option<Vec<f64>>, more: Option<Vec<f64>>| {
            list.get_or_insert_default()
                .extend(more.unwrap_or_default());
        };
        extend(&mut self.timestamps, next.timestamps);
        extend(&mut self.values, next.values);
        self.status_code = next.status_code.or(self.status_code.take());
        self.messages
            .get_or_insert_default()
            .extend(next.messages.unwrap_or_default());
    }

    fn complete(&self) -> Result<(), String> {
        match self.status_code.as_deref() {
            None | Some("Complete") => Ok(()),
            Some(other) => {
                let id = &self.id;
                let why = match self.messages.as_deref() {
                    Some(messages @ [_, ..]) => format!(" ({})", told(messages)),
                    _ => String::new(),
                };
                Err(format!(
                    "the result of {id} is {other}, expected Complete{why}"
                ))
            }
        }
    }

    fn shown(&self) -> String {
        let values = self.values.iter().flatten();
        let values: Vec<String> = values.map(|value| number::shown(*value)).collect();
        format!("[{}]", values.join(" "))
    }

    fn result(&self) -> serde_json::Value {
        json!({
            "Id": self.id,
            "Label": self.label,
            "Messages": self.messages,
            "StatusCode": self.status_code,
            "Timestamps": self.timestamps.iter().flatten().map(time).collect::<Vec<_>>(),
            "Values": self.values.iter().flatten().collect::<Vec<_>>(),
        })
    }
}

/// Seconds since 1970, as text.
fn time(seconds: &f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a year beyond is cut")]
    clock::text(Timestamp((seconds * 1000.0) as i64))
}

fn told(messages: &[Message]) -> String {
    let told = |message: &Message| match (&message.code, &message.value) {
        (Some(code), Some(value)) => format!("{code}: {value}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "a message without text".to_string(),
    };
    messages.iter().map(told).collect::<Vec<_>>().join("; ")
}

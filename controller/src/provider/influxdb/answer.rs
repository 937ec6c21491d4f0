//! What InfluxDB answers: annotated CSV in, an outcome out.

use serin_core::analysis::{Outcome, Secrets};

use super::table::{Refused, Tables};
use super::value;
use crate::provider::exchange::Answer;
use crate::provider::refusal;

/// Reads the body of an answer: the values of all rows of all tables, in the order they came.
///
/// # Errors
/// Why there is none. An error may stand behind rows, where the query broke off: these rows are no
/// answer then.
pub(super) fn read(answer: &Answer, hidden: &Secrets) -> Result<Outcome, String> {
    let body = refusal::good(answer, hidden)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(body);
    let mut tables = Tables::default();
    let mut values = Vec::new();
    for row in reader.byte_records() {
        let row = row.map_err(|why| format!("the answer is no CSV: {why}"))?;
        let number = row.position().map_or(0, csv::Position::record) + 1;
        let texts: Result<Vec<&str>, _> = row.iter().map(std::str::from_utf8).collect();
        let texts = texts.map_err(|_| format!("row {number} of the answer is no UTF-8"))?;
        let value = tables.take(&texts);
        let value = value.map_err(|why| match why {
            Refused::Query(message) => message,
            Refused::Strange(why) => {
                let beginning = answer.beginning(hidden);
                format!("row {number} of the answer {why} (is it InfluxDB's? {beginning:?})")
            }
        })?;
        values.extend(value);
    }
    if values.is_empty() {
        return Err(
            "no results returned from flux query (does range reach back far enough?)".into(),
        );
    }
    value::outcome(values)
}

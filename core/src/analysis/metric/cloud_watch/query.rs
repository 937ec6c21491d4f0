//! One of `metricDataQueries`.

use serde::{Deserialize, Serialize};

use super::statistic::{self, Statistic};
use crate::analysis::metric::Args;
use crate::field::Field;

/// A query: a metric's statistic, or an expression over others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataQuery {
    /// Its name in expressions and in the answer.
    pub id: String,
    /// What is asked.
    pub source: Source,
    /// What the answer calls it.
    pub label: Option<String>,
    /// Seconds from one value to the next.
    pub period: Option<u32>,
    /// Whether its data is in the answer, or only for expressions.
    pub return_data: bool,
}

/// Where a query's data comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// Metric math, a search, or a query of Metrics Insights.
    Expression(String),
    /// A metric.
    Statistic(Statistic),
}

const FIELDS: [&str; 6] = [
    "id",
    "expression",
    "label",
    "metricStat",
    "period",
    "returnData",
];

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<DataQuery> {
    field.only(&FIELDS);
    let id = field
        .required("id", ID_ACCEPTED)
        .and_then(|written| id(&written, args));
    let returned = field.optional("returnData");
    let query = DataQuery {
        source: source(field, args)?,
        label: field
            .optional("label")
            .and_then(|label| label.string().map(str::to_string)),
        period: field
            .optional("period")
            .and_then(|written| period(&written, args)),
        return_data: returned.and_then(|f| f.boolean()).unwrap_or(true),
        id: id?,
    };
    Some(query)
}

const ID_ACCEPTED: &str = "a small letter, then letters, digits and _";

fn id(field: &Field<'_>, args: Args) -> Option<String> {
    const LONGEST: usize = 255;
    let text = field.string()?;
    let mut rest = text.chars();
    let first = rest.next().is_some_and(|c| c.is_ascii_lowercase());
    let named = first && rest.all(|c| c.is_ascii_alphanumeric() || c == '_');
    let fits = named && text.len() <= LONGEST;
    if !fits && !args.unknown(text) {
        field.expected(ID_ACCEPTED);
        return None;
    }
    Some(text.to_string())
}

fn source(field: &Field<'_>, args: Args) -> Option<Source> {
    let expression = field.optional("expression");
    match (expression, field.optional("metricStat")) {
        (Some(expression), None) => {
            let text = expression.name()?.to_string();
            Some(Source::Expression(text))
        }
        (None, Some(stat)) => statistic::read(&stat, args).map(Source::Statistic),
        (Some(_), Some(_)) => {
            field.refuse("has both expression and metricStat, expected one of them");
            None
        }
        (None, None) => {
            field.refuse("has neither expression nor metricStat, expected one of them");
            None
        }
    }
}

/// Seconds from one value to the next. What depends on an argument is read as a minute: it is read
/// again when the argument is known.
pub(super) fn period(field: &Field<'_>, args: Args) -> Option<u32> {
    const SHORT: [i32; 4] = [1, 5, 10, 30];
    const MINUTE: i32 = 60;
    if field
        .value()
        .as_str()
        .is_some_and(|text| args.unknown(text))
    {
        return Some(60);
    }
    let seconds = args.number(field, 1)?;
    if !SHORT.contains(&seconds) && seconds % MINUTE != 0 {
        field.expected("1, 5, 10, 30 or whole minutes in seconds");
        return None;
    }
    u32::try_from(seconds).ok()
}

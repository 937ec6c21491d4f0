//! A query's `metricStat`.

use serde::{Deserialize, Serialize};

use super::query::period;
use crate::analysis::metric::Args;
use crate::field::Field;

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// Where the metric is, such as `AWS/ApplicationELB`.
    pub namespace: String,
    /// The metric's name.
    pub metric: String,
    /// What narrows the metric down.
    pub dimensions: Vec<Dimension>,
    /// Seconds from one value to the next.
    pub period: u32,
    /// What is made of a period's samples, such as `Sum` or `p99`.
    pub stat: String,
    /// The samples with this unit only; none: with any.
    pub unit: Option<String>,
}

/// A name and value that narrow a metric down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// CloudWatch takes no more.
const MOST_DIMENSIONS: usize = 30;

/// The units that CloudWatch has, but for those of the second, which are some of these with
/// `/Second` behind.
const UNITS: [&str; 16] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "None",
];

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<Statistic> {
    field.only(&["metric", "period", "stat", "unit"]);
    let metric = field.required("metric", "a metric");
    if let Some(metric) = &metric {
        metric.only(&["dimensions", "metricName", "namespace"]);
    }
    let period = field
        .required("period", "seconds")
        .and_then(|written| period(&written, args));
    let stat = text(field, "stat", "a statistic such as Sum or p99");
    let unit = field
        .optional("unit")
        .and_then(|written| unit(&written, args));
    let metric = metric?;
    let dimensions = metric.optional("dimensions");
    let name = text(&metric, "metricName", "a metric's name");
    let namespace = text(&metric, "namespace", "a metric's namespace");
    Some(Statistic {
        dimensions: dimensions.map(|f| self::dimensions(&f)).unwrap_or_default(),
        namespace: namespace?,
        metric: name?,
        period: period?,
        stat: stat?,
        unit,
    })
}

fn text(field: &Field<'_>, name: &str, accepted: &str) -> Option<String> {
    let written = field.required(name, accepted)?;
    written.name().map(str::to_string)
}

fn dimensions(field: &Field<'_>) -> Vec<Dimension> {
    let all = field.list();
    if all.len() > MOST_DIMENSIONS {
        let count = all.len();
        field.refuse(format_args!(
            "has {count} dimensions, expected at most {MOST_DIMENSIONS}"
        ));
    }
    let dimension = |each: &Field<'_>| {
        each.only(&["name", "value"]);
        let name = text(each, "name", "a dimension's name");
        let value = text(each, "value", "a dimension's value");
        Some(Dimension {
            name: name?,
            value: value?,
        })
    };
    all.iter().filter_map(dimension).collect()
}

/// An empty unit is none.
fn unit(field: &Field<'_>, args: Args) -> Option<String> {
    let text = field.string().filter(|text| !text.is_empty())?;
    let per_second = text.strip_suffix("/Second").is_some_and(|counted| {
        UNITS.contains(&counted)
            && (counted == "Count" || counted.ends_with(['s']))
            && !counted.ends_with("econds")
    });
    if !UNITS.contains(&text) && !per_second && !args.unknown(text) {
        field.expected(format_args!(
            "one of {}, or one of those that count with /Second behind",
            UNITS.join(", ")
        ));
        return None;
    }
    Some(text.to_string())
}

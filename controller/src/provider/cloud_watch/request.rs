//! What CloudWatch is asked: queries and the time in, the JSON of GetMetricData out.

use serde_json::{Map, Value, json};
use serin_core::analysis::CloudWatchQuery;
use serin_core::analysis::metric::cloud_watch::{DataQuery, Dimension, Source, Statistic};
use serin_core::time::Timestamp;

/// The request for the data from `interval` before `now`, and of the page that `token` names.
pub(super) fn body(query: &CloudWatchQuery, now: Timestamp, token: Option<&str>) -> Value {
    let back = i64::try_from(query.interval.as_millis()).unwrap_or(i64::MAX);
    let seconds = |millis: i64| millis.div_euclid(1000);
    let queries: Vec<Value> = query.queries.iter().map(data_query).collect();
    let mut body = json!({
        "StartTime": seconds(now.0.saturating_sub(back)),
        "EndTime": seconds(now.0),
        "MetricDataQueries": queries,
    });
    if let Some(token) = token {
        body["NextToken"] = json!(token);
    }
    body
}

fn data_query(query: &DataQuery) -> Value {
    let (name, source) = match &query.source {
        Source::Expression(text) => ("Expression", json!(text)),
        Source::Statistic(statistic) => ("MetricStat", metric_stat(statistic)),
    };
    let fields = [
        ("Id", Some(json!(query.id))),
        (name, Some(source)),
        ("Label", query.label.as_ref().map(|label| json!(label))),
        ("Period", query.period.map(|period| json!(period))),
        ("ReturnData", Some(json!(query.return_data))),
    ];
    object(fields)
}

fn metric_stat(statistic: &Statistic) -> Value {
    let dimension = |Dimension { name, value }: &Dimension| json!({"Name": name, "Value": value});
    let dimensions: Vec<Value> = statistic.dimensions.iter().map(dimension).collect();
    let metric = json!({
        "Namespace": statistic.namespace,
        "MetricName": statistic.metric,
        "Dimensions": dimensions,
    });
    object([
        ("Metric", Some(metric)),
        ("Period", Some(json!(statistic.period))),
        ("Stat", Some(json!(statistic.stat))),
        ("Unit", statistic.unit.as_ref().map(|unit| json!(unit))),
    ])
}

/// The fields that there are.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = |(name, value): (&str, Option<Value>)| Some((name.to_string(), value?));
    Value::Object(Map::from_iter(fields.into_iter().filter_map(there)))
}

use super::super::tests::{errors_of, read_by};
use super::*;
use serde_json::{Value, json};

/// The example of Argo Rollouts' documentation.
fn error_rate() -> Value {
    let statistic = |name: &str| {
        json!({"id": name, "returnData": false, "metricStat": {
            "metric": {"namespace": "app", "metricName": name},
            "period": 300, "stat": "Sum", "unit": "Count",
        }})
    };
    json!({"interval": "30m", "metricDataQueries": [
        {"id": "rate", "expression": "errors / requests"},
        statistic("errors"), statistic("requests"),
    ]})
}

#[test]
fn the_documented_example_is_read() {
    let (query, errors) = read_by(error_rate(), read);
    assert_eq!(errors, [""; 0]);
    let query = query.unwrap();
    assert_eq!(query.interval, Duration::from_secs(1800));
    assert_eq!(query.secret, None);
    let rate = &query.queries[0];
    assert_eq!(rate.source, Source::Expression("errors / requests".into()));
    assert!(rate.return_data);
    let Source::Statistic(errors) = &query.queries[1].source else {
        panic!("{:?}", query.queries);
    };
    assert_eq!((errors.period, errors.stat.as_str()), (300, "Sum"));
    assert!(!query.queries[1].return_data);
}

#[test]
fn periods_may_be_text_and_units_may_be_of_the_second() {
    let (query, errors) = read_by(
        json!({"secretRef": {"name": "aws"}, "metricDataQueries": [{"id": "a", "metricStat": {
            "metric": {"namespace": "n", "metricName": "m",
                "dimensions": [{"name": "Service", "value": "shop"}]},
            "period": "60", "stat": "p99", "unit": "Bytes/Second"}}]}),
        read,
    );
    assert_eq!(errors, [""; 0]);
    let query = query.unwrap();
    assert_eq!(query.secret.as_deref(), Some("aws"));
    assert_eq!(query.interval, DEFAULT_INTERVAL);
    let Source::Statistic(statistic) = &query.queries[0].source else {
        panic!("{:?}", query.queries);
    };
    assert_eq!(statistic.period, 60);
    assert_eq!(statistic.dimensions[0].value, "shop");
}

#[test]
fn what_cloudwatch_would_refuse_is_refused_by_path() {
    let metric = json!({"namespace": "n", "metricName": "m"});
    let found = errors_of(
        json!({"interval": "0s", "secretRef": {"name": ""}, "metricDataQueries": [
            {"id": "A", "expression": "1"},
            {"id": "b"},
            {"id": "c", "expression": "1", "metricStat": {}},
            {"id": "d", "metricStat": {"metric": {}, "period": 7, "unit": "Seconds/Second"}},
            {"id": "e", "metricStat": {"metric": metric, "period": 60, "stat": "Sum"},
                "scanBy": "TimestampDescending"},
        ]}),
        read,
    );
    let expected = [
        ".interval: is \"0s\", expected more than no time",
        ".secretRef.name: is \"\", expected the name of a Secret",
        ".metricDataQueries[0].id: is \"A\", expected a small letter, then letters, digits and _",
        ".metricDataQueries[1]: has neither expression nor metricStat, expected one of them",
        ".metricDataQueries[2]: has both expression and metricStat, expected one of them",
        ".metricDataQueries[3].metricStat.period: is 7, expected 1, 5, 10, 30 or whole minutes in seconds",
        ".metricDataQueries[3].metricStat.stat: is missing, expected a statistic such as Sum or p99",
        ".metricDataQueries[3].metricStat.unit: is \"Seconds/Second\", expected one of Seconds, Micro",
        ".metricDataQueries[3].metricStat.metric.metricName: is missing, expected a metric's name",
        ".metricDataQueries[3].metricStat.metric.namespace: is missing, expected a metric's namespace",
        ".metricDataQueries[4].scanBy: is \"TimestampDescending\", expected one of id, expression",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("p{expected}")), "{found}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn queries_that_return_nothing_or_share_an_id_are_refused() {
    assert_eq!(
        errors_of(json!({"metricDataQueries": []}), read),
        ["p.metricDataQueries: returns no data, expected a query without returnData: false"]
    );
    let twice = json!({"id": "a", "expression": "1"});
    assert_eq!(
        errors_of(json!({"metricDataQueries": [twice, twice]}), read),
        ["p.metricDataQueries[1]: has id \"a\", expected one that no other query has"]
    );
}

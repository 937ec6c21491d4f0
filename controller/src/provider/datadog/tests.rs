use serin_core::analysis::Provider;
use serin_core::analysis::condition::Condition;
use std::time::Duration;

use super::*;
use crate::provider::served::{NOW, Served, answers, asking, bytes, secret};

fn query(question: DatadogQuestion) -> DatadogQuery {
    DatadogQuery {
        question,
        interval: Duration::from_secs(300),
        timeout: Duration::from_secs(10),
        secret: "datadog".into(),
    }
}

fn v1() -> DatadogQuery {
    query(DatadogQuestion::Last("avg:errors{*}".into()))
}

fn v2() -> DatadogQuery {
    query(DatadogQuestion::Scalar {
        queries: [
            ("a".into(), "sum:hits{*}".into()),
            ("b".into(), "sum:errors{*}".into()),
        ]
        .into(),
        formula: Some("b / a".into()),
        aggregator: "last".into(),
    })
}

async fn asked(query: &DatadogQuery, address: &str) -> Result<Outcome, String> {
    let entries = [
        ("api-key", "api-hunter2\n"),
        ("app-key", "app-hunter2"),
        ("address", address),
    ];
    let provider = Provider::Datadog(query.clone());
    let secrets = secret("datadog", entries);
    asking()
        .measure(
            &provider,
            &secrets,
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await
}

/// What is measured of an answer, or the error without its address.
async fn outcome(query: &DatadogQuery, status: u16, body: &str) -> Result<Outcome, String> {
    let server = answers([(status, body)]).await;
    let prefix = format!("Datadog at {}: ", server.address);
    let asked = asked(query, &server.address).await;
    asked.map_err(|why| why.strip_prefix(&prefix).expect(&why).to_string())
}

fn holds(condition: &str, outcome: &Outcome) -> Result<bool, String> {
    Condition::parse(condition).unwrap().holds(&outcome.value)
}

const SERIES: &str = r#"{"status": "ok", "res_type": "time_series", "query": "avg:errors{*}",
    "from_date": 1699999700000, "to_date": 1700000000000, "message": "", "group_by": [],
    "series": [{"metric": "errors", "display_name": "errors", "scope": "*", "interval": 20,
        "length": 2, "aggr": "avg", "start": 1699999700000, "end": 1700000000000,
        "pointlist": [[1699999700000.0, 0.5], [1699999720000.0, 0.0006121374442537891]],
        "expression": "avg:errors{*}", "unit": null}]}"#;

const SCALAR: &str = r#"{"data": {"type": "scalar_response", "attributes": {"columns": [
    {"name": "b / a", "values": [0.006121378742186943], "type": "number",
     "meta": {"unit": null}}]}}}"#;

#[tokio::test]
async fn the_last_value_of_the_first_series_is_the_result() {
    let outcome = outcome(&v1(), 200, SERIES).await.unwrap();
    assert_eq!(outcome.shown, "0.0006121374442537891");
    assert_eq!(holds("result < 0.001", &outcome), Ok(true));
}

#[tokio::test]
async fn the_scalar_is_the_result() {
    let outcome = outcome(&v2(), 200, SCALAR).await.unwrap();
    assert_eq!(outcome.shown, "0.006121378742186943");
    assert_eq!(holds("default(result, 0) < 0.01", &outcome), Ok(true));
}

#[tokio::test]
async fn nothing_is_nil_and_has_a_default() {
    let column = |values: &str| {
        format!(r#"{{"data":{{"attributes":{{"columns":[{{"values":{values}}}]}}}}}}"#)
    };
    for (query, body, shown) in [
        (v1(), r#"{"status":"ok","series":[]}"#.to_string(), "[]"),
        (v1(), r#"{"series":[{"pointlist":[]}]}"#.to_string(), "[]"),
        (
            v1(),
            r#"{"series":[{"pointlist":[[1,null]]}]}"#.to_string(),
            "null",
        ),
        (v2(), column("[]"), "[]"),
        (v2(), column("[null]"), "[null]"),
        (
            v2(),
            r#"{"data":{"attributes":{"columns":[]}}}"#.to_string(),
            "[]",
        ),
    ] {
        let outcome = outcome(&query, 200, &body).await.unwrap();
        assert_eq!(outcome.shown, shown, "{body}");
        assert_eq!(holds("default(result, 0) < 0.05", &outcome), Ok(true));
        assert!(outcome.value.is_empty());
        assert!(holds("result < 0.05", &outcome).is_err());
    }
}

#[tokio::test]
async fn what_is_no_answer_is_one_error() {
    for (query, status, body, told) in [
        (
            v1(),
            403,
            r#"{"errors":["Forbidden"]}"#,
            "status 403 Forbidden (are the credentials right?): ",
        ),
        (
            v2(),
            401,
            r#"{"errors":["Unauthorized"]}"#,
            "status 401 Unauthorized (are the credentials right?): ",
        ),
        (
            v2(),
            500,
            "oops",
            "status 500 Internal Server Error: \"oops\"",
        ),
        (
            v1(),
            200,
            r#"{"status":"error","error":"Rule is not valid","series":[]}"#,
            "the query is not taken: Rule is not valid",
        ),
        (
            v2(),
            200,
            r#"{"data":{"attributes":{"columns":[]},"errors":"no such metric"}}"#,
            "the query is not taken: \"no such metric\"",
        ),
        (v1(), 200, "<html>", "the answer is no JSON ("),
        (v2(), 200, "<html>", "the answer is no JSON ("),
        (v1(), 200, "{}", "the answer has no series"),
        (v2(), 200, "[]", "the answer has no columns"),
        (
            v1(),
            200,
            r#"{"series":[{"pointlist":[[1]]}]}"#,
            "a point is [1], expected a time and a value",
        ),
        (
            v2(),
            200,
            r#"{"data":{"attributes":{"columns":[{"values":["x"]}]}}}"#,
            "a value is \"x\", expected a number",
        ),
        (
            v1(),
            302,
            "",
            "status 302 Found (it redirects; give that address): \"\"",
        ),
    ] {
        let why = outcome(&query, status, body).await.unwrap_err();
        assert!(why.starts_with(told), "{body}: {why}");
    }
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"series\":";
    let why = asked(&v1(), &bytes(cut, true).await).await.unwrap_err();
    assert!(why.contains("the answer broke off: "), "{why}");
    let mut slow = v1();
    slow.timeout = Duration::from_millis(30);
    let why = asked(&slow, &bytes(b"", false).await).await.unwrap_err();
    assert!(why.ends_with("no answer within 30ms"), "{why}");
}

fn keys(server: &Served) -> (String, String) {
    let headers = &server.seen()[0].headers;
    (
        headers["dd-api-key"].clone(),
        headers["dd-application-key"].clone(),
    )
}

#[tokio::test]
async fn each_version_is_asked_as_it_is_documented() {
    let server = answers([(200, SERIES)]).await;
    asked(&v1(), &server.address).await.unwrap();
    assert_eq!(
        server.seen()[0].line,
        "GET /api/v1/query?query=avg%3Aerrors%7B*%7D&from=1699999700&to=1700000000"
    );
    assert_eq!(keys(&server), ("api-hunter2".into(), "app-hunter2".into()));
    let server = answers([(200, SCALAR)]).await;
    asked(&v2(), &format!("{}/", server.address)).await.unwrap();
    assert_eq!(server.seen()[0].line, "POST /api/v2/query/scalar");
    let query = |name, query| json!({"name": name, "query": query, "data_source": "metrics", "aggregator": "last"});
    assert_eq!(
        serde_json::from_str::<Value>(&server.seen()[0].body).unwrap(),
        json!({"data": {"type": "scalar_request", "attributes": {
            "from": 1_699_999_700_000_i64, "to": 1_700_000_000_000_i64,
            "formulas": [{"formula": "b / a"}],
            "queries": [query("a", "sum:hits{*}"), query("b", "sum:errors{*}")],
        }}})
    );
    assert_eq!(keys(&server), ("api-hunter2".into(), "app-hunter2".into()));
}

#[tokio::test]
async fn no_error_tells_a_key() {
    let echo = r#"{"errors":["api-hunter2 and app-hunter2 are no keys"]}"#;
    let why = outcome(&v1(), 403, echo).await.unwrap_err();
    assert!(why.contains("*****") && !why.contains("hunter"), "{why}");
    let secrets = secret("datadog", [("api-key", " "), ("app-key", "x")]);
    let provider = Provider::Datadog(v1());
    let why = asking()
        .measure(
            &provider,
            &secrets,
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await;
    assert_eq!(
        why,
        Err("Datadog at https://api.datadoghq.com: key api-key of Secret datadog is empty".into())
    );
}

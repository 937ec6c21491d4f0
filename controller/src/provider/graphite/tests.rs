use super::*;
use crate::provider::served::{NOW, answers, asking, bytes};
use serin_core::analysis::{Provider, Reading, Secrets};

/// The head of an answer that promises more than comes.
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n[";

const TARGET: &str = "target=sumSeries(app.{a,b}.*.count)&from=-2min";

fn query(address: &str) -> GraphiteQuery {
    GraphiteQuery {
        address: address.to_string(),
        query: TARGET.to_string(),
    }
}

async fn ask(query: GraphiteQuery) -> Result<Outcome, String> {
    let asking = asking();
    let provider = Provider::Graphite(query);
    asking
        .measure(
            &provider,
            &Secrets::new(),
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await
}

/// What comes of the answer `body`.
async fn outcome(status: u16, body: &str) -> Result<Outcome, String> {
    let served = answers([(status, body)]).await;
    let asked = ask(query(&served.address)).await;
    let prefix = format!("query {TARGET:?} at {}: ", served.address);
    asked.map_err(|why| why.strip_prefix(&prefix).expect(&why).to_string())
}

#[tokio::test]
async fn the_values_of_the_first_series_are_judged_without_nulls() {
    let body = r#"[
        {"target": "sumSeries(app.*.count)", "tags": {"aggregatedBy": "sum"},
         "datapoints": [[90.5, 1621348420], [null, 1621348430], ["100", "1621348440"], [7, null]]},
        {"target": "other", "datapoints": [[1, 1621348420]]}]"#;
    let outcome = outcome(200, body).await.unwrap();
    assert_eq!(outcome.value, Reading::Vector(vec![90.5, 100.0, 7.0]));
    assert_eq!(outcome.shown, "[90.500000,100.000000,7.000000]");
}

#[tokio::test]
async fn nulls_alone_are_an_empty_list_and_nothing_is_an_error() {
    let nulls = r#"[{"target": "a", "datapoints": [[null, 1], [null, 2]]}]"#;
    let nulls = outcome(200, nulls).await.unwrap();
    assert!(nulls.value.is_empty());
    assert_eq!(nulls.shown, "[]");
    for empty in ["[]", r#"[{"target": "a", "datapoints": []}]"#] {
        let why = outcome(200, empty).await.unwrap_err();
        assert!(why.starts_with("no values found"), "{why}");
    }
}

#[tokio::test]
async fn the_query_is_sent_as_parameters_with_json_as_the_format() {
    let served = answers([(200, "[]")]).await;
    let mut query = query(&format!("{}/graphite/", served.address));
    query.query = "target=scale(a.b,2)&from=-2min&format=csv&target=c%20d".to_string();
    let _ = ask(query).await;
    assert_eq!(
        served.seen()[0].line,
        "GET /graphite/render?target=scale%28a.b%2C2%29&from=-2min&target=c+d&format=json"
    );
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_that_says_so() {
    let unreadable = outcome(200, "invalid JSON").await.unwrap_err();
    assert!(
        unreadable.contains("the answer is not Graphite's"),
        "{unreadable}"
    );
    let point = r#"[{"target": "a", "datapoints": [[10]]}]"#;
    assert_eq!(
        outcome(200, point).await.unwrap_err(),
        "the datapoint [10] is no pair of a number and a time"
    );
    let time = r#"[{"target": "a", "datapoints": [[1, "f"]]}]"#;
    assert!(outcome(200, time).await.unwrap_err().contains("[1,\"f\"]"));
    assert_eq!(
        outcome(400, "Missing parameter: target").await.unwrap_err(),
        "status 400 Bad Request: \"Missing parameter: target\""
    );
    assert_eq!(
        outcome(401, "<html><head><title>401 Authorization Required</title>")
            .await
            .unwrap_err(),
        "status 401 Unauthorized: 401 Authorization Required"
    );
}

#[tokio::test]
async fn half_an_answer_is_an_error() {
    let half = bytes(HALF, true).await;
    let why = ask(query(&half)).await.unwrap_err();
    assert!(why.contains("the answer broke off"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let silent = bytes(b"", false).await;
    let why = ask(query(&silent)).await.unwrap_err();
    assert!(why.ends_with("no answer within 10s"), "{why}");
}

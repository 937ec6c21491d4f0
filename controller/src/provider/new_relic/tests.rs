use serde_json::Value;
use serin_core::analysis::Provider;
use serin_core::analysis::condition::Condition;

use super::*;
use crate::provider::served::{NOW, answers, asking, bytes, secret};

fn query() -> NewRelicQuery {
    NewRelicQuery {
        query: "SELECT count(*) FROM Transaction".into(),
        timeout: Duration::from_secs(5),
        profile: "newrelic".into(),
    }
}

async fn asked_by<const N: usize>(entries: [(&str, &str); N]) -> Result<Outcome, String> {
    let provider = Provider::NewRelic(query());
    let secrets = secret("newrelic", entries);
    asking()
        .measure(
            &provider,
            &secrets,
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await
}

async fn asked(address: &str) -> Result<Outcome, String> {
    asked_by([
        ("personal-api-key", "NRAK-hunter2\n"),
        ("account-id", "123\n"),
        ("base-url-nerdgraph", &format!("{address}/graphql")),
    ])
    .await
}

/// What is measured of an answer, or the error without its address.
async fn outcome(status: u16, body: &str) -> Result<Outcome, String> {
    let server = answers([(status, body)]).await;
    let prefix = format!("New Relic at {}/graphql: ", server.address);
    let asked = asked(&server.address).await;
    asked.map_err(|why| why.strip_prefix(&prefix).expect(&why).to_string())
}

fn rows(rows: &str) -> String {
    format!(r#"{{"data":{{"actor":{{"account":{{"nrql":{{"results":{rows}}}}}}}}}}}"#)
}

#[tokio::test]
async fn one_row_is_the_result_and_several_are_a_list() {
    let one = outcome(200, &rows(r#"[{"count": 42, "percentage": 1.5}]"#)).await;
    let one = one.unwrap();
    assert_eq!(one.shown, r#"{"count":42,"percentage":1.5}"#);
    let holds = |condition: &str, outcome: &Outcome| {
        Condition::parse(condition).unwrap().holds(&outcome.value)
    };
    assert_eq!(holds("result.count == 42", &one), Ok(true));
    assert_eq!(holds("result['percentage'] < 2", &one), Ok(true));
    let several = outcome(200, &rows(r#"[{"count": 1}, {"count": 2}]"#)).await;
    assert_eq!(holds("result[1].count == 2", &several.unwrap()), Ok(true));
}

#[tokio::test]
async fn the_query_is_sent_as_nerdgraph_wants_it() {
    let server = answers([(200, rows(r#"[{"count": 1}]"#).as_str())]).await;
    asked(&server.address).await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen.line, "POST /graphql");
    assert_eq!(seen.headers["api-key"], "NRAK-hunter2");
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        body["variables"],
        json!({"account": 123, "query": "SELECT count(*) FROM Transaction", "timeout": 5})
    );
    assert!(
        body["query"]
            .as_str()
            .unwrap()
            .contains("nrql(query: $query")
    );
}

#[tokio::test]
async fn what_is_no_answer_is_one_error() {
    for (status, body, told) in [
        (200, rows("[]"), NO_ROWS),
        (200, rows("[{}]"), NO_ROWS),
        (
            200,
            r#"{"data":{"actor":{"account":{"nrql":null}}},"errors":[
                {"message":"NRQL Syntax Error: unexpected 'x'","extensions":{}},
                {"path":[]}]}"#
                .to_string(),
            "NRQL Syntax Error: unexpected 'x'; an error without message",
        ),
        (
            401,
            r#"{"errors":[{"message":"API key NRAK-hunter2 is invalid"}]}"#.to_string(),
            "status 401 Unauthorized (are the credentials right?): ",
        ),
        (
            500,
            "oops".to_string(),
            "status 500 Internal Server Error: \"oops\"",
        ),
        (200, "<html>".to_string(), "the answer is no JSON ("),
        (200, "{}".to_string(), "the answer has no results: \"{}\""),
    ] {
        let why = outcome(status, &body).await.unwrap_err();
        assert!(why.starts_with(told), "{body}: {why}");
        assert!(!why.contains("hunter"), "{why}");
    }
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":";
    let why = asked(&bytes(cut, true).await).await.unwrap_err();
    assert!(why.contains("the answer broke off: "), "{why}");
}

#[tokio::test]
async fn a_secret_that_does_not_fit_is_told_without_what_it_holds() {
    let key = ("personal-api-key", "NRAK-hunter2");
    let why = asked_by([key, ("account-id", "x-hunter2")]).await;
    let place = "New Relic at https://api.newrelic.com/graphql";
    assert_eq!(
        why,
        Err(format!(
            "{place}: account-id of Secret newrelic: expected a whole number"
        ))
    );
    let why = asked_by([("personal-api-key", ""), ("account-id", "1")]).await;
    assert_eq!(
        why,
        Err(format!(
            "{place}: personal-api-key of Secret newrelic is empty"
        ))
    );
    let why = asked_by([key, ("account-id", "1"), ("region", "moon")]).await;
    assert_eq!(
        why,
        Err("region of Secret newrelic is \"moon\", expected us, eu or staging".into())
    );
}

#[test]
fn each_region_has_its_address() {
    let of = |region: &str| address(&query(), &secret("newrelic", [("region", region)]));
    assert_eq!(of("EU"), Ok("https://api.eu.newrelic.com/graphql".into()));
    assert_eq!(
        of("staging"),
        Ok("https://staging-api.newrelic.com/graphql".into())
    );
    assert_eq!(
        address(&query(), &Secrets::new()),
        Ok("https://api.newrelic.com/graphql".into())
    );
}

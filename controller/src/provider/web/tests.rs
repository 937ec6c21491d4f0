use serde_json::json;
use serin_core::analysis::condition::Condition;
use serin_core::analysis::metric::{Authentication, BasicAuth, Header};
use serin_core::analysis::{Provider, Secrets};
use std::time::Duration;

use super::*;
use crate::provider::served::{NOW, answers, asking, bytes, secret};

fn query(url: &str) -> WebQuery {
    WebQuery {
        url: url.to_string(),
        method: WebMethod::Get,
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
        json_path: None,
        insecure: false,
        authentication: None,
    }
}

async fn asked(query: &WebQuery) -> Result<Outcome, String> {
    asked_with(query, &Secrets::new()).await
}

async fn asked_with(query: &WebQuery, secrets: &Secrets) -> Result<Outcome, String> {
    let provider = Provider::Web(query.clone());
    asking()
        .measure(
            &provider,
            secrets,
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await
}

/// What is measured of an answer, or the error without its URL.
async fn outcome(status: u16, body: &str, path: Option<&str>) -> Result<Outcome, String> {
    let server = answers([(status, body)]).await;
    let mut query = query(&server.address);
    query.json_path = path.map(str::to_string);
    let asked = asked(&query).await;
    let prefix = format!("{}: ", server.address);
    asked.map_err(|why| why.strip_prefix(&prefix).expect(&why).to_string())
}

const BODY: &str = r#"{"data": {"ok": true, "rate": 0.25, "name": "shop", "none": null,
    "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]}}"#;

#[tokio::test]
async fn what_the_path_finds_is_the_result() {
    for (path, shown, condition) in [
        ("{$.data.ok}", "true", "result"),
        ("{$.data.rate}", "0.25", "result < 0.3"),
        ("{$.data.name}", "\"shop\"", "result == 'shop'"),
        ("{$.data.none}", "null", "isNil(result)"),
        (
            "{$.data.list}",
            r#"[{"n":"x","v":1},{"n":"y","v":2}]"#,
            "len(result) == 2",
        ),
        ("{$.data.list[0]}", r#"{"n":"x","v":1}"#, "result.v == 1"),
        ("{$.data.list[?(@.n=='y')].v}", "2", "result == 2"),
        ("{$..v}", "1", "asInt(result) == 1"),
    ] {
        let outcome = outcome(200, BODY, Some(path)).await.unwrap();
        assert_eq!(outcome.shown, shown, "{path}");
        let holds = Condition::parse(condition).unwrap().holds(&outcome.value);
        assert_eq!(holds, Ok(true), "{path}: {condition}");
    }
    let all = outcome(200, r#"{"a": 1}"#, None).await.unwrap();
    assert_eq!(all.value, Reading::Json(json!({"a": 1})));
}

#[tokio::test]
async fn an_answer_that_is_none_is_one_error() {
    assert_eq!(
        outcome(200, BODY, Some("{$.data.missing}")).await,
        Err("jsonPath \"{$.data.missing}\" finds nothing in the answer".into())
    );
    assert_eq!(
        outcome(200, "<html>log in</html>", None).await,
        Err(
            "the answer is no JSON (expected value at line 1 column 1): \
             \"<html>log in</html>\""
                .into()
        )
    );
    assert_eq!(
        outcome(503, "try later", None).await,
        Err("status 503 Service Unavailable: \"try later\"".into())
    );
    assert_eq!(
        outcome(401, "no", None).await,
        Err("status 401 Unauthorized (are the credentials right?): \"no\"".into())
    );
    let long = outcome(500, &"x".repeat(5000), None).await.unwrap_err();
    assert!(long.len() < 300 && long.ends_with("…\""), "{long}");
    let empty = outcome(204, "", None).await.unwrap_err();
    assert!(empty.starts_with("the answer is no JSON (EOF"), "{empty}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_breaks_off_is_one_error() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":";
    let why = asked(&query(&bytes(cut, true).await)).await.unwrap_err();
    assert!(why.contains(": the answer broke off: "), "{why}");
    let mut slow = query(&bytes(b"", false).await);
    slow.timeout = Duration::from_millis(30);
    let why = asked(&slow).await.unwrap_err();
    assert!(why.ends_with(": no answer within 30ms"), "{why}");
    let why = asked(&query(&bytes(b"hello\r\n\r\n", true).await)).await;
    assert!(why.is_err());
    let why = asked(&query("http://127.0.0.1:1/x")).await.unwrap_err();
    assert!(
        why.contains("(is the server running, and the address right?)"),
        "{why}"
    );
}

#[tokio::test]
async fn method_headers_body_and_credentials_are_sent() {
    let server = answers([(200, "1")]).await;
    let mut query = query(&format!("{}/x?y=1", server.address));
    query.method = WebMethod::Post(Some(WebBody::Json(json!({"a": 1}))));
    query.headers = vec![Header {
        key: "X-Team".into(),
        value: "shop".into(),
    }];
    query.authentication = Some(Authentication::Basic(BasicAuth {
        username: "user".into(),
        password: "pass".into(),
    }));
    asked(&query).await.unwrap();
    query.method = WebMethod::Put(Some(WebBody::Text("a=1".into())));
    asked(&query).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /x?y=1");
    assert_eq!(seen[0].body, r#"{"a":1}"#);
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert_eq!(seen[0].headers["x-team"], "shop");
    assert_eq!(seen[0].headers["authorization"], "Basic dXNlcjpwYXNz");
    assert_eq!(
        (seen[1].line.as_str(), seen[1].body.as_str()),
        ("PUT /x?y=1", "a=1")
    );
}

#[tokio::test]
async fn an_answer_with_the_request_in_it_tells_no_secret() {
    let secrets = secret("tokens", [("k", "hunter2-hunter2")]);
    let echo = format!(
        "{} token=hunter2-hunter2 Basic dXNlcjpwYXNz",
        "x".repeat(170)
    );
    let server = answers([
        (400, echo.as_str()),
        (200, "{\"token\": \"hunter2-hunter2\"}"),
    ])
    .await;
    let mut query = query(&format!("{}/?t=hunter2-hunter2", server.address));
    query.authentication = Some(Authentication::Basic(BasicAuth {
        username: "user".into(),
        password: "pass".into(),
    }));
    let why = asked_with(&query, &secrets).await.unwrap_err();
    assert!(
        !why.contains("hunter") && !why.contains("dXNlcjpwYXNz"),
        "{why}"
    );
    let outcome = asked_with(&query, &secrets).await.unwrap();
    assert_eq!(outcome.shown, "{\"token\":\"*****\"}");
}

#[tokio::test]
async fn headers_are_sent_once_and_who_asks_is_said_by_authentication() {
    let server = answers([(200, "1")]).await;
    let mut query = query(&server.address);
    query.method = WebMethod::Post(Some(WebBody::Json(json!({}))));
    query.headers = [
        ("X-Team", "a"),
        ("x-team", "b"),
        ("Authorization", "Bearer mine"),
        ("Content-Type", "text/plain"),
    ]
    .map(|(key, value)| Header {
        key: key.into(),
        value: value.into(),
    })
    .into();
    asked(&query).await.unwrap();
    query.authentication = Some(Authentication::Basic(BasicAuth {
        username: "user".into(),
        password: "pass".into(),
    }));
    asked(&query).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].headers["x-team"], "b");
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert_eq!(seen[0].headers["authorization"], "Bearer mine");
    assert_eq!(seen[1].headers["authorization"], "Basic dXNlcjpwYXNz");
}

#[tokio::test]
async fn what_is_for_one_server_does_not_go_on_to_another() {
    let there = answers([(200, "1")]).await;
    let location = there.address.clone();
    let redirect = move || async move { axum::response::Redirect::temporary(&location) };
    let router = axum::Router::new().fallback(axum::routing::any(redirect));
    let mut query = query(&format!(
        "{}/?token=x",
        crate::provider::served::serve(router).await
    ));
    asked(&query).await.unwrap();
    query.headers = vec![Header {
        key: "X-Token".into(),
        value: "hunter2".into(),
    }];
    let why = asked(&query).await.unwrap_err();
    assert!(why.contains("it redirects to another server"), "{why}");
    let seen = there.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].headers.contains_key("referer"));
}

use super::*;
use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};
use serin_core::analysis::Reading;
use serin_core::analysis::metric::{Authentication, BasicAuth, Header, OAuth2, RangeQuery};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod broken;
mod tls;

use crate::provider::served::{NOW, answers, serve};

fn query(address: &str) -> PrometheusQuery {
    PrometheusQuery {
        address: Some(address.to_string()),
        query: "sum(rate(x[1m]))".to_string(),
        timeout: Duration::from_secs(30),
        insecure: false,
        headers: Vec::new(),
        authentication: None,
        range: None,
    }
}

async fn asked(query: &PrometheusQuery) -> Result<Outcome, String> {
    measure(&client().unwrap(), query, &Tokens::default(), NOW).await
}

/// What comes of the answer `body`.
async fn outcome(status: u16, body: &'static str) -> Result<Outcome, String> {
    let status = StatusCode::from_u16(status).unwrap();
    let address = serve(Router::new().fallback(any(move || async move { (status, body) }))).await;
    let prefix = format!("query \"sum(rate(x[1m]))\" at {address}: ");
    let asked = asked(&query(&address)).await;
    asked.map_err(|why| why.strip_prefix(&prefix).expect(&why).to_string())
}

async fn shown(data: &str) -> String {
    let body = format!(r#"{{"status":"success","data":{data}}}"#);
    outcome(200, body.leak()).await.unwrap().shown
}

#[tokio::test]
async fn every_shape_of_result_is_read() {
    assert_eq!(
        shown(r#"{"resultType":"scalar","result":[1,"10"]}"#).await,
        "10"
    );
    assert_eq!(
        shown(r#"{"resultType":"scalar","result":[1.5,"NaN"]}"#).await,
        "NaN"
    );
    let vector = r#"{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"10"]},
        {"metric":{},"value":[1.2,"+Inf"]},{"metric":{},"value":[1,"-Inf"]}]}"#;
    assert_eq!(shown(vector).await, "[10,+Inf,-Inf]");
    assert_eq!(shown(r#"{"resultType":"vector","result":[]}"#).await, "[]");
    let matrix = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2"]]},
        {"metric":{},"values":[[1,"3e2"]]}]}"#;
    assert_eq!(shown(matrix).await, "[1,2,300]");
}

#[tokio::test]
async fn warnings_are_kept() {
    let body = r#"{"status":"success","warnings":["slow","old"],
        "data":{"resultType":"scalar","result":[1,"1"]}}"#;
    let outcome = outcome(200, body).await.unwrap();
    assert_eq!(outcome.value, Reading::Scalar(1.0));
    assert_eq!(outcome.metadata["warnings"], "\"slow\", \"old\"");
}

#[tokio::test]
async fn what_is_no_number_is_an_error_that_says_so() {
    let text = outcome(
        200,
        r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#,
    );
    assert_eq!(
        text.await,
        Err("Prometheus metric type not supported".into())
    );
    let histogram = r#"{"status":"success","data":{"resultType":"vector",
        "result":[{"metric":{},"histogram":[1,{}]}]}}"#;
    assert!(
        outcome(200, histogram)
            .await
            .unwrap_err()
            .contains("histogram_quantile")
    );
    let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    assert_eq!(
        outcome(400, refused).await,
        Err("bad_data: parse error".into())
    );
    let page = outcome(502, "<html>").await.unwrap_err();
    assert!(
        page.starts_with("status 502 Bad Gateway, and the answer is not Prometheus'"),
        "{page}"
    );
}

/// Method, URL, authorisation and tenant of each request, and its body.
type Seen = Arc<Mutex<Vec<String>>>;

async fn note(seen: Seen, request: Request) -> &'static str {
    let (head, body) = request.into_parts();
    let header = |name| {
        head.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    };
    let line = format!(
        "{} {} {} {}",
        head.method,
        head.uri,
        header("authorization"),
        header("x-scope-orgid"),
    );
    let body = axum::body::to_bytes(body, 10_000).await.unwrap();
    seen.lock()
        .unwrap()
        .push(format!("{line} {}", String::from_utf8_lossy(&body)));
    r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#
}

const FORM: &str = "query=sum%28rate%28x%5B1m%5D%29%29&time=1700000000.250";

#[tokio::test]
async fn headers_authentication_time_and_path_are_sent() {
    let seen = Seen::default();
    let noted = seen.clone();
    let router = Router::new().fallback(any(move |request: Request| note(noted.clone(), request)));
    let address = serve(router).await;
    let mut query = query(&format!("{address}/prometheus/"));
    query.headers = vec![Header {
        key: "X-Scope-OrgID".into(),
        value: "team".into(),
    }];
    query.authentication = Some(Authentication::Basic(BasicAuth {
        username: "user".into(),
        password: "pass".into(),
    }));
    asked(&query).await.unwrap();
    let expected = format!("POST /prometheus/api/v1/query Basic dXNlcjpwYXNz team {FORM}");
    assert_eq!(*seen.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn where_only_get_is_allowed_get_is_tried() {
    let seen = Seen::default();
    let noted = seen.clone();
    let route = get(move |request: Request| note(noted.clone(), request));
    let address = serve(Router::new().route("/api/v1/query", route)).await;
    asked(&query(&address)).await.unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [format!("GET /api/v1/query?{FORM}   ")]
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_a_hint() {
    // A listener that is dropped leaves a port where nobody answers.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let why = asked(&query(&address)).await.unwrap_err();
    assert!(
        why.starts_with(&format!("query \"sum(rate(x[1m]))\" at {address}: ")),
        "{why}"
    );
    assert!(
        why.ends_with("(is Prometheus running, and the address right?)"),
        "{why}"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_no_longer_than_asked() {
    let forever = any(|| async { std::future::pending::<&str>().await });
    let address = serve(Router::new().fallback(forever)).await;
    let mut query = query(&address);
    query.timeout = Duration::from_millis(20);
    let why = asked(&query).await.unwrap_err();
    assert!(why.ends_with("no answer within 20ms"), "{why}");
}

#[tokio::test]
async fn an_address_that_cannot_be_asked_is_refused() {
    let why = |address: Option<&str>| {
        let mut query = query("");
        query.address = address.map(Into::into);
        async move { asked(&query).await.unwrap_err() }
    };
    assert!(why(None).await.starts_with("no address of Prometheus"));
    assert!(
        why(Some("ftp://p"))
            .await
            .ends_with("ftp is not supported, expected http or https")
    );
    assert!(
        why(Some("prometheus"))
            .await
            .contains("the address is no URL")
    );
}

#[tokio::test]
async fn a_range_is_asked_for_and_its_values_are_one_list() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{},"values":[[1,"1"],[2,"NaN"]]},{"metric":{},"values":[[1,"3"]]}]}}"#;
    let server = answers([(200, body)]).await;
    let mut query = query(&server.address);
    query.range = Some(RangeQuery {
        start: "now() - duration(\"1h\")".into(),
        end: "now()".into(),
        step: Duration::from_millis(1500),
    });
    assert_eq!(asked(&query).await.unwrap().shown, "[1,NaN,3]");
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /api/v1/query_range");
    assert_eq!(
        seen[0].body,
        "query=sum%28rate%28x%5B1m%5D%29%29&start=1699996400.250&end=1700000000.250&step=1.5"
    );
    query.range = Some(RangeQuery {
        start: "1 + 1".into(),
        end: "now()".into(),
        step: Duration::from_secs(1),
    });
    let why = asked(&query).await.unwrap_err();
    assert!(
        why.ends_with(
            "rangeQuery.start is \"1 + 1\", expected a time: expected time.Time, but got int"
        ),
        "{why}"
    );
}

#[tokio::test]
async fn a_token_is_sent_where_one_is_wanted() {
    let token = answers([(200, r#"{"access_token":"hunter3"}"#)]).await;
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
    let server = answers([(200, scalar)]).await;
    let mut query = query(&server.address);
    query.authentication = Some(Authentication::OAuth2(OAuth2 {
        token_url: token.address.clone(),
        client_id: "me".into(),
        client_secret: "hunter2".into(),
        scopes: Vec::new(),
    }));
    assert_eq!(asked(&query).await.unwrap().shown, "1");
    assert_eq!(server.seen()[0].headers["authorization"], "Bearer hunter3");
    assert_eq!(token.seen()[0].body, "grant_type=client_credentials");
}

#[tokio::test]
async fn an_error_with_the_credential_in_it_is_told_without() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"no Basic dXNlcjpwYXNz"}"#;
    let server = answers([(400, refused)]).await;
    let mut query = query(&server.address);
    query.authentication = Some(Authentication::Basic(BasicAuth {
        username: "user".into(),
        password: "pass".into(),
    }));
    let why = asked(&query).await.unwrap_err();
    assert!(why.ends_with("bad_data: no Basic *****"), "{why}");
}

//! Servers that answer wrongly: each is one clear error, and none is a verdict.

use super::*;
use crate::provider::served::bytes;
use axum::body::Body;

/// The error without query and address.
async fn why(address: &str) -> String {
    let mut query = query(address);
    query.timeout = Duration::from_secs(5);
    let prefix = format!("query \"sum(rate(x[1m]))\" at {address}: ");
    let why = asked(&query).await.unwrap_err();
    why.strip_prefix(&prefix).expect(&why).to_string()
}

#[tokio::test]
async fn half_a_body_is_no_answer() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":\"success\",";
    let told = why(&bytes(half, true).await).await;
    assert!(told.starts_with("the answer broke off: "), "{told}");
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"status\":";
    let told = why(&bytes(chunk, true).await).await;
    assert!(told.starts_with("the answer broke off: "), "{told}");
    // Between two chunks, after what could be taken for a whole answer.
    let whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        46\r\n{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"1\"]}}\r\n";
    let told = why(&bytes(whole, true).await).await;
    assert!(told.starts_with("the answer broke off: "), "{told}");
}

#[tokio::test]
async fn a_wrong_length_is_no_answer() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"status\":\"success\"}";
    let told = why(&bytes(short, true).await).await;
    assert!(
        told.starts_with("status 200 OK, and the answer is not Prometheus' (EOF"),
        "{told}"
    );
    let none = b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}";
    let told = why(&bytes(none, true).await).await;
    assert!(told.contains("content-length"), "{told}");
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    for junk in [
        b"hello\r\n\r\n".as_slice(),
        b"",
        b"\x15\x03\x01\x00\x02\x02\x16",
    ] {
        let told = why(&bytes(junk, true).await).await;
        assert!(!told.is_empty() && !told.contains('\n'), "{told}");
    }
}

#[tokio::test]
async fn a_hang_in_the_middle_is_no_answer() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":";
    let mut query = query(&bytes(half, false).await);
    query.timeout = Duration::from_millis(50);
    let told = asked(&query).await.unwrap_err();
    assert!(told.ends_with(": no answer within 50ms"), "{told}");
}

#[tokio::test]
async fn a_bad_status_is_no_answer_whatever_the_body() {
    let status =
        |status: u16, body: &'static str| async move { outcome(status, body).await.unwrap_err() };
    assert_eq!(
        status(
            500,
            r#"{"status":"error","errorType":"internal","error":"disk full"}"#
        )
        .await,
        "internal: disk full"
    );
    assert_eq!(
        status(
            500,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#
        )
        .await,
        "status 500 Internal Server Error, though the answer tells of success"
    );
    for body in ["", "oops", "<html>", r#"{"message":"oops"}"#, "[]", "null"] {
        let told = status(500, body).await;
        assert!(
            told.starts_with("status 500 Internal Server Error, and the answer is not Prometheus'"),
            "{told}"
        );
    }
    let page = status(200, "<html>log in</html>").await;
    assert!(
        page.starts_with("status 200 OK, and the answer is not Prometheus'"),
        "{page}"
    );
}

#[tokio::test]
async fn a_result_of_a_wrong_shape_is_no_answer() {
    for data in [
        r#"{"resultType":"vector","result":null}"#,
        r#"{"resultType":"vector","result":{}}"#,
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1]}]}"#,
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1,1]}]}"#,
        r#"{"resultType":"scalar","result":[1,"one"]}"#,
        r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,""]]}]}"#,
        r#"{"resultType":"streams","result":[]}"#,
        r#"{"resultType":"vector"}"#,
        "null",
    ] {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        assert!(outcome(200, body.leak()).await.is_err(), "{data}");
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_no_answer() {
    let large = any(|| async { Body::from(" ".repeat(PROMETHEUS.largest + 1)) });
    let told = why(&serve(Router::new().fallback(large)).await).await;
    assert_eq!(
        told,
        "the answer is larger than 16 MiB (does the query aggregate?)"
    );
}

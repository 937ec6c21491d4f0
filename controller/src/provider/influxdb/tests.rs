use super::*;
use crate::provider::served::{NOW, answers, asking, bytes, secret};
use serin_core::analysis::{Provider, Reading};

/// The head of an answer that promises more than comes.
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n[";

const RANGE: &str = "from(bucket: \"app\") |> range(start: -15m)";

fn query() -> InfluxdbQuery {
    InfluxdbQuery {
        profile: "influxdb".to_string(),
        query: RANGE.to_string(),
    }
}

fn secrets(address: &str) -> Secrets {
    let entries = [
        ("address", address),
        ("authToken", "hunter2\n"),
        ("org", "my org"),
    ];
    secret("influxdb", entries)
}

async fn ask(secrets: &Secrets) -> Result<Outcome, String> {
    let asking = asking();
    let provider = Provider::Influxdb(query());
    asking
        .measure(
            &provider,
            secrets,
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await
}

/// What comes of the answer `body`.
async fn outcome(status: u16, body: &str) -> Result<Outcome, String> {
    let served = answers([(status, body)]).await;
    let asked = ask(&secrets(&served.address)).await;
    let prefix = format!("query {RANGE:?} with profile influxdb: ");
    asked.map_err(|why| why.strip_prefix(&prefix).expect(&why).to_string())
}

/// A table whose values are of a kind.
fn table(kind: &str, values: &[&str]) -> String {
    let rows = values
        .iter()
        .enumerate()
        .map(|(row, value)| format!(",,{row},2020-02-18T10:34:08.135814545Z,{value},f,test\r\n"));
    format!(
        "#datatype,string,long,dateTime:RFC3339,{kind},string,string\r\n\
         #group,false,false,false,false,true,true\r\n\
         #default,_result,,,,,\r\n\
         ,result,table,_time,_value,_field,_measurement\r\n{}\r\n",
        rows.collect::<String>()
    )
}

#[tokio::test]
async fn the_values_of_all_rows_of_all_tables_are_judged() {
    let body = format!(
        "{}{}",
        table("double", &["1.0", "6.6"]),
        table("long", &["20"])
    );
    let outcome = outcome(200, &body).await.unwrap();
    assert_eq!(outcome.value, Reading::Vector(vec![1.0, 6.6, 20.0]));
    assert_eq!(outcome.shown, "[1 6.6 20]");
}

#[tokio::test]
async fn every_kind_of_value_is_read() {
    let shown = |body: String| async move { outcome(200, &body).await.unwrap().shown };
    assert_eq!(shown(table("double", &["NaN", "+Inf"])).await, "[NaN +Inf]");
    assert_eq!(
        shown(table("boolean", &["true", "false"])).await,
        "[true false]"
    );
    assert_eq!(
        shown(table("string", &["\"a, \"\"b\"\"\""])).await,
        "[a, \"b\"]"
    );
    let mixed = table("double", &["1", ""]);
    let mixed = outcome(200, &mixed).await.unwrap();
    assert_eq!(mixed.shown, "[1 <nil>]");
    assert_eq!(mixed.value, Reading::Json(serde_json::json!([1.0, null])));
    let both = outcome(200, &table("double", &["NaN", ""])).await;
    assert!(both.unwrap_err().starts_with("NaN stands beside"));
}

#[tokio::test]
async fn the_query_is_sent_with_token_and_organisation() {
    let served = answers([(200, "")]).await;
    let why = ask(&secrets(&served.address)).await.unwrap_err();
    assert!(why.contains("no results returned from flux query"), "{why}");
    let asked = &served.seen()[0];
    assert_eq!(asked.line, "POST /api/v2/query?org=my+org");
    assert_eq!(asked.headers["authorization"], "Token hunter2");
    assert_eq!(asked.headers["accept"], "application/csv");
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["query"], RANGE);
    assert_eq!(body["dialect"]["annotations"][0], "datatype");
}

#[tokio::test]
async fn an_error_of_the_query_is_told_even_behind_rows() {
    let encoded = "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n\
        ,error,reference\r\n,Failed to parse query,897\r\n";
    assert_eq!(
        outcome(200, encoded).await.unwrap_err(),
        "Failed to parse query (reference 897)"
    );
    let behind = format!("{}{encoded}", table("double", &["1"]));
    assert!(outcome(200, &behind).await.unwrap_err().contains("897"));
    let bare = "error,reference\r\nengine: unknown error,\r\n";
    assert_eq!(
        outcome(200, bare).await.unwrap_err(),
        "engine: unknown error"
    );
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_that_says_so() {
    let refused = r#"{"code":"unauthorized","message":"unauthorized access"}"#;
    assert_eq!(
        outcome(401, refused).await.unwrap_err(),
        "status 401 Unauthorized: unauthorized: unauthorized access"
    );
    let page = outcome(200, "<html>\n<p>log in, please</html>")
        .await
        .unwrap_err();
    assert!(page.contains("is no row of an annotated CSV"), "{page}");
    let bare = ",result,table,_value\r\n,,0,1\r\n";
    assert!(
        outcome(200, bare)
            .await
            .unwrap_err()
            .contains("before any annotation")
    );
    let short = table("double", &["1"]).replace(",f,test", "");
    let short = outcome(200, &short).await.unwrap_err();
    assert!(
        short.starts_with("row 5 of the answer has 4 columns, expected 6"),
        "{short}"
    );
    let text = outcome(200, &table("double", &["x"])).await.unwrap_err();
    assert!(text.contains("has \"x\", expected a double"), "{text}");
}

#[tokio::test]
async fn half_an_answer_is_an_error() {
    let half = secrets(&bytes(HALF, true).await);
    let why = ask(&half).await.unwrap_err();
    assert!(why.contains("the answer broke off"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let silent = secrets(&bytes(b"", false).await);
    let why = ask(&silent).await.unwrap_err();
    assert!(why.ends_with("no answer within 30s"), "{why}");
}

#[tokio::test]
async fn a_token_that_the_server_repeats_is_not_told() {
    let refused = r#"{"code":"unauthorized","message":"Token hunter2 is unknown"}"#;
    let why = outcome(401, refused).await.unwrap_err();
    assert!(
        why.ends_with("unauthorized: Token ***** is unknown"),
        "{why}"
    );
}

#[tokio::test]
async fn a_profile_without_a_token_is_named() {
    let mut secrets = secrets("http://localhost:1");
    secrets.retain(|key, _| key.key != "authToken");
    let why = ask(&secrets).await.unwrap_err();
    assert!(
        why.ends_with("key authToken of Secret influxdb is missing or empty"),
        "{why}"
    );
}

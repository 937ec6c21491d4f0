use super::*;
use crate::provider::served::{answers, asking, bytes, secret};
use serde_json::{Value, json};
use serin_core::analysis::Provider;
use serin_core::analysis::condition::Condition;
use serin_core::analysis::metric::cloud_watch::{DataQuery, Dimension, Source, Statistic};

/// The head of an answer that promises more than comes.
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n[";

/// 30 August 2015, 12:36.
const NOW: Timestamp = Timestamp(1_440_938_160_000);

fn query(secret: Option<&str>) -> CloudWatchQuery {
    let statistic = Statistic {
        namespace: "app".into(),
        metric: "errors".into(),
        dimensions: vec![Dimension {
            name: "Service".into(),
            value: "shop".into(),
        }],
        period: 60,
        stat: "Sum".into(),
        unit: Some("Count".into()),
    };
    let data_query = |id: &str, source| DataQuery {
        id: id.into(),
        source,
        label: None,
        period: None,
        return_data: true,
    };
    CloudWatchQuery {
        interval: Duration::from_secs(300),
        queries: vec![
            data_query("rate", Source::Expression("errors / 2".into())),
            DataQuery {
                return_data: false,
                ..data_query("errors", Source::Statistic(statistic))
            },
        ],
        secret: secret.map(Into::into),
    }
}

fn secrets(address: &str) -> Secrets {
    let entries = [
        ("accessKeyId", "AKIDEXAMPLE"),
        ("secretAccessKey", "hunter2"),
        ("sessionToken", "passing"),
        ("region", "eu-west-1"),
        ("address", address),
    ];
    secret("aws", entries)
}

async fn ask(address: &str) -> Result<Outcome, String> {
    let asking = asking();
    let provider = Provider::CloudWatch(query(Some("aws")));
    asking
        .measure(
            &provider,
            &secrets(address),
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await
}

/// What comes of the answer `body`.
async fn outcome(status: u16, body: &Value) -> Result<Outcome, String> {
    let served = answers([(status, &body.to_string())]).await;
    ask(&served.address).await
}

fn series(status: &str, values: &[f64]) -> Value {
    let times: Vec<f64> = values.iter().map(|_| 1_440_938_100.0).collect();
    json!({"Id": "rate", "Label": "rate", "StatusCode": status, "Timestamps": times,
        "Values": values})
}

#[tokio::test]
async fn conditions_address_the_results_as_in_argo_rollouts() {
    let body = json!({"Messages": [], "MetricDataResults": [series("Complete", &[0.0029, 1.0])]});
    let outcome = outcome(200, &body).await.unwrap();
    assert_eq!(outcome.shown, "[[0.0029 1]]");
    let holds = |text: &str| {
        Condition::parse(text)
            .unwrap()
            .holds(&outcome.value)
            .unwrap()
    };
    assert!(holds(
        "len(result[0].Values) >= 2 and all(result[0].Values, {# <= 1})"
    ));
    assert!(holds(
        "result[0].Id == 'rate' && result[0].StatusCode == 'Complete'"
    ));
    assert!(holds("result[0].Timestamps[0] == '2015-08-30T12:35:00Z'"));
}

#[tokio::test]
async fn what_is_asked_is_signed() {
    let served = answers([(200, r#"{"MetricDataResults":[]}"#)]).await;
    let outcome = ask(&served.address).await.unwrap();
    assert!(outcome.value.is_empty());
    assert_eq!(outcome.shown, "[]");
    let asked = &served.seen()[0];
    assert_eq!(asked.line, "POST /");
    let target = "GraniteServiceVersion20100801.GetMetricData";
    assert_eq!(asked.headers["x-amz-target"], target);
    assert_eq!(asked.headers["x-amz-security-token"], "passing");
    assert_eq!(asked.headers["x-amz-date"], "20150830T123600Z");
    let scope = "AWS4-HMAC-SHA256 \
        Credential=AKIDEXAMPLE/20150830/eu-west-1/monitoring/aws4_request, \
        SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=";
    assert!(asked.headers["authorization"].starts_with(scope));
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        body,
        json!({"StartTime": 1_440_937_860, "EndTime": 1_440_938_160, "MetricDataQueries": [
            {"Id": "rate", "Expression": "errors / 2", "ReturnData": true},
            {"Id": "errors", "ReturnData": false, "MetricStat": {
                "Metric": {"Namespace": "app", "MetricName": "errors",
                    "Dimensions": [{"Name": "Service", "Value": "shop"}]},
                "Period": 60, "Stat": "Sum", "Unit": "Count"}},
        ]})
    );
}

#[tokio::test]
async fn pages_are_put_together() {
    let first = json!({"NextToken": "more", "MetricDataResults": [series("PartialData", &[1.0])]});
    let last = json!({"MetricDataResults": [series("Complete", &[2.0])],
        "Messages": [{"Code": "MaxMetricsExceeded", "Value": "too many metrics"}]});
    let served = answers([(200, &first.to_string()), (200, &last.to_string())]).await;
    let outcome = ask(&served.address).await.unwrap();
    assert_eq!(outcome.shown, "[[1 2]]");
    let messages = &outcome.metadata["messages"];
    assert_eq!(messages, "MaxMetricsExceeded: too many metrics");
    let second: Value = serde_json::from_str(&served.seen()[1].body).unwrap();
    assert_eq!(second["NextToken"], "more");
}

#[tokio::test]
async fn pages_without_an_end_are_an_error() {
    let page = json!({"NextToken": "more", "MetricDataResults": []});
    let why = outcome(200, &page).await.unwrap_err();
    assert!(why.contains("more than 20 pages"), "{why}");
}

#[tokio::test]
async fn a_part_of_the_data_is_no_measurement() {
    let mut part = series("PartialData", &[1.0]);
    part["Messages"] = json!([{"Code": "ArithmeticError", "Value": "division by zero"}]);
    let why = outcome(200, &json!({"MetricDataResults": [part]}))
        .await
        .unwrap_err();
    assert_eq!(
        why,
        "CloudWatch: the result of rate is PartialData, expected Complete \
         (ArithmeticError: division by zero)"
    );
}

#[tokio::test]
async fn a_refusal_is_told_without_what_aws_repeats_of_the_key() {
    let refused = json!({"__type": "com.amazon.coral.service#InvalidSignatureException",
        "message": "key AKIDEXAMPLE with token passing does not fit hunter2"});
    assert_eq!(
        outcome(403, &refused).await.unwrap_err(),
        "CloudWatch: status 403 Forbidden: InvalidSignatureException: \
         key ***** with token ***** does not fit *****"
    );
    let served = answers([(503, "<html><title>503 Slow Down</title>"), (200, "{}")]).await;
    let page = ask(&served.address).await.unwrap_err();
    assert_eq!(
        page,
        "CloudWatch: status 503 Service Unavailable: 503 Slow Down"
    );
    let strange = ask(&served.address).await.unwrap_err();
    assert!(
        strange.contains("the answer is not CloudWatch's"),
        "{strange}"
    );
    let half = ask(&bytes(HALF, true).await).await.unwrap_err();
    assert!(half.contains("the answer broke off"), "{half}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let why = ask(&bytes(b"", false).await).await.unwrap_err();
    assert!(why.ends_with("no answer within 30s"), "{why}");
}

/// Asks by the controller's own environment.
async fn ask_by(variables: &[(&str, &str)]) -> Result<Outcome, String> {
    let environment = Environment::read(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_string())
    });
    let provider = Provider::CloudWatch(query(None));
    let mut asking = asking();
    asking.aws = environment;
    asking
        .measure(
            &provider,
            &Secrets::new(),
            &crate::provider::compare::Subject::default(),
            NOW,
        )
        .await
}

#[tokio::test]
async fn without_a_secret_the_controllers_own_key_signs() {
    let served = answers([(200, r#"{"MetricDataResults":[]}"#)]).await;
    let variables = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "OWN"),
        ("AWS_SECRET_ACCESS_KEY", "own"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", &served.address),
    ];
    ask_by(&variables).await.unwrap();
    let signed = served.seen()[0].headers["authorization"].to_string();
    assert!(
        signed.contains("Credential=OWN/20150830/us-east-1/"),
        "{signed}"
    );
    assert!(
        ask_by(&variables[1..])
            .await
            .unwrap_err()
            .contains("no region")
    );
    let nobody = ask_by(&variables[..1]).await.unwrap_err();
    assert!(
        nobody.contains("no credentials, expected a Secret"),
        "{nobody}"
    );
}

const ASSUMED: &str = r#"<AssumeRoleWithWebIdentityResponse
    xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
    <Credentials><SessionToken>passing</SessionToken><SecretAccessKey>own</SecretAccessKey>
    <Expiration>2015-08-30T13:36:00Z</Expiration><AccessKeyId>ASIA</AccessKeyId></Credentials>
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"#;

#[tokio::test]
async fn a_role_is_taken_with_the_service_accounts_token() {
    let sts = answers([
        (200, ASSUMED),
        (
            400,
            "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>\
            <Message>eyJ&amp; is old</Message></Error></ErrorResponse>",
        ),
    ])
    .await;
    let served = answers([(200, r#"{"MetricDataResults":[]}"#)]).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "eyJ&\n").unwrap();
    let variables = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.path().to_str().unwrap(),
        ),
        ("AWS_ENDPOINT_URL_STS", &sts.address),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", &served.address),
    ];
    ask_by(&variables).await.unwrap();
    assert_eq!(
        sts.seen()[0].body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3A\
         role%2Fr&RoleSessionName=serin&WebIdentityToken=eyJ%26"
    );
    let asked = &served.seen()[0];
    assert!(asked.headers["authorization"].contains("Credential=ASIA/"));
    assert_eq!(asked.headers["x-amz-security-token"], "passing");
    assert_eq!(
        ask_by(&variables).await.unwrap_err(),
        "CloudWatch: role arn:aws:iam::1:role/r: status 400 Bad Request: ExpiredTokenException: \
         ***** is old"
    );
}

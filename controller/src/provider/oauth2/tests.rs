use serde_json::json;
use serin_core::analysis::metric::{WebMethod, WebQuery};
use serin_core::analysis::{Outcome, Provider, Secrets};

use super::*;
use crate::provider::Asking;
use crate::provider::served::{NOW, Served, answers, asking};

const GIVEN: &str = r#"{"access_token":"token-1","token_type":"Bearer","expires_in":3600}"#;
const NEXT: &str = r#"{"access_token":"token-2","token_type":"Bearer","expires_in":3600}"#;

/// Asks `server` with a token of `giver`, at `now`.
async fn asked(
    asking: &Asking,
    giver: &Served,
    server: &Served,
    now: Timestamp,
) -> Result<Outcome, String> {
    let query = WebQuery {
        url: server.address.clone(),
        method: WebMethod::Get,
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
        json_path: None,
        insecure: false,
        authentication: Some(Authentication::OAuth2(OAuth2 {
            token_url: format!("{}/token", giver.address),
            client_id: "me".into(),
            client_secret: "hunter2".into(),
            scopes: vec!["read".into(), "list".into()],
        })),
    };
    let provider = Provider::Web(query);
    asking
        .measure(
            &provider,
            &Secrets::new(),
            &crate::provider::compare::Subject::default(),
            now,
        )
        .await
}

fn sent(server: &Served) -> Vec<String> {
    let seen = server.seen().into_iter();
    seen.map(|mut one| one.headers.remove("authorization").unwrap())
        .collect()
}

#[tokio::test]
async fn a_token_is_fetched_once_and_kept_until_it_expires() {
    let (giver, server) = (
        answers([(200, GIVEN), (200, NEXT)]).await,
        answers([(200, "1")]).await,
    );
    let asking = asking();
    asked(&asking, &giver, &server, NOW).await.unwrap();
    asked(&asking, &giver, &server, NOW).await.unwrap();
    let fetched = giver.seen();
    assert_eq!(fetched.len(), 1);
    assert_eq!(fetched[0].line, "POST /token");
    assert_eq!(
        fetched[0].body,
        "grant_type=client_credentials&scope=read+list"
    );
    assert_eq!(
        fetched[0].headers["authorization"],
        "Basic bWU6aHVudGVyMg=="
    );
    let later = NOW.plus(Duration::from_secs(3591));
    asked(&asking, &giver, &server, later).await.unwrap();
    assert_eq!(
        sent(&server),
        ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    );
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_fetched_again_once() {
    let (giver, server) = (
        answers([(200, GIVEN), (200, NEXT)]).await,
        answers([(200, "1"), (401, "old"), (200, "2"), (401, "no")]).await,
    );
    let asking = asking();
    asked(&asking, &giver, &server, NOW).await.unwrap();
    let again = asked(&asking, &giver, &server, NOW).await.unwrap();
    assert_eq!(again.shown, "2");
    let why = asked(&asking, &giver, &server, NOW).await.unwrap_err();
    assert!(why.contains("status 401 Unauthorized"), "{why}");
    assert_eq!(
        giver.seen().len(),
        3,
        "each refused token is fetched again once"
    );
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn an_answer_with_the_token_in_it_is_shown_without() {
    let giver = answers([(200, GIVEN)]).await;
    let server = answers([(200, "\"Bearer token-1\""), (500, "Bearer token-1")]).await;
    let asking = asking();
    let shown = asked(&asking, &giver, &server, NOW).await.unwrap().shown;
    assert_eq!(shown, "\"Bearer *****\"");
    let why = asked(&asking, &giver, &server, NOW).await.unwrap_err();
    assert!(why.ends_with("\"Bearer *****\""), "{why}");
}

#[tokio::test]
async fn a_server_that_wants_the_credentials_in_the_body_gets_them() {
    let (giver, server) = (
        answers([(401, "{}"), (200, GIVEN)]).await,
        answers([(200, "1")]).await,
    );
    asked(&asking(), &giver, &server, NOW).await.unwrap();
    assert_eq!(
        giver.seen()[1].body,
        "grant_type=client_credentials&scope=read+list&client_id=me&client_secret=hunter2"
    );
    assert_eq!(sent(&server), ["Bearer token-1"]);
}

#[tokio::test]
async fn no_token_is_one_error_without_the_secret() {
    let server = answers([(200, "1")]).await;
    let said = json!({"error": "invalid_client", "error_description": "hunter2 is wrong"});
    for (status, body, told) in [
        (
            401,
            said.to_string(),
            "status 401 Unauthorized without a token: invalid_client: ***** is wrong",
        ),
        (
            200,
            "{}".to_string(),
            "status 200 OK without a token: it says no more",
        ),
        (
            502,
            "<html>hunter2".to_string(),
            "status 502 Bad Gateway, and the answer is no JSON object (is tokenUrl right?)",
        ),
    ] {
        let giver = answers([(status, body.as_str())]).await;
        let why = asked(&asking(), &giver, &server, NOW).await.unwrap_err();
        let expected = format!(
            "{}: no token from {}/token: {told}",
            server.address, giver.address
        );
        assert_eq!(why, expected);
    }
    assert!(server.seen().is_empty());
}

#[test]
fn no_log_shows_a_token() {
    let tokens = Tokens::default();
    let oauth2 = OAuth2 {
        token_url: "http://t".into(),
        client_id: "me".into(),
        client_secret: "hunter2".into(),
        scopes: Vec::new(),
    };
    let token = Token {
        text: "hunter3".into(),
        given: NOW,
        expires: NOW,
    };
    tokens.keep(Client::of(&oauth2, false), token);
    assert!(!format!("{tokens:?} {oauth2:?}").contains("hunter"));
}

#[tokio::test]
async fn a_token_without_an_end_is_fetched_again_and_so_is_one_that_is_forbidden() {
    const ENDLESS: &str = r#"{"access_token":"token-0"}"#;
    let (giver, server) = (
        answers([(200, ENDLESS), (200, GIVEN), (200, NEXT)]).await,
        answers([(200, "1"), (200, "1"), (403, "old"), (200, "2")]).await,
    );
    let asking = asking();
    asked(&asking, &giver, &server, NOW).await.unwrap();
    let later = NOW.plus(Duration::from_secs(300));
    asked(&asking, &giver, &server, later).await.unwrap();
    let again = asked(&asking, &giver, &server, later).await.unwrap();
    assert_eq!(again.shown, "2");
    assert_eq!(
        sent(&server),
        [
            "Bearer token-0",
            "Bearer token-1",
            "Bearer token-1",
            "Bearer token-2"
        ]
    );
}

#[test]
fn the_oldest_token_makes_room() {
    let tokens = Tokens::default();
    let client = |id: u64| Client {
        url: "http://t".into(),
        id: id.to_string(),
        scopes: Vec::new(),
        hash: [0; 32],
        insecure: false,
    };
    for id in 0..300 {
        let given = NOW.plus(Duration::from_secs(id));
        let expires = NOW.plus(Duration::from_secs(3600));
        let text = id.to_string();
        let token = Token {
            text,
            given,
            expires,
        };
        tokens.keep(client(id), token);
    }
    assert_eq!(tokens.0.lock().unwrap().len(), 256);
    assert_eq!(tokens.kept(&client(43), NOW), None);
    assert!(tokens.kept(&client(44), NOW).is_some());
}

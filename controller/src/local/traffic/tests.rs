use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serin_core::time::Timestamp;

use super::*;

#[test]
fn answers_are_counted_by_version_and_user() {
    let mut tally = Tally {
        sent: 6,
        ..Tally::default()
    };
    let answer = |replica_set: &str, status| Answer::Status {
        replica_set: replica_set.to_string(),
        status,
    };
    tally.record(1, answer("shop-a", 200), Timestamp(10));
    tally.record(1, answer("shop-b", 500), Timestamp(20));
    tally.record(1, answer("shop-b", 503), Timestamp(30));
    tally.record(2, answer("shop-b", 404), Timestamp(25));
    tally.record(3, Answer::None("refused".into()), Timestamp(40));

    let report = tally.report(&aim("127.0.0.1:1".parse().unwrap(), 5));
    assert_eq!((report.ok, report.server_errors), (2, 2));
    assert_eq!((report.failed, report.in_flight), (1, 1));
    assert_eq!(report.last_failure.as_deref(), Some("refused"));
    let bad = report.version("shop-b").unwrap();
    assert_eq!((bad.ok, bad.server_errors), (1, 2));
    assert_eq!((bad.users, bad.users_with_errors), (2, 1));
    assert_eq!(
        (bad.first_seen, bad.last_seen),
        (Timestamp(20), Timestamp(30))
    );
}

#[test]
fn an_answer_of_no_version_is_a_failure_whatever_its_status() {
    let mut tally = Tally {
        sent: 2,
        ..Tally::default()
    };
    for status in [200, 404] {
        let replica_set = String::new();
        let answer = Answer::Status {
            replica_set,
            status,
        };
        tally.record(1, answer, Timestamp(10));
    }
    let report = tally.report(&aim("127.0.0.1:1".parse().unwrap(), 5));
    assert_eq!((report.ok, report.server_errors, report.failed), (0, 0, 2));
    assert!(report.versions.is_empty());
    let why = report.last_failure.unwrap();
    assert_eq!(why, "status 404, from no version");
}

#[test]
fn what_is_due_follows_the_clock_alone() {
    let at = |millis| due(Duration::from_millis(millis), 200);
    assert_eq!(
        [at(0), at(4), at(5), at(1_000), at(60_000)],
        [0, 0, 1, 200, 12_000]
    );
}

#[tokio::test]
async fn requests_name_a_host_and_a_user_and_are_counted_by_the_version_that_answers() {
    async fn answer(headers: HeaderMap) -> (StatusCode, [(&'static str, &'static str); 1]) {
        let named = headers.get("host").is_some_and(|host| host == "shop");
        let user = headers.get(USER_HEADER).and_then(|user| user.to_str().ok());
        match named && user.is_some_and(|user| user.starts_with("user-")) {
            true => (StatusCode::OK, [(REPLICA_SET_HEADER, "shop-a")]),
            false => (StatusCode::BAD_REQUEST, [(REPLICA_SET_HEADER, "wrong")]),
        }
    }
    let traffic = against(Router::new().route("/", get(answer)), 500).await;
    let report = until(&traffic, |report| report.ok >= 50).await;
    assert_eq!(report.versions.len(), 1, "{report:?}");
    assert!(
        report
            .version("shop-a")
            .is_some_and(|version| version.users > 25)
    );
}

#[tokio::test]
async fn answers_that_never_come_do_not_slow_the_requests() {
    let traffic = against(once(std::future::pending), 400).await;
    let report = until(&traffic, |report| report.sent >= 200).await;
    assert_eq!(report.in_flight, report.sent);
    let report = until(&traffic, |report| report.skipped > 0).await;
    assert_eq!(report.in_flight, 800);
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_failure_with_a_reason() {
    let traffic = against(once(|| async { panic!("the connection breaks here") }), 200).await;
    let report = until(&traffic, |report| report.failed > 0).await;
    assert!(report.last_failure.is_some());
    assert!(report.versions.is_empty());
}

#[tokio::test]
async fn nothing_is_sent_before_a_version_has_answered_well() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    async fn answer(headers: HeaderMap) -> (StatusCode, [(&'static str, &'static str); 1]) {
        assert_eq!(
            ASKED.load(Ordering::SeqCst) > 2,
            headers.contains_key(USER_HEADER)
        );
        match ASKED.fetch_add(1, Ordering::SeqCst) {
            0 => (StatusCode::NOT_FOUND, [(REPLICA_SET_HEADER, "")]),
            1 => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(REPLICA_SET_HEADER, "shop-a")],
            ),
            _ => (StatusCode::OK, [(REPLICA_SET_HEADER, "shop-a")]),
        }
    }
    let traffic = against(Router::new().route("/", get(answer)), 200).await;
    let report = until(&traffic, |report| report.ok >= 10).await;
    assert_eq!((report.server_errors, report.failed), (0, 0));
}

/// Answers one request well, and all others as `then` does.
fn once<F>(then: fn() -> F) -> Router
where
    F: Future<Output = ()> + Send + 'static,
{
    let asked = Arc::new(AtomicU32::new(0));
    let answer = move || async move {
        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
            then().await;
        }
        [(REPLICA_SET_HEADER, "shop-a")]
    };
    Router::new().route("/", get(answer))
}

fn aim(gateway: SocketAddr, rate: u32) -> Aim {
    Aim {
        gateway,
        host: "shop".into(),
        rate,
        seed: 1,
    }
}

async fn against(app: Router, rate: u32) -> Traffic {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Traffic::start(aim(gateway, rate)).unwrap()
}

/// The first report that is as wanted, within a bound that no machine needs.
async fn until(traffic: &Traffic, wanted: fn(&TrafficReport) -> bool) -> TrafficReport {
    let look = async {
        loop {
            let report = traffic.report();
            if wanted(&report) {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), look).await;
    found.unwrap_or_else(|_| panic!("{:?}", traffic.report()))
}

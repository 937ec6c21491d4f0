use serin_core::step::Phase;
use serin_core::time::Timestamp;
use serin_core::verb::{Verb, VerbRefusal};

use super::*;
use crate::client::{Client, ClientError};
use crate::local::desk::{Board, Counter, DeskRefusal};
use crate::local::traffic::Aim;
use crate::view::{Replicas, Strategy};

#[tokio::test]
async fn shows_what_lies_on_the_desk() {
    let world = World::open("shows").await;
    assert_eq!(world.client.rollouts().await.unwrap(), [shop()]);
    assert_eq!(
        world.client.rollout("default", "shop").await.unwrap(),
        shop()
    );
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_known_ones() {
    let world = World::open("unknown").await;
    let error = world.client.rollout("default", "shoe").await.unwrap_err();
    assert_refused(
        error,
        404,
        "rollout default/shoe is unknown, expected one of default/shop",
    );
}

#[tokio::test]
async fn a_verb_reaches_the_desk_with_its_options() {
    for verb in [
        Verb::Promote { full: true },
        Verb::Promote { full: false },
        Verb::Abort,
        Verb::Retry,
        Verb::Pause,
        Verb::Undo {
            to_revision: Some(3),
        },
        Verb::Undo { to_revision: None },
    ] {
        let mut world = World::open("verb").await;
        let asked = async {
            let order = world.counter.orders.recv().await.unwrap();
            order.answer.send(Ok("done".to_string())).unwrap();
            (order.namespace, order.name, order.verb)
        };
        let (answer, asked) = tokio::join!(world.client.verb("default", "shop", verb), asked);
        assert_eq!(answer.unwrap(), "done");
        assert_eq!(asked, ("default".to_string(), "shop".to_string(), verb));
    }
}

#[tokio::test]
async fn a_refusal_says_why_and_has_a_status_of_its_own() {
    let unknown = DeskRefusal::UnknownRollout {
        asked: "default/shop".into(),
        known: "default/shoe".into(),
    };
    for (refusal, status) in [
        (DeskRefusal::Verb(VerbRefusal::NothingInFlight), 409),
        (unknown, 404),
        (DeskRefusal::Stopping, 503),
    ] {
        let mut world = World::open("refusal").await;
        let text = refusal.to_string();
        let refuse = async {
            let order = world.counter.orders.recv().await.unwrap();
            order.answer.send(Err(refusal)).unwrap();
        };
        let (answer, ()) = tokio::join!(world.client.verb("default", "shop", Verb::Abort), refuse);
        assert_refused(answer.unwrap_err(), status, &text);
    }
}

#[test]
fn a_body_that_is_not_as_expected_is_refused() {
    let refused = |verb, body: &str| verb_from(verb, body.as_bytes()).unwrap_err().error;
    assert!(refused("promote", r#"{"ful": true}"#).contains("unknown field `ful`"));
    assert!(refused("undo", "7").starts_with("the body: "));
    assert!(refused("promot", "").contains("expected promote, abort, retry, pause or undo"));
    assert_eq!(
        verb_from("promote", b"").unwrap(),
        Verb::Promote { full: false }
    );
}

#[tokio::test]
async fn traffic_is_shown_where_some_is_sent() {
    let world = World::open("traffic").await;
    let error = world.client.traffic().await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status, .. } if status == 404));

    let aim = Aim {
        gateway: "127.0.0.1:9".parse().unwrap(),
        host: "shop".into(),
        rate: 0,
        seed: 1,
    };
    let traffic = Traffic::start(aim).unwrap();
    let world = World::with("traffic", Some(traffic.clone())).await;
    assert_eq!(world.client.traffic().await.unwrap(), traffic.report());
}

#[tokio::test]
async fn only_the_owner_may_speak_and_a_socket_left_behind_is_replaced() {
    let dir = directory("owner");
    drop(listen(&dir).unwrap());
    assert!(dir.join(SOCKET).exists());

    let _listener = listen(&dir).unwrap();
    let mode = std::fs::metadata(dir.join(SOCKET))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let taken = listen(&dir).unwrap_err();
    assert!(matches!(taken, SocketError::Taken(_)), "{taken}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn without_a_server_the_client_says_how_to_start_one() {
    let dir = directory("nobody");
    let error = Client::new(&dir).unwrap().rollouts().await.unwrap_err();
    assert!(
        error.to_string().contains("`serin local DIR` starts one"),
        "{error}"
    );
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A served desk, and a client in front of it.
struct World {
    dir: PathBuf,
    counter: Counter,
    client: Client,
}

impl World {
    async fn open(name: &str) -> World {
        World::with(name, None).await
    }

    async fn with(name: &str, traffic: Option<Traffic>) -> World {
        let dir = directory(name);
        let (desk, counter) = Desk::open(Doors {
            gateway: "127.0.0.1:8080".parse().unwrap(),
            prometheus: "127.9.0.3:9090".parse().unwrap(),
            envoy_admin: "127.9.0.2:15000".parse().unwrap(),
        });
        counter.views.send_replace(Board {
            views: vec![shop()],
            files: None,
        });
        let listener = listen(&dir).unwrap();
        tokio::spawn(serve(listener, desk, traffic));
        let client = Client::new(&dir).unwrap();
        World {
            dir,
            counter,
            client,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// An empty directory of this test's own.
fn directory(name: &str) -> PathBuf {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let unique = format!("serin-socket-{name}-{}-{count}", std::process::id());
    let dir = std::env::temp_dir().join(unique);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn assert_refused(error: ClientError, expected: u16, text: &str) {
    match error {
        ClientError::Refused { status, error } => {
            assert_eq!((status.as_u16(), error.as_str()), (expected, text));
        }
        other => panic!("{other:?}"),
    }
}

fn shop() -> RolloutView {
    RolloutView {
        name: "shop".into(),
        namespace: "default".into(),
        phase: Phase::Healthy,
        message: String::new(),
        created: Timestamp(1),
        strategy: Strategy::Canary,
        steps: Vec::new(),
        step_index: 0,
        set_weight_bp: 0,
        actual_weight_bp: 0,
        header_routes: Vec::new(),
        desired: 1,
        replicas: Replicas::default(),
        revisions: Vec::new(),
        notices: Vec::new(),
        gateway: "http://127.0.0.1:8080".into(),
        stale: None,
    }
}

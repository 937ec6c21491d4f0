//! What the real Envoy with the real filter does with requests, under the real local mode.

use serde_json::{Value, json};
use serin_core::step::Phase;
use serin_tests::client::Client;
use serin_tests::load::{self, Ends, fits};
use serin_tests::local::Local;
use serin_tests::manifest::App;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::thread;

const NO_HEADERS: load::Headers<'static> = &|_| Vec::new();

fn beta() -> Value {
    json!({"setHeaderRoute": {"name": "beta", "match": [
        {"headerName": "X-Canary", "headerValue": {"exact": "true"}}]}})
}

fn weight(bp: u16) -> Value {
    json!({"setWeight": bp})
}

fn pause() -> Value {
    json!({"pause": {}})
}

/// `shop` with version 1 serving everybody and version 2 asked for.
fn release(steps: Value) -> (Local, App) {
    let app = App::new("shop", &["--version", "1"], steps);
    release_of(app)
}

fn release_of(mut app: App) -> (Local, App) {
    let local = Local::start(&[("shop.yaml", app.text())]);
    local.until_healthy("shop");
    app.args = vec!["--version".into(), "2".into()];
    local.edit("shop.yaml", &app.text());
    (local, app)
}

/// The ReplicaSet of a role.
fn replica_set(local: &Local, role: &str) -> String {
    let view = local.view("shop").expect("the Rollout is known");
    let found = view
        .revisions
        .iter()
        .find(|r| r.role.as_deref() == Some(role));
    found
        .unwrap_or_else(|| panic!("no {role}: {view:#?}"))
        .replica_set
        .clone()
}

/// Who answers one request.
fn who(local: &Local, headers: &[(&str, &str)]) -> String {
    let mut client = Client::connect(local.gateway).expect("the gateway listens");
    let answer = client.get("shop", "/", headers).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.replica_set().to_string()
}

#[test]
fn the_share_of_requests_is_the_weight_whatever_the_number_of_pods() {
    let steps = [100, 500, 3300, 5].map(|bp| [weight(bp), pause()]).concat();
    let mut app = App::new("shop", &["--version", "1"], Value::Null);
    app.replicas = 3;
    app.steps = Value::Array([vec![json!({"setCanaryScale": {"replicas": 1}})], steps].concat());
    let (local, _) = release_of(app);
    for (step, (bp, requests)) in [(100, 20_000), (500, 10_000), (3300, 5_000), (5, 60_000)]
        .into_iter()
        .enumerate()
    {
        let view = local.until_paused_at("shop", 2 + 2 * step);
        assert_eq!(view.actual_weight_bp, bp);
        let pods = |role: &str| {
            let set = view
                .revisions
                .iter()
                .find(|r| r.role.as_deref() == Some(role))
                .unwrap();
            set.pods.iter().filter(|pod| pod.ready).count()
        };
        assert_eq!((pods("stable"), pods("canary")), (3, 1));
        let canary = replica_set(&local, "canary");
        let tally = load::send(local.gateway, "shop", 8, requests, NO_HEADERS);
        assert_eq!((tally.total(), tally.bad()), (requests, 0), "{tally:?}");
        let hits = tally.of(&canary);
        assert!(
            fits(hits, requests, bp),
            "{hits} of {requests} at {bp} basis points"
        );
        local.must(&["promote", "shop"]);
    }
    local.until_healthy("shop");
}

#[test]
fn a_header_route_wins_at_weight_0_works_beside_a_weight_and_ends_when_removed() {
    let steps = json!([
        beta(), pause(), weight(2000), pause(), {"setHeaderRoute": {"name": "beta"}}, pause()
    ]);
    let (local, _) = release(steps);
    let header: load::Headers<'_> = &|_| vec![("x-canary", "true".to_string())];

    local.until_paused_at("shop", 1);
    let (stable, canary) = (replica_set(&local, "stable"), replica_set(&local, "canary"));
    assert_eq!(
        load::send(local.gateway, "shop", 4, 500, header).of(&canary),
        500
    );
    assert_eq!(
        load::send(local.gateway, "shop", 4, 500, NO_HEADERS).of(&stable),
        500
    );
    assert_eq!(who(&local, &[("x-canary", "yes")]), stable);

    local.must(&["promote", "shop"]);
    local.until_paused_at("shop", 3);
    assert_eq!(
        load::send(local.gateway, "shop", 4, 500, header).of(&canary),
        500
    );
    let split = load::send(local.gateway, "shop", 4, 5_000, NO_HEADERS);
    assert!(fits(split.of(&canary), 5_000, 2000), "{split:?}");

    local.must(&["promote", "shop"]);
    local.until_paused_at("shop", 5);
    let split = load::send(local.gateway, "shop", 4, 5_000, header);
    assert!(
        fits(split.of(&canary), 5_000, 2000),
        "the header still decides: {split:?}"
    );
    local.must(&["abort", "shop"]);
    local.until("shop", "taken back", |view| view.phase == Phase::Degraded);
    local.until("shop", "at weight 0", |view| view.actual_weight_bp == 0);
    assert_eq!(
        load::send(local.gateway, "shop", 4, 500, header).of(&stable),
        500
    );
}

#[test]
fn a_client_that_sends_the_routing_header_itself_gets_stable() {
    let (local, _) = release(json!([beta(), pause()]));
    let spoof = [("x-serin-variant", "canary")];
    local.until_paused_at("shop", 1);
    let stable = replica_set(&local, "stable");
    assert_eq!(who(&local, &spoof), stable, "in flight");
    assert_eq!(
        who(&local, &[spoof[0], ("X-Serin-Variant", "canary")]),
        stable,
        "sent twice"
    );
    local.must(&["abort", "shop"]);
    local.until("shop", "at weight 0", |view| view.actual_weight_bp == 0);
    assert_eq!(who(&local, &spoof), stable, "taken back");
}

#[test]
fn before_the_first_release_the_routing_header_reaches_stable_too() {
    let app = App::new("shop", &["--version", "1"], json!([]));
    let local = Local::start(&[("shop.yaml", app.text())]);
    local.until_healthy("shop");
    assert_eq!(
        who(&local, &[("x-serin-variant", "canary")]),
        replica_set(&local, "stable")
    );
}

#[test]
fn users_never_flip_back_while_the_weight_grows() {
    let weights = [100, 1000, 2500, 5000, 9000];
    let (local, _) = release(Value::Array(
        weights.map(|bp| [weight(bp), pause()]).concat(),
    ));
    let mut before = BTreeSet::new();
    for (step, bp) in weights.into_iter().enumerate() {
        local.until_paused_at("shop", 1 + 2 * step);
        let canary = replica_set(&local, "canary");
        let mut client = Client::connect(local.gateway).expect("the gateway listens");
        let mut on_canary = BTreeSet::new();
        for user in 0..1_000 {
            let id = format!("user-{user}");
            for _ in 0..2 {
                let answer = client
                    .get("shop", "/", &[("x-user-id", &id)])
                    .expect("an answer");
                if answer.replica_set() == canary {
                    on_canary.insert(user);
                } else {
                    assert!(!on_canary.contains(&user), "user {user} is on both sides");
                }
            }
        }
        assert!(
            before.is_subset(&on_canary),
            "at {bp}: {:?} left",
            before.difference(&on_canary)
        );
        assert!(
            fits(on_canary.len(), 1_000, bp),
            "{} users at {bp}",
            on_canary.len()
        );
        before = on_canary;
        local.must(&["promote", "shop"]);
    }
}

#[test]
fn a_hundred_changes_under_load_fail_no_request_and_drain_no_connection() {
    let (local, _) = release(json!([weight(5000), beta(), pause()]));
    local.until_paused_at("shop", 2);
    let generation = envoy_stat(&local, "serin_config_generation{config=\"gateway\"}");
    let stop = AtomicBool::new(false);
    let tally = thread::scope(|scope| {
        let load = scope.spawn(|| load::send_until(local.gateway, "shop", 4, &stop, NO_HEADERS));
        let load_ends = Ends(&stop);
        for _ in 0..50 {
            local.must(&["abort", "shop"]);
            local.until("shop", "at weight 0", |view| view.actual_weight_bp == 0);
            local.must(&["retry", "shop"]);
            local.until("shop", "at half", |view| view.actual_weight_bp == 5000);
        }
        drop(load_ends);
        load.join().expect("the load ends")
    });
    assert_eq!(tally.failures, Default::default());
    assert_eq!(tally.bad(), 0, "{tally:?}");
    assert!(tally.total() > 1_000, "{tally:?}");
    let changes = envoy_stat(&local, "serin_config_generation{config=\"gateway\"}") - generation;
    assert!(changes >= 100.0, "{changes} changes");
    for (stat, wanted) in [
        ("envoy_listener_manager_listener_modified{}", 0.0),
        ("envoy_listener_manager_total_listeners_draining{}", 0.0),
    ] {
        assert_eq!(envoy_stat(&local, stat), wanted, "{stat}");
    }
}

/// The value of one line of Envoy's statistics.
fn envoy_stat(local: &Local, line: &str) -> f64 {
    let text = local.envoy("/stats/prometheus");
    let found = text
        .lines()
        .find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {line} in\n{text}"))
}

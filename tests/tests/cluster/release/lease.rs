//! Several controllers of the same Rollouts: one works at a time.

use serde_json::{Value, json};
use serin_tests::client::Client;
use serin_tests::cluster::{Cluster, MERGE, wait_for};
use std::time::Duration;

use super::controller::{World, is_in};
use super::manifests::{rollout, service};
use crate::shop::PATIENCE;
use crate::trial::trials;

trials![
    of_two_controllers_one_works_and_the_other_takes_over,
    a_lease_is_released_at_the_end_and_lost_to_who_writes_it,
];

/// Short, so that nobody need wait long for a Lease whose holder was killed.
const SHORT: &[&str] = &[
    "--leader-election-lease-duration=4s",
    "--leader-election-renew-deadline=3s",
    "--leader-election-retry-period=500ms",
];

async fn of_two_controllers_one_works_and_the_other_takes_over(cluster: &Cluster) {
    let mut world = World::with_options(cluster, "race", SHORT).await;
    let mut second = world.another().await;
    let canary = json!({
        "canaryService": "shop-canary", "stableService": "shop",
        "steps": [{"setWeight": 50}, {"pause": {}}, {"setWeight": 75}],
    });
    let ground = [
        service("shop"),
        service("shop-canary"),
        rollout("v1", 2, &canary),
    ];
    world.stand(&ground).await;
    world.apply(&rollout("v2", 2, &canary).to_string()).await;
    let paused = world.until("paused", |rollout| is_in(rollout, "Paused"));
    paused.await;
    for start in [0, 1] {
        wait_for("it is ready", PATIENCE, async || {
            match get(&world.web(start).await, "/readyz") {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    let logs = [world.log_of(0), world.log_of(1)];
    let leads = logs.iter().position(|log| log.contains("INFO leads"));
    let leads = leads.unwrap_or_else(|| panic!("nobody leads: {logs:?}"));
    let works = |log: &str| log.contains("event rollout=");
    assert!(works(&logs[leads]), "{}", logs[leads]);
    assert!(!logs[1 - leads].contains("INFO leads"), "{logs:?}");
    assert!(!works(&logs[1 - leads]), "{}", logs[1 - leads]);

    let leader = match leads {
        0 => world.controller(),
        _ => &mut second,
    };
    leader.kill();
    leader.end().await;
    world.plugin(&["promote", "shop"]);
    world.until_phase("Healthy").await;
    let lease = lease(&world).await;
    assert_eq!(lease["spec"]["leaseTransitions"], 1, "{lease}");
    let successor = world.log_of(if leads == 0 { 1 } else { 0 });
    assert!(works(&successor), "{successor}");
}

async fn a_lease_is_released_at_the_end_and_lost_to_who_writes_it(cluster: &Cluster) {
    let mut world = World::with_options(cluster, "handover", SHORT).await;
    // Whether everything is read yet or not.
    for later in [0, 50, 500] {
        until_held(&world, "_").await;
        tokio::time::sleep(Duration::from_millis(later)).await;
        world.controller().terminate();
        let ended = world.controller().end().await;
        assert!(ended.success(), "{ended:?}: {}", world.log());
        assert_eq!(lease(&world).await["spec"]["holderIdentity"], "");
        world.start().await;
    }
    until_held(&world, "_").await;
    let path = format!("{LEASES}/namespaces/{}/leases/{LEASE}", world.namespace);
    let theirs = json!({"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 60}});
    cluster.ask("PATCH", &path, MERGE, Some(theirs)).await;
    let ended = world.controller().end().await;
    assert_eq!(ended.code(), Some(1), "{}", world.log());
    let log = world.log();
    assert!(
        log.contains("the lease is lost: \"somebody\" holds it"),
        "{log}"
    );
    assert_eq!(lease(&world).await["spec"]["holderIdentity"], "somebody");
}

const LEASES: &str = "/apis/coordination.k8s.io/v1";
const LEASE: &str = "argo-rollouts-controller-lock";

async fn lease(world: &World<'_>) -> Value {
    world.get(LEASES, &format!("leases/{LEASE}")).await
}

async fn until_held(world: &World<'_>, part: &str) {
    wait_for("the lease is held", PATIENCE, async || {
        let list = world.get(LEASES, "leases").await;
        let holder = list["items"][0]["spec"]["holderIdentity"].as_str();
        match holder {
            Some(holder) if holder.contains(part) => Ok(()),
            other => Err(format!("{other:?}\n{}", world.log())),
        }
    })
    .await;
}

/// What the server at this address answers.
pub(super) fn get(address: &str, path: &str) -> (u16, String) {
    let address = address.parse().expect("an address");
    let asked = Client::connect(address).and_then(|mut client| client.get("any", path, &[]));
    let answer = asked.unwrap_or_else(|error| panic!("{address}{path}: {error}"));
    (answer.status, answer.body)
}

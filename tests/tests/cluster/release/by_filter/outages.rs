//! What the filter needs is away, or the filter itself: traffic goes on, to stable where in doubt, and
//! everything heals without a hand.

use serde_json::Value;
use serin_tests::cluster::network::NODE;
use serin_tests::cluster::{Cluster, Process, wait_for};
use serin_tests::local::binary;
use serin_tests::trap::with_a_trap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::super::flow::no_failure;
use super::super::manifests::rollout;
use super::shop::{Setup, Shop, to_weights};
use super::users;
use crate::account::token;
use crate::shop::{AFTER_AN_OUTAGE, PATIENCE};
use crate::trial::trials;

trials![
    two_leaders_for_a_moment_never_go_back,
    a_module_that_cannot_be_had_is_told_of_and_had_once_it_can_be,
    a_filter_that_is_lost_on_a_worker_is_seen_and_healed,
    what_is_uninstalled_leaves_nothing;
    alone: an_abort_reaches_ten_proxies_in_no_time,
    neither_istiod_nor_the_controller_is_missed_while_they_are_away,
];

/// Whether the status tells of this.
fn tells(rollout: &Value, what: &str) -> bool {
    let message = rollout["status"]["message"].as_str();
    message.is_some_and(|message| message.contains(what))
}

async fn a_module_that_cannot_be_had_is_told_of_and_had_once_it_can_be(cluster: &Cluster) {
    let port = cluster.port();
    let setup = Setup {
        deadline: 2,
        module: Some(port),
        ..Setup::default()
    };
    let shop = Shop::open(cluster, "unreachable", setup).await;
    let world = &shop.world;
    let canary = to_weights(&[50]);
    shop.stand("v1", &canary).await;
    let sending = shop.send();
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    // Nobody answers at that port.
    let told = world.until("both proxies are told of", |rollout| {
        tells(rollout, "2 proxies do not run generation") && tells(rollout, "/door (runs none)")
    });
    let told = told.await;
    assert_eq!(told["status"]["canary"]["weights"]["verified"], false);
    assert_eq!(
        told["status"]["currentStepIndex"], 0,
        "the step is not complete"
    );
    shop.until_all_answer("v1").await;
    let wrong = Wrong::serve(port);
    wait_for(
        "somebody fetched the wrong module",
        PATIENCE,
        async || match wrong.served.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(world.log()),
        },
    )
    .await;
    shop.until_all_answer("v1").await;
    drop(wrong);
    let _replica = replica(&shop, port).await;
    // The agent may hand on that an earlier fetch failed when a later one has succeeded: that heals too.
    for way in shop.ways() {
        way.until_share("v2", 0.3..0.7).await;
    }
    shop.until_weight_is(50).await;
    sending.into_iter().for_each(no_failure);
}

/// Another controller of the same version, which looks after nothing here.
async fn replica(shop: &Shop<'_>, port: u16) -> Process {
    let cluster = shop.world.cluster;
    let kubeconfig = cluster.kubeconfig_of(&token(cluster).await);
    let listen = format!("{NODE}:{port}");
    let arguments = [
        "controller",
        "--kubeconfig",
        kubeconfig.to_str().expect("is text"),
        "--namespace",
        "default",
        "--leader-elect=false",
        "--listen",
        &listen,
    ];
    let log = format!("{}/replica", shop.world.namespace);
    let program = binary("serin").display().to_string();
    cluster.start_program(&log, &program, &arguments, &[]).await
}

/// Answers everybody with a module that is not the one. Dropped, it stops.
struct Wrong {
    served: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Wrong {
    fn serve(port: u16) -> Wrong {
        let (served, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let listener = TcpListener::bind((NODE, port)).expect("the port is free");
        listener.set_nonblocking(true).expect("may be asked");
        let (told, asked) = (served.clone(), stop.clone());
        let thread = thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(20));
                    continue;
                };
                let answer =
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong";
                let mut request = [0; 1_024];
                // Whoever hangs up early asks again.
                let _ = stream.set_nonblocking(false);
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
                told.store(true, Ordering::Relaxed);
            }
        });
        Wrong {
            served,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("its thread ends");
        }
    }
}

async fn a_filter_that_is_lost_on_a_worker_is_seen_and_healed(cluster: &Cluster) {
    let setup = Setup {
        deadline: 2,
        ..Setup::default()
    };
    let shop = Shop::open(cluster, "trap", setup).await;
    let world = &shop.world;
    let canary = to_weights(&[50, 60]);
    shop.stand("v1", &canary).await;
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    shop.until_weight_is(50).await;
    let caller = shop.callers_way();
    let sending = shop.ways().remove(0).send();
    // The next configuration brings the module that the agent has kept.
    let modules = caller.proxy.modules();
    assert_eq!(modules.len(), 1, "{modules:?}");
    let whole = fs::read(&modules[0]).expect("the module");
    let trap = with_a_trap(&whole, "proxy_on_request_headers");
    fs::write(&modules[0], trap).expect("may be written");
    world.plugin(&["promote", "shop"]);
    wait_for(
        "a request has met the trap",
        PATIENCE,
        async || match caller.proxy.get(80, &caller.host, "/") {
            Ok(answer) if answer.status == 503 => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    caller.until("v1").await;
    // The status tells it only until it is told anew.
    wait_for("the caller is told of", PATIENCE, async || {
        let events = world.get("/apis/events.k8s.io/v1", "events").await;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let mut notes = events.iter().filter_map(|event| event["note"].as_str());
        match notes.any(|note| note.starts_with("1 proxy") && note.contains("/caller-1 (")) {
            true => Ok(()),
            false => Err(world.log()),
        }
    })
    .await;
    fs::write(&modules[0], whole).expect("may be written");
    // A configuration that came before the file was whole has one more trap in it.
    caller.until_share("v2", 0.3..0.9).await;
    shop.until_weight_is(60).await;
    no_failure(sending);
}

async fn two_leaders_for_a_moment_never_go_back(cluster: &Cluster) {
    let mut shop = Shop::open(cluster, "leaders", Setup::default()).await;
    let canary = to_weights(&[20, 40, 60, 80]);
    shop.stand("v1", &canary).await;
    let sending = shop.send();
    let _second = shop.second_controller().await;
    let stop = AtomicBool::new(false);
    let watching = async {
        let mut seen = vec![0];
        while !stop.load(Ordering::Relaxed) {
            let generation = shop.generation().await;
            let last = seen.last().copied().unwrap_or_default();
            assert!(generation >= last, "{seen:?}, then {generation}");
            if generation > last {
                seen.push(generation);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    };
    let releasing = async {
        let world = &shop.world;
        world.apply(&rollout("v2", 1, &canary).to_string()).await;
        for weight in [20, 40, 60, 80] {
            shop.until_weight_is(weight).await;
            if weight == 40 {
                // Neither sees the object any more, and both find it all the same.
                shop.unlabel().await;
            }
            world.plugin(&["promote", "shop"]);
        }
        world.until_phase("Healthy").await;
        shop.until_at_rest().await;
        stop.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = futures::join!(watching, releasing);
    // Four weights, the end, and rest; what both found out at once may be written once more.
    assert!((6..=14).contains(&(seen.len() - 1)), "{seen:?}");
    shop.until_all_answer("v2").await;
    sending.into_iter().for_each(no_failure);
}

async fn what_is_uninstalled_leaves_nothing(cluster: &Cluster) {
    let shop = Shop::open(cluster, "uninstall", Setup::default()).await;
    let mut shop = shop;
    let canary = to_weights(&[50]);
    shop.stand("v1", &canary).await;
    shop.world
        .apply(&rollout("v2", 1, &canary).to_string())
        .await;
    shop.until_weight_is(50).await;
    let sending = shop.send();
    shop.world.plugin(&["abort", "shop"]);
    shop.world.until_phase("Degraded").await;
    shop.until_weight_is(0).await;
    shop.world.kill().await;
    // As the README has it: first the filter's place, for proxies keep a configuration that goes.
    let place = format!("metadata.name=serin-filter-{}", shop.world.namespace);
    shop.delete_own(&place).await;
    for way in shop.ways() {
        crate::mesh::until_filter_is(&way.proxy, false).await;
    }
    shop.delete_own("").await;
    let world = &shop.world;
    for kind in ["envoyfilters", "virtualservices", "telemetries"] {
        let group = match kind {
            "telemetries" => "/apis/telemetry.istio.io/v1",
            "envoyfilters" => "/apis/networking.istio.io/v1alpha3",
            _ => "/apis/networking.istio.io/v1",
        };
        let list = world.get(group, kind).await;
        let items = list["items"].as_array().expect("a list");
        let own = items.iter().filter(|item| {
            let name = item["metadata"]["name"].as_str();
            name.is_some_and(|name| name.starts_with("serin-"))
        });
        assert_eq!(own.count(), 0, "{kind}: {list}");
    }
    shop.until_all_answer("v1").await;
    // A listener that is drained keeps its filters for as long as that takes.
    wait_for("no proxy knows of a filter", 2 * PATIENCE, async || {
        let known = shop.ways().into_iter().find(|way| {
            let dump = way.proxy.admin("/config_dump");
            let names = ["serin-source", "serin-destination"];
            dump.map_or(true, |dump| {
                names.iter().any(|name| dump.body.contains(name))
            })
        });
        known.map_or(Ok(()), |way| Err(way.host))
    })
    .await;
    sending.into_iter().for_each(no_failure);
}

async fn an_abort_reaches_ten_proxies_in_no_time(cluster: &Cluster) {
    let setup = Setup {
        callers: 9,
        ..Setup::default()
    };
    let shop = Shop::open(cluster, "ten", setup).await;
    let world = &shop.world;
    let canary = to_weights(&[50]);
    shop.stand("v1", &canary).await;
    let sending = shop.send();
    world.apply(&rollout("v2", 1, &canary).to_string()).await;
    shop.until_weight_is(50).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.plugin(&["abort", "shop"]);
    let asked = Instant::now();
    shop.until_weight_is(0).await;
    let known = asked.elapsed();
    world.until_phase("Degraded").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = sending.iter().filter_map(|sending| {
        let outcome = sending.so_far();
        let canary = outcome
            .answers
            .iter()
            .filter(|answer| answer.version == "v2");
        canary.map(|answer| answer.at).max()
    });
    let lasts: Vec<Instant> = last.collect();
    assert_eq!(lasts.len(), 10, "the canary answered through each proxy");
    let last = lasts.into_iter().max().expect("ten");
    println!(
        "ten proxies: the last request reached the canary {:?} after the abort, all proxies were \
         known to send none {known:?} after it",
        last.saturating_duration_since(asked)
    );
    sending.into_iter().for_each(no_failure);
}

async fn neither_istiod_nor_the_controller_is_missed_while_they_are_away(cluster: &Cluster) {
    let shop = Shop::open(cluster, "away", Setup::default()).await;
    let mut shop = shop;
    let canary = to_weights(&[50, 100]);
    shop.stand("v1", &canary).await;
    let sending = shop.send();
    shop.world
        .apply(&rollout("v2", 1, &canary).to_string())
        .await;
    shop.until_weight_is(50).await;

    // Another begins in the middle of a step: it asks who runs what was written before it.
    shop.world.plugin(&["abort", "shop"]);
    shop.world.until_phase("Degraded").await;
    shop.until_weight_is(0).await;
    shop.until_at_rest().await;
    let generation = shop.generation().await;
    shop.world.plugin(&["retry", "rollout", "shop"]);
    wait_for("it is written", PATIENCE, async || {
        match shop.generation().await > generation {
            true => Ok(()),
            false => Err(shop.world.log()),
        }
    })
    .await;
    shop.world.kill().await;
    shop.world.start().await;
    shop.until_weight_is(50).await;
    let generation = shop.generation().await;

    shop.world.kill().await;
    for way in shop.ways() {
        let share = way.share("v2", users()).await;
        assert!((0.3..0.7).contains(&share), "without a controller: {share}");
    }
    cluster.stop_istiod().await;
    for way in shop.ways() {
        let share = way.share("v2", users()).await;
        assert!((0.3..0.7).contains(&share), "without istiod: {share}");
    }
    shop.world.start().await;
    shop.world.web(2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        shop.generation().await,
        generation,
        "it goes on where it stood"
    );
    shop.world.plugin(&["promote", "shop"]);
    let told = shop.world.until("the proxies are told of", |rollout| {
        tells(rollout, "2 proxies do not run generation")
    });
    assert_eq!(
        told.await["status"]["currentStepIndex"],
        2,
        "the step is not complete"
    );
    for way in shop.ways() {
        let share = way.share("v2", users()).await;
        assert!((0.3..0.7).contains(&share), "they cannot know: {share}");
    }
    cluster.start_istiod().await;
    let all = |rollout: &Value| {
        let weights = &rollout["status"]["canary"]["weights"];
        weights["canary"]["weight"] == 100 && weights["verified"] == true
    };
    shop.world
        .until_within("all get the canary", AFTER_AN_OUTAGE, all)
        .await;
    shop.until_all_answer("v2").await;
    shop.world.plugin(&["promote", "shop"]);
    shop.world.until_phase("Healthy").await;
    sending.into_iter().for_each(no_failure);
}

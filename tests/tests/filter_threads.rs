//! On how many threads a real Envoy runs the filter. One that trapped is gone from its thread without
//! a word, and requests there go to stable; the gauge says so.

use serde_json::{Value, json};
use serin_core::wire::FilterConfig;
use serin_tests::client::Client;
use serin_tests::envoy::{Envoy, Setup};
use serin_tests::trap::with_a_trap;

fn config(generation: u64, in_flight: bool) -> FilterConfig {
    let rules = match in_flight {
        true => json!([{
            "rollout": "shop", "namespace": "web", "service": "shop", "hosts": ["shop"],
            "stable": "aaa",
            "canary": {"revision": "bbb", "weightBp": 10_000, "salt": "web/shop/bbb"},
        }]),
        false => Value::Array(Vec::new()),
    };
    let document = json!({
        "version": 1, "generation": generation, "name": "gateway", "role": "source",
        "proxy": {"workload": "gateway", "namespace": "web"}, "rules": rules,
    });
    FilterConfig::from_json(document.to_string().as_bytes()).expect("is accepted")
}

/// Waits until this generation runs on so many threads.
fn until(envoy: &Envoy, generation: u64, threads: f64) {
    envoy.until(&format!("generation {generation} on {threads}"), || {
        envoy.statistic("serin_filter_threads") == [threads]
            && envoy.statistic("serin_config_generation") == [generation as f64]
    });
}

/// The workers and the main thread, which has a VM that no request comes to.
fn all(envoy: &Envoy) -> f64 {
    envoy.statistic("server.concurrency").iter().sum::<f64>() + 1.0
}

#[test]
fn all_workers_and_the_main_thread_are_counted() {
    let envoy = Envoy::start(&config(1, true));
    assert_eq!(all(&envoy), 3.0);
    for generation in 1..10 {
        envoy.configure(&config(generation, true));
        until(&envoy, generation, 3.0);
    }
}

#[test]
fn a_trap_is_seen_until_a_new_generation_heals_it() {
    let module = with_a_trap(serin_filter_module::MODULE, "proxy_on_request_headers");
    let setup = Setup {
        module: &module,
        ..Setup::default()
    };
    // The requests that wait for Envoy must not trap.
    let envoy = Envoy::start_with(&config(1, false), &setup);
    for generation in [2, 3] {
        envoy.configure(&config(generation, true));
        until(&envoy, generation, 3.0);
        // All requests of a connection are one worker's.
        let mut client = Client::connect(envoy.listener).expect("it listens");
        let mut get = || client.get("shop", "/", &[]).expect("is answered");
        assert_eq!(get().status, 503, "the one that trapped");
        until(&envoy, generation, 2.0);
        assert_eq!(get().replica_set(), "stable-0");
    }
}

//! Between releases Envoy runs no VM: the real Envoy comes and goes between both without a request
//! lost.

use serde_json::{Value, json};
use serin_core::wire::FilterConfig;
use serin_tests::envoy::Envoy;
use serin_tests::load::{self, Ends};
use std::sync::atomic::AtomicBool;
use std::thread;

/// A release that sends everybody to the canary, or none.
fn config(generation: u64, in_flight: bool) -> FilterConfig {
    let rules = match in_flight {
        true => json!([{
            "rollout": "shop", "namespace": "default", "service": "shop", "hosts": ["shop"],
            "stable": "aaa",
            "canary": {"revision": "bbb", "weightBp": 10_000, "salt": "default/shop/bbb"},
        }]),
        false => Value::Array(Vec::new()),
    };
    let document = json!({
        "version": 1, "generation": generation, "name": "gateway", "role": "source",
        "proxy": {"workload": "gateway", "namespace": "default"}, "rules": rules,
    });
    FilterConfig::from_json(document.to_string().as_bytes()).expect("is accepted")
}

const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";

fn vms(envoy: &Envoy) -> f64 {
    envoy.statistic(VMS).iter().sum()
}

#[test]
fn releases_come_and_go_under_load_and_no_vm_is_left_between_them() {
    let envoy = Envoy::start(&config(1, false));
    assert_eq!(vms(&envoy), 0.0, "before the first release");
    let stop = AtomicBool::new(false);
    let tally = thread::scope(|scope| {
        let load = scope.spawn(|| load::send_until(envoy.listener, "shop", 4, &stop, &|_| vec![]));
        let load_ends = Ends(&stop);
        for generation in (2..22_u64).step_by(2) {
            envoy.configure(&config(generation, true));
            envoy.until("the release is in flight", || {
                envoy.statistic("serin_config_generation") == [generation as f64]
            });
            let canary = load::send(envoy.listener, "shop", 2, 50, &|_| vec![]);
            assert_eq!((canary.of("canary-0"), canary.bad()), (50, 0), "{canary:?}");
            assert!(vms(&envoy) > 0.0);

            envoy.configure(&config(generation + 1, false));
            envoy.until("no VM is left", || vms(&envoy) == 0.0);
            let stable = load::send(envoy.listener, "shop", 2, 50, &|_| vec![]);
            assert_eq!((stable.of("stable-0"), stable.bad()), (50, 0), "{stable:?}");
        }
        drop(load_ends);
        load.join().expect("the load ends")
    });
    assert_eq!((tally.failures.len(), tally.bad()), (0, 0), "{tally:?}");
    assert!(tally.of("stable-0") > 100, "{tally:?}");
    assert!(tally.of("canary-0") > 100, "{tally:?}");
    assert_eq!(envoy.statistic("listener_manager.listener_modified"), [0.0]);
}

//! How many threads of an Envoy run the filter, as its VMs tell one another.

use serde_json::json;
use serin_tests::wasm_host::Proxy;

const THREADS: &str = "serin_filter_threads";
const SECOND: u64 = 1_000_000_000;

fn config(name: &str, generation: u64) -> String {
    json!({
        "version": 1, "generation": generation, "name": name, "role": "source",
        "proxy": {"workload": "gateway", "namespace": "shop"},
        "rules": [{
            "rollout": "shop", "namespace": "web", "service": "shop", "hosts": ["shop"],
            "stable": "aaa",
        }],
    })
    .to_string()
}

/// The VMs of one Envoy, each with its root.
struct Vms(Vec<(Proxy, u32)>);

impl Vms {
    fn start(number: usize) -> Vms {
        let mut vms = Vms(Vec::new());
        for _ in 0..number {
            vms.join();
        }
        vms
    }

    /// One more, which will tick last.
    fn join(&mut self) {
        let mut vm = match self.0.first_mut() {
            Some((first, _)) => Proxy::beside(first),
            None => Proxy::start(),
        };
        let root = vm.configure(config("a", 1).as_bytes());
        self.0.push((vm, root.expect("is accepted")));
    }

    /// All tick at this second, one after the other.
    fn tick_at(&mut self, second: u64) {
        for (vm, root) in &mut self.0 {
            vm.world().now = second * SECOND;
            vm.tick(*root);
        }
    }

    /// What the one that ticked last shows: in Envoy all write the same gauge.
    fn shown(&mut self) -> u64 {
        let (vm, _) = self.0.last_mut().expect("a VM");
        vm.sum(THREADS, &[("config", "a")])
    }
}

#[test]
fn each_vm_counts_once_however_often_it_ticks() {
    let mut vms = Vms::start(5);
    for second in 1..20 {
        vms.tick_at(second);
        assert_eq!(vms.shown(), 5, "after {second} s");
    }
}

#[test]
fn one_that_trapped_is_not_counted_for_long() {
    let mut vms = Vms::start(3);
    vms.tick_at(1);
    vms.0.remove(0);
    vms.tick_at(6);
    assert_eq!(vms.shown(), 3, "it may be late");
    vms.tick_at(7);
    assert_eq!(vms.shown(), 2);
    vms.join(); // in its place
    vms.tick_at(8);
    assert_eq!(vms.shown(), 3);
}

#[test]
fn one_that_was_only_late_is_counted_again() {
    let mut vms = Vms::start(2);
    vms.tick_at(1);
    let (mut late, root) = vms.0.remove(0);
    vms.tick_at(30);
    assert_eq!(vms.shown(), 1);
    late.world().now = 30 * SECOND;
    late.tick(root);
    vms.tick_at(31);
    assert_eq!(vms.shown(), 2);
}

#[test]
fn only_those_with_the_newest_generation_count() {
    let mut vms = Vms::start(3);
    vms.tick_at(1);
    let last = vms.0.last_mut().expect("a VM");
    last.1 = last
        .0
        .configure(config("a", 2).as_bytes())
        .expect("is accepted");
    vms.tick_at(2);
    assert_eq!(vms.shown(), 1, "two are still to come");
    for (vm, root) in &mut vms.0 {
        *root = vm
            .configure(config("a", 2).as_bytes())
            .expect("is accepted");
    }
    vms.tick_at(3);
    assert_eq!(vms.shown(), 3);
}

#[test]
fn the_threads_are_shown_before_the_generation() {
    let mut vms = Vms::start(1);
    vms.tick_at(1);
    let (vm, _) = &mut vms.0[0];
    let names: Vec<&str> = vm
        .world()
        .metrics
        .iter()
        .filter_map(|metric| metric.name.rsplit(";.;").next())
        .collect();
    assert_eq!(names[..2], [THREADS, "serin_config_generation"]);
}

#[test]
fn each_configuration_has_its_own_threads() {
    let mut vms = Vms::start(2);
    let (vm, _) = vms.0.last_mut().expect("a VM");
    let other = vm.configure(config("b", 9).as_bytes());
    let other = other.expect("is accepted");
    vms.tick_at(1);
    let (vm, root) = vms.0.last_mut().expect("a VM");
    vm.tick(other);
    vm.tick(*root);
    assert_eq!(vm.sum(THREADS, &[("config", "a")]), 2);
    assert_eq!(vm.sum(THREADS, &[("config", "b")]), 1);
    assert_eq!(vm.defined_again(), [""; 0]);
}

#[test]
fn whatever_is_in_the_place_of_the_table_goes_away() {
    let large = [7; 100_000];
    for garbage in [&[][..], b"x", &[0xff; 8], &[0xff; 33], &large] {
        let mut vms = Vms::start(2);
        vms.tick_at(1);
        let (vm, _) = &mut vms.0[0];
        for (value, _) in vm.world().shared.lock().expect("is whole").values_mut() {
            *value = garbage.to_vec();
        }
        vms.tick_at(2);
        vms.join();
        vms.join();
        vms.tick_at(3);
        assert_eq!(vms.shown(), 4, "{} bytes", garbage.len());
    }
}

#[test]
fn a_vm_that_others_outrun_gives_up_until_its_next_tick() {
    let mut vms = Vms::start(1);
    let (vm, root) = &mut vms.0[0];
    vm.world().failing.insert("proxy_set_shared_data", 8);
    vm.tick(*root);
    let tries = vm.world().calls["proxy_set_shared_data"];
    assert!((2..100).contains(&tries), "{tries}");
    assert_eq!(vm.sum("serin_config_generation", &[]), 1);
    assert_eq!(vm.sum("serin_host_errors_total", &[]), 0);
    vm.world().failing.clear();
    vms.tick_at(1);
    assert_eq!(vms.shown(), 1);
}

#[test]
fn a_host_that_shares_nothing_costs_no_more_than_the_gauge() {
    for call in ["proxy_get_shared_data", "proxy_set_shared_data"] {
        let mut vms = Vms::start(1);
        vms.0[0].0.world().failing.insert(call, 12);
        vms.tick_at(1);
        let (vm, root) = &mut vms.0[0];
        assert_eq!(vm.sum("serin_config_generation", &[]), 1);
        assert_eq!(vm.sum(THREADS, &[]), 0);
        assert_eq!(vm.world().ticks[root], SECOND as u32 / 1_000_000);
    }
}

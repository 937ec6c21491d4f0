//! Without the filter, or with a broken one, everybody gets stable.

use serde_json::json;
use serin_core::step::Phase;
use serin_tests::load;
use serin_tests::local::Local;
use serin_tests::manifest::App;
use std::fs;
use std::process::Command;

/// Version 2 at half the traffic as far as the filter has a say, which it has not.
fn all_reach_stable(module: &[u8]) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("module.wasm");
    fs::write(&path, module).expect("a module");
    let mut app = App::new(
        "shop",
        &["--version", "1"],
        json!([{"setWeight": 5000}, {"pause": {}}]),
    );
    let path = path.to_string_lossy();
    let local = Local::start_with(&[("shop.yaml", app.text())], &["--filter", &path]);
    let serves = |local: &Local| {
        let header: load::Headers<'_> = &|_| vec![("x-serin-variant", "canary".to_string())];
        load::send(local.gateway, "shop", 2, 200, header)
    };
    local.until("shop", "pods are there", |view| {
        view.revisions
            .iter()
            .any(|r| r.pods.iter().any(|pod| pod.ready))
    });
    app.args = vec!["--version".into(), "2".into()];
    local.edit("shop.yaml", &app.text());
    let view = local.until("shop", "the canary is there", |view| {
        view.revisions.len() == 2
            && view
                .revisions
                .iter()
                .all(|r| r.pods.iter().any(|pod| pod.ready))
    });
    let stable = view
        .revisions
        .iter()
        .find(|r| r.number == 1)
        .expect("the first revision");
    local.until_reachable("shop");
    let tally = serves(&local);
    assert_eq!(
        (tally.of(&stable.replica_set), tally.bad()),
        (200, 0),
        "{tally:?}"
    );
    let view = local.view("shop").expect("it answers");
    assert_ne!(
        view.phase,
        Phase::Healthy,
        "no proxy runs the wanted traffic"
    );
    assert_eq!(view.actual_weight_bp, 0);
}

#[test]
fn a_module_that_is_no_module_leaves_everybody_on_stable() {
    all_reach_stable(b"this is no WebAssembly module");
}

#[test]
fn a_module_cut_short_leaves_everybody_on_stable() {
    let module = serin_filter_module::MODULE;
    all_reach_stable(&module[..module.len() / 2]);
}

#[test]
fn an_envoy_that_does_not_find_the_module_leaves_everybody_on_stable() {
    let steps = json!([{"setWeight": 5000}, {"pause": {}}]);
    let mut app = App::new("shop", &["--version", "1"], steps);
    let local = Local::start(&[("shop.yaml", app.text())]);
    local.until_healthy("shop");
    app.args = vec!["--version".into(), "2".into()];
    local.edit("shop.yaml", &app.text());
    local.until_paused_at("shop", 1);
    for entry in fs::read_dir(local.state().join("envoy"))
        .expect("Envoy's files")
        .flatten()
    {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            fs::remove_file(entry.path()).expect("the module goes");
        }
    }
    let envoy = local
        .processes()
        .into_iter()
        .find(|line| line.contains("bootstrap.json"));
    let envoy = envoy.expect("Envoy runs");
    let pid = envoy.split(' ').next().expect("its number");
    let killed = Command::new("kill").args(["-9", pid]).status();
    assert!(killed.expect("kill runs").success());
    let stable = local.view("shop").expect("it answers").revisions[1]
        .replica_set
        .clone();
    local.until_reachable("shop");
    let tally = load::send(local.gateway, "shop", 2, 200, &|_| Vec::new());
    assert_eq!((tally.of(&stable), tally.bad()), (200, 0), "{tally:?}");
}

use std::fs;

use serin_core::step::Phase;
use serin_core::time::Timestamp;

use super::*;
use crate::view::{Replicas, Strategy};

#[test]
fn views_asked_for_after_an_edit_are_never_those_of_the_files_before() {
    let dir = std::env::temp_dir().join(format!("serin-desk-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("shop.yaml"), "a: 1").unwrap();
    let (desk, counter) = open();
    let read = || {
        Some(Files {
            dir: dir.clone(),
            fingerprint: fingerprint(&manifest::texts(&dir).unwrap()),
        })
    };
    let show = |stale, files| {
        let views = vec![view(Phase::Healthy, stale)];
        counter.views.send_replace(Board { views, files });
    };
    let stale = || desk.views().remove(0).stale;
    let reading = || Some(Stale::Changed("they are being read".into()));

    let first = read();
    show(None, first.clone());
    assert_eq!(stale(), None);
    fs::write(dir.join("shop.yaml"), "a: 2").unwrap();
    assert_eq!(stale(), reading());

    let refused = Some(Stale::Refused("a: is 2".into()));
    show(refused.clone(), read());
    assert_eq!(stale(), refused);
    fs::write(dir.join("shop.yaml"), "a: 3").unwrap();
    assert_eq!(stale(), reading());

    let waits = Some(Stale::Changed("default/shop is missing".into()));
    show(waits.clone(), first);
    assert_eq!(stale(), waits);
    fs::remove_dir_all(&dir).unwrap();
}

fn open() -> (Desk, Counter) {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    Desk::open(Doors {
        gateway: nowhere,
        prometheus: nowhere,
        envoy_admin: nowhere,
    })
}

fn view(phase: Phase, stale: Option<Stale>) -> RolloutView {
    RolloutView {
        name: "shop".into(),
        namespace: "default".into(),
        phase,
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
        gateway: String::new(),
        stale,
    }
}

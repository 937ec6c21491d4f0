use serin_core::time::Timestamp;

use super::*;
use crate::view::{Replicas, Strategy};

#[test]
fn a_watch_ends_with_a_release_of_the_files_as_they_are() {
    let changed = || Some(Stale::Changed("they are being read".into()));
    let refused = || Some(Stale::Refused("spec.replicas: is -1".into()));
    for (phase, stale, watch, expected) in [
        (Phase::Healthy, None, true, Some(true)),
        (Phase::Degraded, None, true, Some(false)),
        (Phase::Paused, None, true, None),
        (Phase::Paused, None, false, Some(true)),
        (Phase::Healthy, changed(), true, None),
        (Phase::Degraded, changed(), true, None),
        (Phase::Healthy, changed(), false, Some(true)),
        (Phase::Healthy, refused(), true, Some(false)),
        (Phase::Healthy, refused(), false, Some(false)),
    ] {
        let view = view(phase, stale);
        assert_eq!(judge(&view, watch), expected, "{view:?} {watch}");
    }
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

use serin_core::step::{Phase, RunPhase};

use super::*;
use crate::view::{PodView, Replicas, RunView, SetHealth, Stale, StepView};

#[test]
fn a_release_that_waits_is_shown_with_its_steps_and_its_tree() {
    let expected = "\
Name:            shop
Namespace:       default
Status:          ॥ Paused
Message:         CanaryPauseStep
Strategy:        Canary
  Step:          1/3
  SetWeight:     0.05
  ActualWeight:  0.05
  HeaderRoutes:  by-header
Images:          shop:2 (canary)
                 shop:1 (stable)
Gateway:         http://127.0.0.1:8080
Replicas:
  Desired:       2
  Current:       3
  Updated:       1
  Ready:         2
  Available:     2

STEPS
  ✔ 1  setWeight: 0.05
  ॥ 2  pause: until promoted
  • 3  setWeight: 100

NAME                             KIND         STATUS         AGE  INFO
⟳ shop                           Rollout      ॥ Paused       10m
├──# revision:2
│  ├──⧉ shop-bbb                 ReplicaSet   ◌ Progressing  60s  canary
│  │  └──□ shop-bbb-1            Pod          ◌ Pending      60s  ready:0/1,restarts:1
│  └──α shop-bbb-2-1             AnalysisRun  ? Inconclusive 60s  ✔ 4,✖ 3,? 2,⚠ 1
└──# revision:1
   └──⧉ shop-aaa                 ReplicaSet   ✔ Healthy      10m  stable,delay:30s
      ├──□ shop-aaa-1            Pod          ✔ Running      10m  ready:1/1
      └──□ shop-aaa-2            Pod          ✔ Running      10m  ready:1/1
";
    let text = rollout(&waiting(), NOW, Paint::PLAIN);
    assert_eq!(spaced(&text), spaced(expected), "{text}");
}

#[test]
fn the_last_column_starts_at_one_place_whatever_the_signs_before_it() {
    let text = rollout(&waiting(), NOW, Paint::PLAIN);
    let tree = text.lines().skip_while(|line| !line.starts_with("NAME "));
    let places: Vec<usize> = tree
        .filter_map(|line| {
            line.find("Pod ")
                .or(line.find("ReplicaSet "))
                .map(|at| (line, at))
        })
        .map(|(line, at)| line[..at].width())
        .collect();
    assert_eq!(places.len(), 5, "{text}");
    assert!(places.iter().all(|at| *at == places[0]), "{text}");
}

#[test]
fn nothing_is_shown_as_if_files_that_are_not_in_force_were() {
    let mut view = waiting();
    view.stale = Some(Stale::Refused("spec.replicas: is -1".into()));
    let shown = rollout(&view, NOW, Paint::PLAIN);
    assert!(shown.contains("Files:           refused: spec.replicas: is -1\n"));
    assert!(list(&[view.clone()], false).contains("Paused (files refused)"));
    assert!(change(&view, Paint::PLAIN).ends_with(", files refused"));
    view.stale = Some(Stale::Changed("they are being read".into()));
    assert!(list(&[view], false).contains("Paused (files changed)"));
}

#[test]
fn colours_change_no_text() {
    let painted = rollout(&waiting(), NOW, Paint::COLOUR);
    let mut plain = String::new();
    for (i, part) in painted.split('\x1b').enumerate() {
        let text = part
            .split_once('m')
            .filter(|_| i > 0)
            .map_or(part, |(_, text)| text);
        plain.push_str(text);
    }
    assert_ne!(painted, plain);
    assert_eq!(plain, rollout(&waiting(), NOW, Paint::PLAIN));
}

#[test]
fn a_set_without_pods_is_scaled_down() {
    let mut view = waiting();
    view.revisions[1].pods.clear();
    view.revisions[1].desired = 0;
    view.revisions[1].health = SetHealth::of(0, &[]);
    view.revisions[1].role = None;
    let text = rollout(&view, NOW, Paint::PLAIN);
    let line = text.lines().find(|line| line.contains("shop-aaa")).unwrap();
    assert_eq!(spaced(line), "└──⧉ shop-aaa ReplicaSet • ScaledDown 10m");
    assert!(!text.contains("shop:1"), "{text}");
}

#[test]
fn a_pod_of_several_containers_is_shown_with_all_of_them() {
    let mut view = waiting();
    let stable = &mut view.revisions[1];
    stable.images = vec!["shop:1".into(), "mesh:7".into(), "mesh:7".into()];
    stable.pods[0].containers = 3;
    stable.scale_down_at = Some(NOW);
    let text = spaced(&rollout(&view, NOW, Paint::PLAIN));
    assert!(
        text.contains("shop:1 (stable)\nmesh:7 (stable)\nGateway"),
        "{text}"
    );
    assert!(text.contains("ready:1/3"), "{text}");
    assert!(text.contains("stable,delay:passed"), "{text}");
}

#[test]
fn a_run_outlives_its_replica_set() {
    let mut view = waiting();
    let canary = &mut view.revisions[0];
    canary.replica_set.clear();
    canary.pods.clear();
    let text = spaced(&rollout(&view, NOW, Paint::PLAIN));
    let expected = "├──# revision:2\n│ └──α shop-bbb-2-1 AnalysisRun";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_run_under_way_says_how_it_stands() {
    let mut view = waiting();
    let run = &mut view.revisions[0].runs[0];
    run.phase = RunPhase::Running;
    run.message = "judge: needs about 1,900 more requests: 6 min at this rate (1 of 310 against 9 \
                   of 2,800)"
        .into();
    let without = {
        let mut view = view.clone();
        view.revisions[0].runs[0].message.clear();
        rollout(&view, NOW, Paint::PLAIN)
    };
    let text = rollout(&view, NOW, Paint::PLAIN);
    let said = "│     judge: needs about 1,900 more requests: 6 min at this rate (1 of 310 against 9 of \
                2,800)\n";
    assert!(text.contains(said), "{text}");
    // However long it is, no column moves.
    assert_eq!(text.replace(said, ""), without);

    let run = &mut view.revisions[0].runs[0];
    run.phase = RunPhase::Failed;
    assert!(!rollout(&view, NOW, Paint::PLAIN).contains("judge:"));
}

#[test]
fn another_strategy_has_no_weights() {
    let mut view = waiting();
    view.strategy = Strategy::BlueGreen;
    view.steps.clear();
    let text = rollout(&view, NOW, Paint::PLAIN);
    assert!(text.contains("Strategy:        BlueGreen\n"), "{text}");
    assert!(!text.contains("Weight:"), "{text}");
    let table = spaced(&list(&[view], false));
    assert!(
        table.contains("shop BlueGreen Paused - - 2/3 2 1 2"),
        "{table}"
    );
}

#[test]
fn what_a_pod_lacks_is_seen_by_its_sign() {
    for (status, sign) in [
        ("Running", "✔"),
        ("Init:0/1", "◌"),
        ("ContainerCreating", "◌"),
        ("ImagePullBackOff", "⚠"),
        ("ErrImagePull", "⚠"),
        ("Error", "⚠"),
        ("Error: exit status 1", "✖"),
        ("CrashLoopBackOff", "✖"),
        ("ExitCode:3", "✖"),
        ("SchedulingGated", "?"),
    ] {
        let pod = PodView {
            status: status.into(),
            ..pod("shop-1", 1)
        };
        assert_eq!(symbol::pod(&pod).0, sign, "{status}");
    }
}

#[test]
fn the_step_at_which_a_release_is_stuck_is_marked_and_none_after_an_abort() {
    let mut view = waiting();
    view.phase = Phase::Degraded;
    assert!(rollout(&view, NOW, Paint::PLAIN).contains("  ✖ 2  pause: until promoted\n"));
    view.step_index = 0;
    assert!(rollout(&view, NOW, Paint::PLAIN).contains("  • 1  setWeight: 0.05\n"));
}

#[test]
fn a_list_has_a_line_for_each() {
    let expected = "\
NAMESPACE  NAME  STRATEGY  STATUS       STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE
default    shop  Canary    Paused       1/3   0.05        2/3    2        1           2
";
    assert_eq!(list(&[waiting()], true), expected);
    assert!(list(&[waiting()], false).starts_with("NAME  STRATEGY"));
}

#[test]
fn a_status_is_one_line() {
    let mut view = waiting();
    assert_eq!(status(&view), "Paused - CanaryPauseStep");
    view.message.clear();
    view.phase = Phase::Healthy;
    assert_eq!(status(&view), "Healthy");
}

#[test]
fn weights_are_as_exact_as_they_are() {
    let cases = [
        (0, "0"),
        (5, "0.05"),
        (10, "0.1"),
        (2_000, "20"),
        (3_333, "33.33"),
        (10_000, "100"),
    ];
    for (basis_points, text) in cases {
        assert_eq!(percent(basis_points), text);
    }
}

#[test]
fn traffic_is_shown_by_revision_the_newest_first() {
    use crate::traffic_report::{TrafficReport, VersionTraffic};
    let version = |replica_set: &str, server_errors| VersionTraffic {
        replica_set: replica_set.to_string(),
        ok: 90,
        server_errors,
        users: 12,
        users_with_errors: 3,
        first_seen: NOW,
        last_seen: NOW,
    };
    let report = TrafficReport {
        url: String::new(),
        host: "shop".into(),
        rate: 200,
        users: 1_000,
        sent: 190,
        ok: 180,
        server_errors: 7,
        failed: 1,
        in_flight: 2,
        skipped: 0,
        last_failure: None,
        versions: vec![
            version("shop-aaa", 0),
            version("shop-bbb", 7),
            version("shop-ccc", 0),
        ],
    };
    assert_eq!(
        traffic(&report, &[waiting()], Paint::PLAIN),
        "190 sent, 1 failed │ shop-ccc 90 ok, 0 errors, 12 users \
         │ revision 2 (canary) 90 ok, 7 errors, 12 users \
         │ revision 1 (stable) 90 ok, 0 errors, 12 users"
    );
}

#[test]
fn a_change_is_one_line() {
    let mut view = waiting();
    assert_eq!(
        change(&view, Paint::PLAIN),
        "॥ shop: Paused - CanaryPauseStep, step 1/3, weight 0.05, header routes by-header, \
         revision 2 0/1 ready, revision 1 2/2 ready"
    );
    view.revisions.clear();
    view.header_routes.clear();
    view.message.clear();
    assert_eq!(
        change(&view, Paint::PLAIN),
        "॥ shop: Paused, step 1/3, weight 0.05"
    );
}

const NOW: Timestamp = Timestamp(1_000_000_000);

/// Runs of spaces as one: columns are checked by a test of their own.
fn spaced(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn waiting() -> RolloutView {
    let step = |text: &str| StepView {
        text: text.to_string(),
    };
    RolloutView {
        name: "shop".into(),
        namespace: "default".into(),
        phase: Phase::Paused,
        message: "CanaryPauseStep".into(),
        created: before(600),
        strategy: Strategy::Canary,
        steps: vec![
            step("setWeight: 0.05"),
            step("pause: until promoted"),
            step("setWeight: 100"),
        ],
        step_index: 1,
        set_weight_bp: 5,
        actual_weight_bp: 5,
        header_routes: vec!["by-header".into()],
        desired: 2,
        replicas: Replicas::of(&[canary(), stable()]),
        revisions: vec![canary(), stable()],
        notices: Vec::new(),
        gateway: "http://127.0.0.1:8080".into(),
        stale: None,
    }
}

fn canary() -> RevisionView {
    RevisionView {
        number: 2,
        replica_set: "shop-bbb".into(),
        hash: "bbb".into(),
        images: vec!["shop:2".into()],
        role: Some("canary".into()),
        desired: 1,
        health: SetHealth::Progressing,
        created: before(60),
        scale_down_at: None,
        pods: vec![PodView {
            status: "Pending".into(),
            ready: false,
            ready_containers: 0,
            restarts: 1,
            ..pod("shop-bbb-1", 60)
        }],
        runs: vec![RunView {
            name: "shop-bbb-2-1".into(),
            phase: RunPhase::Inconclusive,
            message: String::new(),
            created: before(60),
            successful: 4,
            failed: 3,
            inconclusive: 2,
            error: 1,
        }],
    }
}

fn stable() -> RevisionView {
    RevisionView {
        number: 1,
        replica_set: "shop-aaa".into(),
        hash: "aaa".into(),
        images: vec!["shop:1".into()],
        role: Some("stable".into()),
        desired: 2,
        health: SetHealth::Healthy,
        created: before(600),
        scale_down_at: Some(NOW.plus(std::time::Duration::from_secs(30))),
        pods: vec![pod("shop-aaa-1", 600), pod("shop-aaa-2", 600)],
        runs: Vec::new(),
    }
}

fn pod(name: &str, seconds: i64) -> PodView {
    PodView {
        name: name.into(),
        status: "Running".into(),
        ready: true,
        ready_containers: 1,
        containers: 1,
        restarts: 0,
        created: before(seconds),
        address: "127.0.0.2:8080".into(),
    }
}

fn before(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1_000)
}

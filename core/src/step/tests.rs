use super::world::{World, analysis, header_route, istio_plan, mirror_route, plan, plan_with};
use super::*;
use crate::plan::Step;
use crate::verb;
use serde_json::{Value, json};

mod pods;
mod returns;

#[test]
fn a_mirror_route_is_in_force_from_its_step_on_until_it_is_removed() {
    let mut world = World::with(istio_plan(json!([
        mirror_route(35), {"pause": {}}, mirror_route(70), header_route(), {"pause": {}},
        {"setMirrorRoute": {"name": "copy"}}, {"pause": {}},
    ])));
    let mirrored = |world: &World| -> Vec<u32> {
        let canary = world.last.traffic.canary.as_ref().unwrap();
        canary
            .mirrors
            .iter()
            .map(|mirror| mirror.percentage)
            .collect()
    };
    world.release("two");
    assert_eq!((world.weight(), mirrored(&world)), (0, vec![35]));
    assert_eq!(world.last.sets["two"], 1, "somebody must take the copies");
    world.promote();
    assert_eq!((mirrored(&world), world.routes()), (vec![70], vec!["beta"]));
    world.promote();
    assert_eq!((mirrored(&world), world.routes()), (vec![], vec!["beta"]));
}

#[test]
fn a_managed_route_is_what_its_last_step_makes_of_it() {
    let steps = json!([
        {"setHeaderRoute": {"name": "copy", "match": [
            {"headerName": "x", "headerValue": {"exact": "1"}}]}},
        {"pause": {}}, mirror_route(100), {"pause": {}},
    ]);
    let mut world = World::with(istio_plan(steps));
    world.release("two");
    assert_eq!(world.routes(), ["copy"]);
    world.promote();
    let canary = world.last.traffic.canary.as_ref().unwrap();
    assert_eq!((canary.routes.len(), canary.mirrors.len()), (0, 1));
}

#[test]
fn the_first_version_is_stable_without_steps() {
    let world = World::with(plan(json!([{"setWeight": 10}, {"pause": {}}])));
    assert_eq!(world.last.state.stable, "one");
    assert_eq!(world.last.sets["one"], 4);
    assert_eq!(world.last.why, Why::Done);
}

#[test]
fn before_the_first_version_is_stable_those_with_pods_serve() {
    let mut world = World::with(plan(json!([])));
    world.seen.state = State::default();
    world.seen.template = "two".into();
    world.pass();
    assert_eq!(world.last.traffic.stable, "one", "which has pods");
    assert_eq!((world.last.sets["one"], world.last.sets["two"]), (4, 4));
    world.seen.sets.get_mut("two").unwrap().available = 3;
    world.pass();
    assert_eq!(world.last.services.stable, "one");
    world.settle();
    assert_eq!(world.last.traffic.stable, "two");
    world.later(30);
    assert_eq!(world.last.sets.get("one"), None);
}

#[test]
fn a_release_goes_step_by_step_to_the_end() {
    let mut world = World::with(plan(json!([
        header_route(), {"pause": {}}, {"setWeight": 10}, analysis(), {"setWeight": 50},
        {"setHeaderRoute": {"name": "beta"}}, {"pause": {"duration": 30}}
    ])));
    world.release("two");
    assert_eq!((world.weight(), world.routes()), (0, vec!["beta"]));
    assert_eq!(world.last.why, Why::Paused(PauseReason::CanaryPauseStep));
    assert_eq!(world.last.sets["two"], 1);

    world.promote();
    assert_eq!((world.weight(), world.routes()), (1000, vec!["beta"]));
    assert_eq!(world.last.runs[0].name, "shop-two-2-3");
    assert_eq!(world.last.phase, Phase::Progressing);

    world.end_run(RunPhase::Successful);
    assert_eq!((world.weight(), world.routes()), (5000, vec![]));
    assert_eq!(world.last.phase, Phase::Paused);
    assert_eq!(world.last.look_again, Some(Duration::from_secs(30)));

    world.later(29);
    assert_eq!(world.last.phase, Phase::Paused);
    world.later(1);
    assert_eq!(world.last.phase, Phase::Healthy);
    assert_eq!(
        world.last.traffic,
        Traffic {
            stable: "two".into(),
            canary: None
        }
    );
    assert_eq!(
        world.last.sets["one"], 4,
        "the old pods stay for their delay"
    );
    world.later(30);
    assert_eq!(world.last.sets.get("one"), None);
}

#[test]
fn a_failed_analysis_takes_the_release_back() {
    let mut world = World::with(plan(json!([{"setWeight": 10}, analysis(), {"pause": {}}])));
    world.release("two");
    world.end_run(RunPhase::Failed);
    assert_eq!(world.last.phase, Phase::Degraded);
    assert_eq!(
        world.last.why.to_string(),
        "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase \
         error/failed: because"
    );
    assert_eq!(
        world.last.traffic,
        Traffic {
            stable: "one".into(),
            canary: None
        }
    );
    assert_eq!(
        world.last.services,
        Services {
            stable: "one".into(),
            canary: "one".into(),
            ping_pong: None,
        }
    );
    assert_eq!(world.last.sets["two"], 1);
    world.later(30);
    assert_eq!(world.last.sets.get("two"), None);
}

#[test]
fn a_retry_starts_at_the_first_step_with_runs_of_its_own() {
    let mut world = World::with(plan(json!([{"setWeight": 10}, analysis()])));
    world.release("two");
    world.end_run(RunPhase::Error);
    world.seen.state = verb::retry(&world.seen.state, world.now).unwrap();
    world.settle();
    assert_eq!(world.weight(), 1000);
    assert_eq!(world.last.runs[0].name, "shop-two-2-1.1");
}

#[test]
fn an_inconclusive_analysis_waits_and_promoting_skips_it() {
    let mut world = World::with(plan(
        json!([{"setWeight": 10}, analysis(), {"setWeight": 20}, {"pause": {}}]),
    ));
    world.release("two");
    world.end_run(RunPhase::Inconclusive);
    assert_eq!(
        world.last.why,
        Why::Paused(PauseReason::InconclusiveAnalysisRun)
    );
    assert_eq!(world.weight(), 1000);
    world.promote();
    assert_eq!(world.weight(), 2000);
}

#[test]
fn a_background_analysis_takes_the_release_back_at_any_step() {
    let mut document =
        plan(json!([{"setWeight": 10}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}]));
    document.background = Some(crate::plan::Background {
        analysis: AnalysisRef::default(),
        starting_step: 2,
    });
    let mut world = World::with(document);
    world.release("two");
    assert_eq!(world.last.runs, []);
    world.promote();
    assert_eq!(world.last.runs[0].name, "shop-two-2");
    world.end_run(RunPhase::Failed);
    assert_eq!((world.last.phase, world.weight()), (Phase::Degraded, 0));
}

fn with_background(steps: Value) -> Plan {
    let mut plan = plan(steps);
    let analysis = AnalysisRef::default();
    plan.background = Some(crate::plan::Background {
        analysis,
        starting_step: 0,
    });
    plan
}

#[test]
fn promoting_past_an_inconclusive_background_run_leaves_the_steps_own_analysis_alone() {
    let steps = json!([{"setWeight": 2}, analysis(), {"setWeight": 100}, {"pause": {}}]);
    let mut world = World::with(with_background(steps));
    world.release("two");
    let beside = world.seen.runs.get_mut("shop-two-2").unwrap();
    beside.phase = RunPhase::Inconclusive;
    world.settle();
    assert_eq!(
        world.last.why,
        Why::Paused(PauseReason::InconclusiveAnalysisRun)
    );
    world.promote();
    assert_eq!((world.last.state.index, world.weight()), (1, 200));
    let names: Vec<&str> = world
        .last
        .runs
        .iter()
        .map(|run| run.name.as_str())
        .collect();
    assert_eq!(names, ["shop-two-2.1", "shop-two-2-1"]);
}

#[test]
fn the_weight_does_not_rise_while_the_background_run_cannot_tell() {
    let steps = json!([{"setWeight": 2}, {"pause": {"duration": 5}}, {"setWeight": 100}]);
    let mut world = World::with(with_background(steps));
    world.release("two");
    assert_eq!(world.last.why, Why::Paused(PauseReason::CanaryPauseStep));
    world.end_run(RunPhase::Inconclusive);
    world.later(60);
    assert_eq!(
        world.last.why,
        Why::Paused(PauseReason::InconclusiveAnalysisRun)
    );
    assert_eq!(world.weight(), 200);
}

#[test]
fn pods_that_come_and_go_are_no_progress() {
    let spec = json!({"progressDeadlineSeconds": 60});
    let mut world = World::with(plan_with(json!([{"setWeight": 50}]), spec));
    world.seen.template = "two".into();
    for second in 0..10 {
        world.now = Timestamp(world.now.0 + 10_000);
        let pods = world.seen.sets.get_mut("one").unwrap();
        pods.available = 3 + second % 2;
        world.pass();
    }
    assert_eq!(
        world.last.why,
        Why::DeadlineExceeded {
            set: "shop-two".into()
        }
    );
}

#[test]
fn the_deadline_begins_anew_when_a_pause_by_hand_ends() {
    let spec = json!({"progressDeadlineSeconds": 60, "progressDeadlineAbort": true});
    let mut world = World::with(plan_with(json!([{"setWeight": 50}]), spec));
    world.seen.template = "two".into();
    world.plan.paused = true;
    world.pass();
    world.now = Timestamp(world.now.0 + 90_000);
    world.pass();
    world.plan.paused = false;
    world.now = Timestamp(world.now.0 + 1_000);
    world.pass();
    assert_eq!(world.last.phase, Phase::Progressing);
}

#[test]
fn the_weight_before_stays_until_the_canary_has_its_pods() {
    let mut world = World::with(plan(
        json!([{"setWeight": 10}, {"pause": {}}, {"setWeight": 75}, {"pause": {}}]),
    ));
    world.release("two");
    world.seen.state = verb::promote(&world.plan, &world.seen.state, false).unwrap();
    world.pass();
    world.pass();
    assert_eq!((world.weight(), world.last.sets["two"]), (1000, 3));
    world.comply();
    world.pass();
    assert_eq!(world.weight(), 7500);
}

#[test]
fn a_step_is_not_complete_before_every_proxy_runs_it() {
    let mut world = World::with(plan(json!([{"setWeight": 10}, {"setWeight": 20}])));
    world.seen.template = "two".into();
    for _ in 0..3 {
        world.pass();
        let (traffic, overtaken) = (world.seen.traffic.clone(), world.seen.overtaken);
        world.comply();
        (world.seen.traffic, world.seen.overtaken) = (traffic, overtaken);
    }
    assert_eq!((world.last.state.index, world.weight()), (0, 1000));
}

#[test]
fn a_new_template_in_flight_starts_again_and_the_old_canary_gets_nothing() {
    let mut world = World::with(plan(json!([{"setWeight": 50}, {"pause": {}}])));
    world.release("two");
    world.seen.template = "three".into();
    world.pass();
    assert_eq!(world.weight(), 0);
    assert_eq!(
        world.last.services.canary, "two",
        "until every proxy sends it nothing"
    );
    assert_eq!(world.last.sets["two"], 2);
    world.settle();
    assert_eq!(
        world.last.traffic.canary.as_ref().unwrap().revision,
        "three"
    );
}

#[test]
fn a_canary_with_pods_waits_until_the_other_one_gets_nothing() {
    let mut world = World::with(plan(json!([{"setWeight": 50}, {"pause": {}}])));
    world.release("two");
    world.release("three");
    world.seen.template = "two".into();
    world.pass();
    assert_eq!(world.last.traffic.canary, None);
    assert_eq!(
        world.last.services.canary, "three",
        "whose weight the proxies still run"
    );
    world.settle();
    assert_eq!(world.last.traffic.canary.as_ref().unwrap().revision, "two");
}

#[test]
fn promoting_in_full_skips_all_but_waits_for_the_pods() {
    let mut world = World::with(plan(json!([{"setWeight": 25}, {"pause": {}}, analysis()])));
    world.release("two");
    world.seen.state = verb::promote(&world.plan, &world.seen.state, true).unwrap();
    world.pass();
    assert_eq!((world.weight(), world.last.sets["two"]), (2500, 4));
    world.settle();
    assert_eq!(
        (world.last.phase, world.last.state.stable.as_str()),
        (Phase::Healthy, "two")
    );
}

#[test]
fn a_canary_without_pods_gets_no_requests_until_they_are_back() {
    let mut world = World::with(plan(
        json!([header_route(), {"setWeight": 50}, {"pause": {}}]),
    ));
    world.release("two");
    world.seen.sets.get_mut("two").unwrap().available = 0;
    world.pass();
    assert_eq!((world.weight(), world.routes()), (0, vec![]));
    world.settle();
    assert_eq!((world.weight(), world.routes()), (5000, vec!["beta"]));
}

#[test]
fn pods_that_never_come_exceed_the_deadline() {
    let mut world = World::with(plan_with(
        json!([{"setWeight": 50}]),
        json!({"progressDeadlineSeconds": 60}),
    ));
    world.seen.template = "two".into();
    world.pass();
    world.pass();
    assert_eq!(world.last.why, Why::TooFewPods);
    world.now = Timestamp(world.now.0 + 60_000);
    world.pass();
    assert_eq!(
        world.last.why,
        Why::DeadlineExceeded {
            set: "shop-two".into()
        }
    );
    assert_eq!(world.last.phase, Phase::Degraded);

    world.plan.progress_deadline_abort = true;
    world.pass();
    assert!(
        world.last.why.to_string().starts_with("RolloutAborted"),
        "{}",
        world.last.why
    );
}

#[test]
fn a_paused_rollout_stays_where_it_is() {
    let mut world = World::with(plan(
        json!([{"setWeight": 25}, {"pause": {"duration": 5}}, {"setWeight": 50}]),
    ));
    world.release("two");
    world.plan.paused = true;
    world.later(60);
    assert_eq!(
        (world.weight(), &world.last.why),
        (2500, &Why::ManuallyPaused)
    );
    world.plan.paused = false;
    world.settle();
    assert_eq!(world.last.phase, Phase::Healthy);
}

#[test]
fn a_rollout_paused_by_hand_does_not_look_again_for_the_end_of_a_step() {
    let mut world = World::with(plan(json!([{"setWeight": 25}, {"pause": {"duration": 5}}])));
    world.release("two");
    world.plan.paused = true;
    world.later(60);
    assert!(
        world
            .last
            .look_again
            .is_none_or(|wait| wait > Duration::from_secs(60))
    );
}

#[test]
fn a_restart_that_is_due_is_told_and_done_with_a_new_version() {
    let mut world = World::with(plan(json!([{"setWeight": 25}, {"pause": {"duration": 5}}])));
    world.plan.restart_at = Some(Timestamp(world.now.0 + 10_000));
    world.later(9);
    assert_eq!(world.last.phase, Phase::Healthy);
    world.later(1);
    assert_eq!(world.last.why, Why::Restarting);
    assert_eq!(world.last.phase, Phase::Progressing);
    world.release("two");
    assert_eq!(world.last.state.restarted_at, world.plan.restart_at);
    world.plan.restart_at = Some(Timestamp(world.now.0 + 60_000));
    world.release("three");
    assert_ne!(
        world.last.state.restarted_at, world.plan.restart_at,
        "it is still to come"
    );
}

#[test]
fn verbs_are_refused_where_they_make_no_sense() {
    let mut world = World::with(plan(json!([{"setWeight": 25}, {"pause": {}}])));
    let refused = |result: Result<State, verb::VerbRefusal>| result.unwrap_err().to_string();
    let idle = world.seen.state.clone();
    assert!(refused(verb::promote(&world.plan, &idle, false)).contains("no release is in flight"));
    assert!(refused(verb::abort(&idle, world.now)).contains("no release is in flight"));
    world.release("two");
    assert!(refused(verb::retry(&world.seen.state, world.now)).contains("is not aborted"));
    world.seen.state = verb::abort(&world.seen.state, world.now).unwrap();
    world.settle();
    assert!(refused(verb::promote(&world.plan, &world.seen.state, true)).contains("retry starts"));
    assert_eq!(world.last.state.index, 0);
}

#[test]
fn a_change_of_the_steps_in_flight_starts_again() {
    let mut world = World::with(plan(json!([{"setWeight": 25}, {"pause": {}}])));
    world.release("two");
    world.plan.steps_hash = "another".into();
    world.plan.steps = vec![
        Step::SetWeight(100),
        Step::Pause(crate::plan::Pause::UntilPromoted),
    ];
    world.settle();
    assert_eq!(world.weight(), 100);
}

#[test]
fn a_version_that_is_asked_for_again_sheds_its_pods_before_it_gets_requests() {
    for steps in [
        json!([{"setWeight": 50}, {"pause": {}}]),
        json!([{"setCanaryScale": {"weight": 50}}, {"setWeight": 50}, {"pause": {}}]),
        json!([{"setCanaryScale": {"weight": 50}}, header_route(), {"pause": {}}]),
    ] {
        let mut world = World::with(istio_plan(steps));
        world.release("two");
        world.seen.state = verb::promote(&world.plan, &world.seen.state, true).unwrap();
        world.settle();
        let all = world.plan.replicas;
        assert_eq!(world.last.sets["one"], all, "it is kept for a while");
        world.seen.template = "one".into();
        while world.weight() == 0 && world.routes().is_empty() {
            world.pass();
            let serves = world.weight() > 0 || !world.routes().is_empty();
            assert!(!serves || world.seen.sets["one"].replicas == all / 2);
            world.comply();
        }
        world.settle();
        assert_eq!(world.last.sets["one"], all / 2);
        assert_eq!(world.last.phase, Phase::Paused);
    }
}

#[test]
fn a_lower_weight_comes_before_fewer_pods() {
    let steps = json!([{"setWeight": 80}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}]);
    let mut world = World::with(istio_plan(steps));
    world.release("two");
    let before = world.last.sets["two"];
    world.seen.state = verb::promote(&world.plan, &world.seen.state, false).unwrap();
    while world.weight() == 8000 {
        world.pass();
        assert_eq!(world.last.sets["two"], before);
        world.comply();
    }
    world.settle();
    assert_eq!(world.weight(), 2000);
    assert!(world.last.sets["two"] < before);
}

#[test]
fn a_run_that_holds_stops_the_steps_and_nothing_else() {
    let steps = json!([
        {"setWeight": 20}, {"pause": {"duration": "10s"}}, {"setWeight": 40}, {"pause": {}},
    ]);
    let mut world = World::with(with_background(steps));
    world.release("two");
    let says = |world: &mut World, holds: Option<&str>| {
        for run in world.seen.runs.values_mut() {
            run.holds = holds.map(str::to_string);
        }
        world.settle();
    };
    says(&mut world, Some("stable is failing too (4.2 %): holding"));
    world.later(6_000);
    assert_eq!(world.weight(), 2_000, "the pause is over, the weight stays");
    assert_eq!(world.last.phase, Phase::Paused, "and no deadline is missed");
    says(&mut world, None);
    assert_eq!(world.weight(), 4_000);
    says(&mut world, Some("holding"));
    world.promote();
    assert_eq!(
        world.last.why,
        Why::Held {
            why: "holding".into()
        }
    );
}

#[test]
fn a_run_that_holds_after_the_last_step_keeps_the_rest_from_the_canary() {
    let held = || {
        let steps = json!([{"setWeight": 20}, {"pause": {}}]);
        let mut world = World::with(with_background(steps));
        world.release("two");
        let run = world.seen.runs.get_mut("shop-two-2").unwrap();
        run.holds = Some("holding".into());
        world.seen.state.index = 2;
        world.seen.state.pause = None;
        world.settle();
        let why = Why::Held {
            why: "holding".into(),
        };
        assert_eq!(
            (world.last.state.stable.as_str(), &world.last.why),
            ("one", &why)
        );
        world
    };
    let mut well_again = held();
    well_again.seen.runs.get_mut("shop-two-2").unwrap().holds = None;
    well_again.settle();
    assert_eq!(well_again.last.state.stable, "two");
    let mut in_full = held();
    in_full.seen.state = verb::promote(&in_full.plan, &in_full.seen.state, true).unwrap();
    in_full.settle();
    assert_eq!(in_full.last.state.stable, "two", "a person said so");
}

#[test]
fn promoting_goes_past_a_pause_that_a_run_holds_and_no_further() {
    let steps = json!([
        {"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"setWeight": 60}, {"pause": {}},
    ]);
    let mut world = World::with(with_background(steps));
    world.release("two");
    let run = world.seen.runs.get_mut("shop-two-2").unwrap();
    run.holds = Some("holding".into());
    world.settle();
    world.promote();
    assert_eq!((world.last.state.index, world.weight()), (2, 4_000));
}

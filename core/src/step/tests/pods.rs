//! How many pods every version has.

use super::*;
use crate::step::world::canary_plan;

#[test]
fn pods_that_a_proxy_may_have_begun_to_send_to_stay() {
    let fields = json!({"abortScaleDownDelaySeconds": 1});
    let mut world = World::with(canary_plan(
        json!([{"setWeight": 10}, {"pause": {}}]),
        fields,
    ));
    world.seen.template = "two".into();
    world.pass();
    let known = world.seen.traffic.clone();
    world.comply();
    world.pass();
    assert_eq!(world.weight(), 1000);
    world.seen.state = verb::abort(&world.seen.state, world.now).unwrap();
    world.pass();
    assert_eq!(
        Some(&world.last.traffic),
        known.as_ref(),
        "as before the release"
    );
    world.later_without_acknowledgement(10);
    assert_eq!(
        world.last.sets["two"], 1,
        "some proxy may run the tenth already"
    );
    world.acknowledge();
    world.settle();
    world.later(1);
    assert_eq!(world.last.sets.get("two"), None);
}

#[test]
fn canary_scale_is_apart_from_the_weight_until_it_follows_again() {
    let mut world = World::with(plan(json!([
        {"setCanaryScale": {"replicas": 3}}, {"setWeight": 25}, {"pause": {}},
        {"setCanaryScale": {"weight": 50}}, {"pause": {}},
        {"setCanaryScale": {"matchTrafficWeight": true}}, {"pause": {}}
    ])));
    world.release("two");
    assert_eq!((world.weight(), world.last.sets["two"]), (2500, 3));
    world.promote();
    assert_eq!(world.last.sets["two"], 2);
    world.promote();
    assert_eq!(world.last.sets["two"], 1);
}

#[test]
fn a_step_goes_on_with_enough_of_its_pods() {
    let threshold = json!({"replicaProgressThreshold": {"type": "Percent", "value": 80}});
    let mut world = World::with(canary_plan(json!([{"setWeight": 50}]), threshold));
    world.seen.template = "two".into();
    world.pass();
    let pods = |world: &mut World, available: u32| {
        world.comply();
        world.seen.sets.get_mut("two").unwrap().available = available;
        world.pass();
        world.acknowledge();
        world.pass();
        (world.weight(), world.last.state.index)
    };
    assert_eq!(pods(&mut world, 3), (0, 0));
    assert_eq!(pods(&mut world, 4), (5000, 1));
    assert_eq!(world.last.sets["two"], 10);
    assert_eq!(pods(&mut world, 7), (5000, 1));
    pods(&mut world, 8);
    assert_eq!(world.last.state.stable, "two");
    assert_eq!(world.last.phase, Phase::Progressing, "two pods are missing");
}

#[test]
fn a_version_with_pods_has_at_least_so_many() {
    let steps = json!([
        {"setWeight": 1}, {"pause": {}}, {"setCanaryScale": {"weight": 5}}, {"pause": {}},
        {"setCanaryScale": {"replicas": 1}}, {"pause": {}}, {"setWeight": 0},
        {"setCanaryScale": {"matchTrafficWeight": true}}, {"pause": {}},
    ]);
    let mut world = World::with(canary_plan(steps, json!({"minPodsPerReplicaSet": 2})));
    world.release("two");
    assert_eq!(world.last.sets["two"], 2);
    world.promote();
    assert_eq!(world.last.sets["two"], 2);
    world.promote();
    assert_eq!(world.last.sets["two"], 1, "asked for by number");
    world.promote();
    assert_eq!(world.last.sets["two"], 0);
}

#[test]
fn of_the_old_versions_only_so_many_wait_the_newest_first() {
    let limit = json!({"scaleDownDelayRevisionLimit": 1});
    let mut world = World::with(canary_plan(json!([]), limit));
    world.release("two");
    assert_eq!(world.last.sets.get("one"), Some(&10));
    world.release("three");
    assert_eq!(world.last.state.stable, "three");
    assert_eq!(
        (world.last.sets.get("one"), world.last.sets["two"]),
        (None, 10)
    );
    world.later(30);
    assert_eq!(world.last.sets.get("two"), None);
}

#[test]
fn a_version_that_is_asked_for_again_waits_no_more() {
    let mut world = World::with(canary_plan(json!([]), json!({})));
    world.release("two");
    assert!(world.last.state.scale_down_at.contains_key("one"));
    world.release("one");
    let leaving: Vec<&String> = world.last.state.scale_down_at.keys().collect();
    assert_eq!(leaving, ["two"]);
    world.later(30);
    assert_eq!(
        (world.last.sets["one"], world.last.sets.get("two")),
        (10, None)
    );
}

#[test]
fn a_canary_taken_back_is_kept_at_its_first_scale_for_a_look_at_it() {
    let steps = json!([{"setCanaryScale": {"replicas": 3}}, {"setWeight": 50},
        {"setCanaryScale": {"weight": 80}}, analysis()]);
    let kept = |delay: Value| {
        let fields = json!({"abortScaleDownDelaySeconds": delay});
        let mut world = World::with(canary_plan(steps.clone(), fields));
        world.release("two");
        assert_eq!(world.last.sets["two"], 8);
        world.end_run(RunPhase::Failed);
        world.later(3_600);
        assert_eq!((world.last.phase, world.weight()), (Phase::Degraded, 0));
        world.last.sets.get("two").copied()
    };
    assert_eq!(kept(json!(0)), Some(3));
    assert_eq!(kept(json!(60)), None);
    let mut unscaled = World::with(canary_plan(
        json!([{"setWeight": 50}, analysis()]),
        json!({"abortScaleDownDelaySeconds": 0}),
    ));
    unscaled.release("two");
    unscaled.end_run(RunPhase::Failed);
    assert_eq!(unscaled.last.sets.get("two"), None, "as with Argo Rollouts");
}

#[test]
fn while_a_person_pauses_it_no_version_gets_more_or_fewer_pods() {
    let mut world = World::with(canary_plan(json!([{"setWeight": 50}]), json!({})));
    world.release("two");
    world.plan.paused = true;
    world.plan.replicas = 20;
    world.later(60);
    let pods = |world: &World| world.last.sets.clone().into_iter().collect::<Vec<_>>();
    let sets = |one, two| vec![("one".to_string(), one), ("two".to_string(), two)];
    assert_eq!(pods(&world), sets(10, 10));
    world.seen.template = "three".into();
    world.settle();
    assert_eq!(world.last.sets["three"], 0);
    world.plan.paused = false;
    world.later(60);
    assert_eq!(world.last.sets["three"], 20);
}

#[test]
fn a_version_that_returns_while_it_is_paused_is_not_due_to_go_afterwards() {
    let steps = json!([{"setWeight": 50}, {"pause": {}}]);
    let mut world = World::with(canary_plan(steps, json!({})));
    world.release("two");
    world.release("three");
    assert!(world.last.state.scale_down_at.contains_key("two"));
    world.plan.paused = true;
    world.release("two");
    world.later(60);
    world.plan.paused = false;
    world.seen.state = verb::abort(&world.seen.state, world.now).unwrap();
    world.pass();
    assert_eq!(world.last.sets["two"], 5, "proxies still send to it");
}

#[test]
fn a_rollout_that_begins_paused_has_no_pods_yet() {
    let mut plan = plan(json!([]));
    plan.paused = true;
    let seen = Observation {
        template: "one".into(),
        ..Observation::default()
    };
    let decision = step(&plan, &seen, Timestamp(1_000));
    assert_eq!((decision.sets["one"], decision.phase), (0, Phase::Paused));
}

#[test]
fn while_an_analysis_cannot_tell_no_version_gets_more_or_fewer_pods() {
    let steps = json!([{"setWeight": 50}, analysis()]);
    let mut world = World::with(canary_plan(steps, json!({})));
    world.release("two");
    world.end_run(RunPhase::Inconclusive);
    world.plan.replicas = 20;
    world.settle();
    assert_eq!((world.last.sets["one"], world.last.sets["two"]), (10, 5));
}

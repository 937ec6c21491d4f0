//! Ways back to versions of before.

use super::*;
use crate::step::world::canary_plan;

#[test]
fn going_back_to_the_stable_template_skips_the_steps() {
    let mut world = World::with(plan(json!([{"setWeight": 50}, {"pause": {}}])));
    world.release("two");
    world.release("one");
    assert_eq!((world.last.phase, world.weight()), (Phase::Healthy, 0));
    assert!(world.events.contains(&"SkipSteps".to_string()));
}

/// Three versions one after the other, and a way back to an older one.
fn after_three(window: usize, steps: Value) -> World {
    let mut plan = canary_plan(json!([]), json!({}));
    plan.rollback_window = window;
    let mut world = World::with(plan);
    world.release("two");
    world.release("three");
    world.later(60);
    assert_eq!(world.last.state.stable, "three");
    world.plan.steps = canary_plan(steps, json!({})).steps;
    world.settle();
    world.events.clear();
    world
}

#[test]
fn going_back_within_the_window_skips_steps_and_analysis() {
    let steps = json!([{"setWeight": 20}, analysis(), {"pause": {}}]);
    let mut world = after_three(2, steps);
    world.seen.template = "one".into();
    world.pass();
    world.acknowledge();
    assert_eq!((world.last.sets["one"], world.last.runs.len()), (10, 0));
    let pods = world.seen.sets.get_mut("one").unwrap();
    pods.available = 9;
    world.pass();
    assert_eq!(
        (world.weight(), world.last.state.index),
        (0, 3),
        "not before all can be served"
    );
    world.settle();
    assert_eq!(
        (world.last.phase, &*world.last.state.stable),
        (Phase::Healthy, "one")
    );
    assert_eq!(
        world.events,
        ["RolloutUpdated", "SkipSteps", "RolloutCompleted"]
    );
    assert!(world.seen.runs.is_empty());
}

#[test]
fn going_back_beyond_the_window_takes_the_steps() {
    let mut world = after_three(1, json!([{"setWeight": 20}, {"pause": {}}]));
    world.release("one");
    assert_eq!((world.weight(), world.last.phase), (2000, Phase::Paused));
    let mut near = after_three(1, json!([{"setWeight": 20}, {"pause": {}}]));
    near.release("two");
    assert_eq!(near.last.state.stable, "two");
    near.release("four");
    assert_eq!(near.weight(), 2000, "a new version is no way back");
}

#[test]
fn a_way_back_can_be_taken_back_too() {
    let mut world = after_three(2, json!([{"setWeight": 20}, {"pause": {}}]));
    world.seen.template = "one".into();
    world.pass();
    world.seen.state = verb::abort(&world.seen.state, world.now).unwrap();
    world.settle();
    assert_eq!((world.last.phase, world.weight()), (Phase::Degraded, 0));
    world.seen.state = verb::retry(&world.seen.state, world.now).unwrap();
    world.settle();
    assert_eq!(world.last.state.stable, "one");
}

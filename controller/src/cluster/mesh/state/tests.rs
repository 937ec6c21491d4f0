//! The state as passes, the API server and Prometheus move it.

use serde_json::json;

use super::*;

const NAMESPACE: &str = "istio-system";

fn key() -> Key {
    Key {
        namespace: "web".into(),
        name: "shop".into(),
    }
}

/// The Rollout's rule with this weight; none: without a canary.
fn rule(weight: Option<u16>) -> Rule {
    let canary =
        weight.map(|weight| json!({"revision": "bbb", "weightBp": weight, "salt": "web/shop/bbb"}));
    let rule = json!({
        "rollout": "shop", "namespace": "web", "service": "shop", "names": ["shop"],
        "stable": "aaa", "canary": canary,
    });
    serde_json::from_value(rule).expect("a rule")
}

/// A state, and the API server's side of it.
struct World {
    state: State,
    version: u64,
    object: Option<Value>,
    now: Instant,
}

impl World {
    fn new() -> World {
        let mut state = State::default();
        state.begin();
        state.see_all(&[]);
        World {
            state,
            version: 1,
            object: None,
            now: Instant::now(),
        }
    }

    /// After another controller, which left this.
    fn after(object: Value) -> World {
        let mut world = World::new();
        world.see(&object);
        world.object = Some(object);
        world
    }

    /// The API server tells of what it has.
    fn see(&mut self, object: &Value) {
        let place = objects::place(NAMESPACE, 0);
        self.state.see_all(&[place, object.clone()]);
    }

    fn want(&mut self, weight: Option<u16>, rests: bool) -> bool {
        self.state.want(&key(), rule(weight), rests, self.now)
    }

    fn tasks(&mut self) -> Vec<Task> {
        let code = objects::code_at("http://serin.serin:8090");
        let due = self.state.due(NAMESPACE, &code, |_| true, self.now);
        due.expect("is within limits").0
    }

    /// Does all that is due; what was written.
    fn write(&mut self) -> Vec<Wanted> {
        let mut written = Vec::new();
        loop {
            let tasks = self.tasks();
            if tasks.is_empty() {
                return written;
            }
            for task in tasks {
                match task {
                    Task::Place(shard) => self.state.placed(shard),
                    Task::FindGeneration(shard) => self.state.found_generation(shard, 0),
                    Task::Write(due) => {
                        let held = self.object.as_ref();
                        let held = held.map(|held| &held["metadata"]["resourceVersion"]);
                        assert_eq!(due.replaces.as_deref(), held.and_then(Value::as_str));
                        self.version += 1;
                        let mut object = due.object;
                        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
                        written.push(objects::read(&object));
                        self.state.wrote(due.shard, &object);
                        self.object = Some(object);
                    }
                }
            }
        }
    }

    fn shown(&self, weight: Option<u16>) -> Shown {
        self.state.shown(&key(), &rule(weight))
    }
}

#[test]
fn a_weight_is_shown_once_all_proxies_run_its_generation() {
    let mut world = World::new();
    assert!(world.want(Some(500), false));
    assert!(!world.want(Some(500), false), "it is known");
    assert_eq!(world.shown(Some(500)), Shown::NotYet(None));
    let written = world.write();
    assert_eq!((written.len(), written[0].generation), (1, 1));
    assert_eq!(world.shown(Some(500)), Shown::NotYet(None));
    assert_eq!(world.state.acknowledge(0, 0), []);
    assert_eq!(world.state.acknowledge(0, 1), [key()]);
    assert_eq!(world.shown(Some(500)), Shown::ByAll);
    assert_eq!(world.shown(Some(900)), Shown::NotYet(None));
}

#[test]
fn a_generation_rises_with_what_is_asked_for_and_never_otherwise() {
    let mut world = World::new();
    for weight in [500, 500, 900, 900, 500] {
        world.want(Some(weight), false);
        world.write();
    }
    let held = world.object.as_ref().map(objects::read).expect("an object");
    assert_eq!(held.generation, 3);
    // Somebody changes it by hand, to an older one.
    let mut changed = world.object.clone().expect("an object");
    let older = Wanted {
        generation: 1,
        rules: vec![rule(Some(9_000))],
    };
    let code = json!({});
    let older = objects::configuration(NAMESPACE, 0, &older, &code).expect("an object");
    changed["spec"] = older["spec"].clone();
    changed["metadata"]["annotations"] = older["metadata"]["annotations"].clone();
    changed["metadata"]["resourceVersion"] = json!("90");
    world.version = 90;
    world.object = Some(changed.clone());
    world.see(&changed);
    let written = world.write();
    assert_eq!((written.len(), written[0].generation), (1, 4));
    assert_eq!(written[0].rules, [rule(Some(500))]);
}

#[test]
fn what_was_seen_late_does_not_count() {
    let mut world = World::new();
    world.want(Some(500), false);
    world.write();
    let old = world.object.clone().expect("an object");
    world.want(Some(900), false);
    world.write();
    world.see(&old);
    assert_eq!(world.tasks(), []);
}

#[test]
fn a_rollout_that_was_never_in_flight_needs_no_filter() {
    let mut world = World::new();
    assert_eq!(world.shown(None), Shown::ByAll);
    world.want(None, false);
    assert_eq!(world.tasks(), []);
    assert_eq!(world.object, None);
}

#[test]
fn a_release_that_ends_is_acknowledged_before_it_goes() {
    let mut world = World::new();
    world.want(Some(500), false);
    world.write();
    world.state.acknowledge(0, 1);
    world.want(None, false);
    assert_eq!(world.shown(None), Shown::NotYet(None));
    assert_eq!(world.write()[0].rules, [rule(None)]);
    world.now += LINGERS * 2;
    assert_eq!(world.tasks(), [], "until it is known to rest");
    world.state.acknowledge(0, 2);
    assert_eq!(world.shown(None), Shown::ByAll);
    assert!(world.want(None, true));
    assert!(!world.want(None, true));
    assert_eq!(world.tasks(), []);
    world.now += LINGERS;
    let written = world.write();
    assert_eq!((written.len(), &written[0].rules[..]), (1, &[][..]));
    assert_eq!(world.state.questions(), []);
    assert_eq!(world.shown(None), Shown::ByAll);
    world.want(None, true);
    assert_eq!(world.tasks(), []);
}

#[test]
fn another_controller_goes_on_where_one_was_killed() {
    let mut world = World::new();
    world.want(Some(500), false);
    world.write();
    let object = world.object.clone().expect("an object");
    let mut world = World::after(object);
    assert_eq!(world.tasks(), [], "nobody has said anything yet");
    assert_eq!(world.shown(Some(500)), Shown::NotYet(None));
    assert!(world.state.questions()[0].waits);
    world.state.acknowledge(0, 1);
    assert_eq!(world.shown(Some(500)), Shown::ByAll);
}

#[test]
fn a_configuration_that_was_deleted_is_no_end_of_a_release() {
    let mut world = World::new();
    world.want(Some(500), false);
    world.write();
    world.state.acknowledge(0, 1);
    world.state.see_all(&[]);
    world.object = None;
    // Proxies go on with what they had, so nothing is known of stable either.
    assert_eq!(world.shown(Some(500)), Shown::NotYet(None));
    world.want(None, false);
    assert_eq!(world.shown(None), Shown::NotYet(None));
    let written = world.write();
    assert_eq!((written.len(), written[0].generation), (1, 2));
    assert_eq!(written[0].rules, [rule(None)]);
}

#[test]
fn proxies_that_are_behind_are_told_of_and_told_anew() {
    let mut world = World::new();
    world.want(Some(500), false);
    world.write();
    let told = Some("1 proxy".to_string());
    assert_eq!(world.state.tell_behind(0, told.clone()), [key()]);
    assert_eq!(world.state.tell_behind(0, told.clone()), []);
    assert_eq!(world.shown(Some(500)), Shown::NotYet(told));
    world.state.heal(0);
    let written = world.write();
    assert_eq!((written.len(), written[0].generation), (1, 2));
    assert_eq!(written[0].rules, [rule(Some(500))]);
    // What they run since the first is as good.
    assert_eq!(world.state.acknowledge(0, 1), [key()]);
    assert_eq!(world.shown(Some(500)), Shown::ByAll);
}

#[test]
fn a_rollout_that_is_gone_leaves_nothing() {
    let mut world = World::new();
    world.want(Some(500), false);
    world.write();
    assert!(world.state.let_go(&key()));
    assert_eq!(world.write()[0].rules, []);
    assert!(!world.state.let_go(&key()));
    assert_eq!(world.state.keys(), []);
}

#[test]
fn another_module_is_a_new_generation() {
    let mut world = World::new();
    world.want(Some(500), false);
    world.write();
    let code = objects::code_at("http://elsewhere:8090");
    let due = world.state.due(NAMESPACE, &code, |_| true, world.now);
    let (tasks, _) = due.expect("is within limits");
    let [Task::Write(due)] = &tasks[..] else {
        panic!("{tasks:?}");
    };
    assert_eq!(objects::read(&due.object).generation, 2);
}

//! The state as passes, the API server and Prometheus move it.

use serde_json::json;

use super::*;

fn owner() -> Owner {
    Owner::of_all("istio-system")
}

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
        state.see_all(&owner(), &[]);
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
        let place = objects::place(&owner(), 0);
        self.state.see_all(&owner(), &[place, object.clone()]);
    }

    fn want(&mut self, weight: Option<u16>) -> bool {
        self.state.want(&key(), rule(weight), false, self.now)
    }

    fn tasks(&mut self) -> Vec<Task> {
        self.tasks_with("http://serin.serin:8090", 0)
    }

    fn tasks_with(&mut self, url: &str, seconds: u64) -> Vec<Task> {
        let writer = Writer {
            owner: &owner(),
            code: &objects::code_at(url),
            seconds,
        };
        let due = self.state.due(&writer, |_| true, self.now);
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

    fn shown(&self, weight: Option<u16>) -> bool {
        self.state.shown(&key(), &rule(weight), false)
    }
}

#[test]
fn a_weight_is_shown_once_all_proxies_run_its_generation() {
    let mut world = World::new();
    assert!(world.want(Some(500)));
    assert!(!world.want(Some(500)), "it is known");
    assert!(!world.shown(Some(500)));
    let written = world.write();
    assert_eq!((written.len(), written[0].generation), (1, 1));
    assert!(!world.shown(Some(500)));
    assert_eq!(world.state.acknowledge(0, 0), []);
    assert_eq!(world.state.acknowledge(0, 1), [key()]);
    assert!(world.shown(Some(500)));
    assert!(!world.shown(Some(900)));
}

#[test]
fn a_generation_rises_with_what_is_asked_for_and_never_otherwise() {
    let mut world = World::new();
    for weight in [500, 500, 900, 900, 500] {
        world.want(Some(weight));
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
    let older = objects::configuration(&owner(), 0, &older, &code).expect("an object");
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
    world.want(Some(500));
    world.write();
    let old = world.object.clone().expect("an object");
    world.want(Some(900));
    world.write();
    world.see(&old);
    assert_eq!(world.tasks(), []);
}

#[test]
fn a_rollout_that_was_never_in_flight_needs_no_filter() {
    let mut world = World::new();
    assert!(world.shown(None));
    world.want(None);
    assert_eq!(world.tasks(), []);
    assert_eq!(world.object, None);
}

#[test]
fn a_release_that_ends_is_acknowledged_before_it_goes() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    world.state.acknowledge(0, 1);
    world.want(None);
    assert!(!world.shown(None));
    assert_eq!(world.write()[0].rules, [rule(None)]);
    world.now += LINGERS * 2;
    assert!(!world.want(None));
    assert_eq!(world.tasks(), [], "until it is known to rest");
    world.state.acknowledge(0, 2);
    assert!(world.shown(None));
    assert!(world.want(None));
    assert!(!world.want(None));
    assert_eq!(world.tasks(), []);
    world.now += LINGERS;
    let written = world.write();
    assert_eq!((written.len(), &written[0].rules[..]), (1, &[][..]));
    assert_eq!(world.state.questions(&owner()), []);
    assert!(world.shown(None));
    world.want(None);
    assert_eq!(world.tasks(), []);
}

#[test]
fn another_controller_goes_on_where_one_was_killed() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    let object = world.object.clone().expect("an object");
    let mut world = World::after(object);
    assert_eq!(world.tasks(), [], "nobody has said anything yet");
    assert!(!world.shown(Some(500)));
    assert!(world.state.questions(&owner())[0].waits);
    world.state.acknowledge(0, 1);
    assert!(world.shown(Some(500)));
}

#[test]
fn a_configuration_that_was_deleted_is_no_end_of_a_release() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    world.state.acknowledge(0, 1);
    world.state.see_all(&owner(), &[]);
    world.object = None;
    // Proxies go on with what they had, so nothing is known of stable either.
    assert!(!world.shown(Some(500)));
    world.want(None);
    assert!(!world.shown(None));
    let written = world.write();
    assert_eq!((written.len(), written[0].generation), (1, 2));
    assert_eq!(written[0].rules, [rule(None)]);
}

#[test]
fn proxies_that_are_behind_are_told_of_and_told_anew() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    let told = Some("1 proxy".to_string());
    assert_eq!(world.state.tell_behind(0, told.clone()), [key()]);
    assert_eq!(world.state.tell_behind(0, told.clone()), []);
    assert!(!world.shown(Some(500)));
    assert_eq!(world.state.behind(&key()), told);
    world.state.heal(0);
    let written = world.write();
    assert_eq!((written.len(), written[0].generation), (1, 2));
    assert_eq!(written[0].rules, [rule(Some(500))]);
    // What they run since the first is as good.
    assert_eq!(world.state.acknowledge(0, 1), [key()]);
    assert!(world.shown(Some(500)));
}

#[test]
fn a_rollout_that_is_gone_leaves_nothing() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    assert!(world.state.let_go(&key()));
    assert_eq!(world.write()[0].rules, []);
    assert!(!world.state.let_go(&key()));
    assert_eq!(world.state.keys(), []);
}

#[test]
fn another_module_comes_with_the_next_change() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    assert_eq!(world.tasks_with("http://elsewhere:8090", 0), []);
    world.want(Some(900));
    let tasks = world.tasks_with("http://elsewhere:8090", 0);
    let [Task::Write(due)] = &tasks[..] else {
        panic!("{tasks:?}");
    };
    assert!(
        due.object
            .to_string()
            .contains("http://elsewhere:8090/filter/")
    );
}

#[test]
fn a_canary_that_nobody_was_known_to_run_is_taken_back_by_all_before_it_is_gone() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    world.want(None);
    assert!(!world.shown(None));
    world.write();
    world.now += LINGERS * 3;
    world.want(None);
    assert_eq!(world.tasks(), []);
    assert!(!world.shown(None), "whatever the time");
    world.state.acknowledge(0, 2);
    assert!(world.shown(None));
}

#[test]
fn a_write_that_is_not_answered_may_be_in_force() {
    let mut world = World::new();
    world.want(Some(500));
    let tasks = world.tasks();
    let Some(Task::Write(due)) = tasks.last() else {
        panic!("{tasks:?}");
    };
    world.state.enter(due.shard, &objects::read(&due.object));
    world.want(None);
    assert!(!world.shown(None));
    assert_eq!(world.write()[0].rules, [rule(None)]);
}

#[test]
fn what_a_status_remembers_is_taken_back_although_the_object_is_gone() {
    let mut world = World::new();
    let shown = |world: &World| world.state.shown(&key(), &rule(None), true);
    assert!(!shown(&world));
    world.state.want(&key(), rule(None), true, world.now);
    assert_eq!(world.write()[0].rules, [rule(None)]);
    world.state.acknowledge(0, 1);
    assert!(shown(&world));
}

#[test]
fn a_generation_is_never_below_the_time_or_what_proxies_show() {
    let mut world = World::new();
    world.want(Some(500));
    let generation = |tasks: &[Task]| match tasks.last() {
        Some(Task::Write(due)) => objects::read(&due.object).generation,
        _ => panic!("{tasks:?}"),
    };
    assert_eq!(generation(&world.tasks_with("http://a:1", 1_000)), 1_000);
    world.write();
    // Proxies show one that nobody here knows of: it says nothing, and is passed.
    assert_eq!(world.state.acknowledge(0, 57), []);
    assert!(!world.shown(Some(500)));
    assert_eq!(world.write()[0].generation, 58);
}

#[test]
fn an_object_of_an_older_version_counts_where_it_is_looked_for() {
    let mut world = World::new();
    world.want(Some(500));
    world.write();
    let mut restored = world.object.clone().expect("an object");
    restored["metadata"]["resourceVersion"] = json!("1");
    restored["spec"] = json!({});
    world.state.take(0, &restored);
    world.object = Some(restored);
    assert_eq!(world.write().len(), 1);
}

use super::*;
use crate::plan::Step;
use crate::verb;
use serde_json::{Value, json};

/// A plan of four replicas with these steps.
pub(super) fn plan(steps: Value) -> Plan {
    plan_with(steps, json!({}))
}

/// The same, with further fields of `spec`.
pub(super) fn plan_with(steps: Value, spec: Value) -> Plan {
    let mut document = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
            "strategy": {"canary": {
                "stableService": "shop", "canaryService": "shop-canary",
                "trafficRouting": {"plugins": {"serin/wasm": {}}}, "steps": steps,
            }},
        },
    });
    let fields = spec.as_object().unwrap();
    for (name, value) in fields {
        document["spec"][name] = value.clone();
    }
    Plan::parse(&document, "default").unwrap()
}

/// The same with Istio.
pub(super) fn istio_plan(steps: Value) -> Plan {
    let istio = json!({"istio": {"virtualService": {"name": "shop"}}});
    canary_plan(steps, json!({ "trafficRouting": istio }))
}

/// A plan of ten replicas with these steps and further fields of `canary`.
pub(super) fn canary_plan(steps: Value, fields: Value) -> Plan {
    let mut canary = json!({
        "stableService": "shop", "canaryService": "shop-canary", "steps": steps,
        "trafficRouting": {"plugins": {"serin/wasm": {}}},
    });
    for (name, value) in fields.as_object().unwrap() {
        canary[name] = value.clone();
    }
    let spec = json!({"replicas": 10, "strategy": {"canary": canary}});
    plan_with(json!([]), spec)
}

/// A world that does at once what a decision says.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) seen: Observation,
    pub(super) now: Timestamp,
    pub(super) last: Decision,
    pub(super) events: Vec<String>,
    /// What some proxy may run: what was asked for since they were all known to agree.
    pub(super) asked: Vec<Traffic>,
}

impl World {
    /// Version `one` serves everybody.
    pub(super) fn with(plan: Plan) -> World {
        let seen = Observation {
            template: "one".into(),
            ..Observation::default()
        };
        let last = step(&plan, &seen, Timestamp(1_000));
        let now = Timestamp(1_000);
        let mut world = World {
            plan,
            seen,
            now,
            last,
            events: Vec::new(),
            asked: Vec::new(),
        };
        world.settle();
        assert_eq!(world.last.phase, Phase::Healthy);
        world
    }

    /// Asks for another template.
    pub(super) fn release(&mut self, template: &str) {
        self.seen.template = template.into();
        self.settle();
    }

    /// One pass: decide, store, do.
    pub(super) fn pass(&mut self) {
        let before = std::mem::replace(&mut self.last, step(&self.plan, &self.seen, self.now));
        self.seen.overtaken |= before.traffic != self.last.traffic;
        self.asked.push(self.last.traffic.clone());
        self.seen.state = self.last.state.clone();
        self.events
            .extend(self.last.events.iter().map(|event| event.reason.clone()));
        let next = 1 + self
            .seen
            .sets
            .values()
            .map(|set| set.revision)
            .max()
            .unwrap_or(0);
        for (hash, pods) in &self.last.sets {
            let set = self.seen.sets.entry(hash.clone()).or_default();
            if set.revision == 0 {
                set.revision = next;
                set.created = Timestamp(next as i64);
            }
            set.desired = *pods;
        }
        for (hash, set) in &mut self.seen.sets {
            set.desired = self.last.sets.get(hash).copied().unwrap_or(0);
        }
        for run in &self.last.runs {
            let fresh = RunSeen {
                phase: RunPhase::Running,
                message: String::new(),
            };
            self.seen.runs.entry(run.name.clone()).or_insert(fresh);
        }
    }

    /// Every pod wanted is there, every proxy runs the wanted traffic.
    pub(super) fn comply(&mut self) {
        for set in self.seen.sets.values_mut() {
            set.replicas = set.desired;
            set.available = set.desired;
        }
        self.acknowledge();
    }

    /// Every proxy runs the wanted traffic.
    pub(super) fn acknowledge(&mut self) {
        self.asked = vec![self.last.traffic.clone()];
        self.seen.traffic = Some(self.last.traffic.clone());
        self.seen.overtaken = false;
    }

    /// Passes until nothing changes.
    pub(super) fn settle(&mut self) {
        for _ in 0..50 {
            let before = (self.seen.clone(), self.last.clone());
            self.pass();
            self.comply();
            if before == (self.seen.clone(), self.last.clone()) {
                return;
            }
        }
        panic!("does not settle: {:?}", self.last);
    }

    pub(super) fn later_without_acknowledgement(&mut self, seconds: i64) {
        self.now = Timestamp(self.now.0 + seconds * 1000);
        for _ in 0..5 {
            self.pass();
        }
    }

    pub(super) fn later(&mut self, seconds: i64) {
        self.now = Timestamp(self.now.0 + seconds * 1000);
        self.settle();
    }

    pub(super) fn promote(&mut self) {
        self.seen.state = verb::promote(&self.plan, &self.seen.state, false).unwrap();
        self.settle();
    }

    pub(super) fn end_run(&mut self, phase: RunPhase) {
        let run = RunSeen {
            phase,
            message: "because".into(),
        };
        for seen in self
            .seen
            .runs
            .values_mut()
            .filter(|seen| !seen.phase.completed())
        {
            *seen = run.clone();
        }
        self.settle();
    }

    pub(super) fn weight(&self) -> u16 {
        self.last
            .traffic
            .canary
            .as_ref()
            .map_or(0, |canary| canary.weight_bp)
    }

    pub(super) fn routes(&self) -> Vec<&str> {
        let canary = self.last.traffic.canary.as_ref();
        canary.map_or(Vec::new(), |c| {
            c.routes.iter().map(|r| r.name.as_str()).collect()
        })
    }
}

pub(super) fn analysis() -> Value {
    json!({"analysis": {"templates": [{"templateName": "ok"}]}})
}

pub(super) fn header_route() -> Value {
    json!({"setHeaderRoute": {"name": "beta", "match": [
        {"headerName": "x-canary", "headerValue": {"exact": "true"}}]}})
}

fn mirror_route(percentage: u32) -> Value {
    json!({"setMirrorRoute": {"name": "copy", "percentage": percentage, "match": [
        {"path": {"prefix": "/"}}]}})
}

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

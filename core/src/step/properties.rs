//! Properties of `step` over arbitrary step lists and worlds that comply late, badly or never.

use super::release::Release;
use super::world::{World, canary_plan};
use super::*;
use crate::plan::{Router, Step};
use crate::verb;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What may happen between two decisions.
#[derive(Clone, Debug)]
enum Happening {
    Comply,
    PodsCome(u32),
    PodsGo,
    ProxiesAck,
    RunsEnd(RunPhase),
    TimePasses(u16),
    Template(u8),
    Promote(bool),
    Abort,
    Retry,
    Pause(bool),
    Replicas(u32),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Comply),
        3 => (0..5_u32).prop_map(Happening::PodsCome),
        1 => Just(Happening::PodsGo),
        3 => Just(Happening::ProxiesAck),
        2 => prop_oneof![
            3 => Just(RunPhase::Successful), 1 => Just(RunPhase::Failed),
            1 => Just(RunPhase::Inconclusive), 1 => Just(RunPhase::Error),
        ].prop_map(Happening::RunsEnd),
        3 => (0..100_u16).prop_map(Happening::TimePasses),
        1 => (0..3_u8).prop_map(Happening::Template),
        2 => prop_oneof![4 => Just(false), 1 => Just(true)].prop_map(Happening::Promote),
        1 => Just(Happening::Abort),
        1 => Just(Happening::Retry),
        1 => prop_oneof![2 => Just(false), 1 => Just(true)].prop_map(Happening::Pause),
        1 => (0..8_u32).prop_map(Happening::Replicas),
    ]
}

fn one_step() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    prop_oneof![
        3 => (0..=100_u32).prop_map(|w| json!({"setWeight": w})),
        1 => Just(json!({"pause": {}})),
        1 => (0..60_u32).prop_map(|s| json!({"pause": {"duration": s}})),
        1 => Just(json!({"analysis": {"templates": [{"templateName": "ok"}]}})),
        2 => name.clone().prop_map(|name| json!({"setHeaderRoute": {"name": name, "match": [
            {"headerName": "x", "headerValue": {"exact": name}}]}})),
        1 => name.prop_map(|name| json!({"setHeaderRoute": {"name": name}})),
        1 => prop_oneof![Just("a"), Just("m")].prop_map(|name| json!({"setMirrorRoute":
            {"name": name, "match": [{"path": {"prefix": "/"}}]}})),
        1 => Just(json!({"setMirrorRoute": {"name": "m"}})),
        1 => (0..6_u32).prop_map(|n| json!({"setCanaryScale": {"replicas": n}})),
        1 => Just(json!({"setCanaryScale": {"matchTrafficWeight": true}})),
    ]
}

/// What a Rollout may ask for beside its steps.
#[derive(Clone, Debug)]
struct Case {
    steps: Vec<Value>,
    fields: Value,
    rollback_window: usize,
}

impl Case {
    fn plan(&self) -> Plan {
        let routing = &self.fields["trafficRouting"];
        let possible = |step: &&Value| {
            let by_router = ["setHeaderRoute", "setMirrorRoute", "setCanaryScale"];
            let by_istio = step.get("setMirrorRoute").is_some();
            let routed = by_router.iter().any(|name| step.get(name).is_some());
            (routing.is_object() || !routed) && (routing["istio"].is_object() || !by_istio)
        };
        let steps = self.steps.iter().filter(possible).cloned().collect();
        let mut fields = self.fields.clone();
        if routing.is_null() {
            fields["dynamicStableScale"] = Value::Null;
        }
        let mut plan = canary_plan(steps, fields);
        plan.replicas = 4;
        plan.rollback_window = self.rollback_window;
        plan
    }
}

fn fields() -> impl Strategy<Value = Value> {
    let router = prop_oneof![
        Just(Value::Null),
        Just(json!({"istio": {"virtualService": {"name": "shop"}}})),
        Just(json!({"plugins": {"serin/wasm": {}}})),
        Just(json!({"plugins": {"serin/wasm": {}}, "maxTrafficWeight": 1000})),
    ];
    let threshold = prop_oneof![
        2 => Just(Value::Null),
        1 => (1..=100_u32).prop_map(|value| json!({"type": "Percent", "value": value})),
        1 => (1..4_u32).prop_map(|value| json!({"type": "Pods", "value": value})),
    ];
    let or_null =
        |most: u32| prop_oneof![2 => Just(Value::Null), 1 => (0..most).prop_map(Value::from)];
    (
        router,
        prop_oneof![2 => Just(Value::Null), 1 => Just(json!(true))],
        ((0..3_u32, 0..3_u32), or_null(3), or_null(40), or_null(3)),
        threshold,
    )
        .prop_map(|(router, dynamic, numbers, threshold)| {
            let ((surge, unavailable), limit, abort, least) = numbers;
            json!({
                "trafficRouting": router, "dynamicStableScale": dynamic,
                "maxSurge": surge.max(1 - unavailable.min(1)), "maxUnavailable": unavailable, "scaleDownDelayRevisionLimit": limit,
                "abortScaleDownDelaySeconds": abort, "minPodsPerReplicaSet": least,
                "replicaProgressThreshold": threshold,
            })
        })
}

fn case() -> impl Strategy<Value = Case> {
    let steps = proptest::collection::vec(one_step(), 0..8);
    (steps, fields(), 0..3_usize).prop_map(|(steps, fields, rollback_window)| Case {
        steps,
        fields,
        rollback_window,
    })
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    proptest::collection::vec(happening(), 0..60)
}

impl World {
    fn happen(&mut self, happening: &Happening) {
        let sets = &mut self.seen.sets;
        match happening {
            Happening::Comply => self.comply(),
            Happening::PodsCome(n) => {
                for set in sets.values_mut() {
                    set.replicas = set.desired;
                    set.available = set.desired.min(set.available + n);
                }
            }
            Happening::PodsGo => {
                if let Some(set) = sets.get_mut(&self.seen.template) {
                    set.available = 0;
                }
            }
            Happening::ProxiesAck => self.acknowledge(),
            Happening::RunsEnd(phase) => {
                for run in self
                    .seen
                    .runs
                    .values_mut()
                    .filter(|run| !run.phase.completed())
                {
                    run.phase = *phase;
                }
            }
            Happening::TimePasses(s) => self.now = Timestamp(self.now.0 + i64::from(*s) * 1000),
            Happening::Template(n) => {
                let names = ["one", "two", "three"];
                self.seen.template = names[usize::from(*n)].to_string();
            }
            Happening::Promote(full) => {
                self.apply(verb::promote(&self.plan, &self.seen.state, *full));
            }
            Happening::Abort => self.apply(verb::abort(&self.seen.state, self.now)),
            Happening::Retry => self.apply(verb::retry(&self.seen.state, self.now)),
            Happening::Pause(paused) => self.plan.paused = *paused,
            Happening::Replicas(replicas) => self.plan.replicas = *replicas,
        }
    }

    fn apply(&mut self, asked: Result<State, verb::VerbRefusal>) {
        if let Ok(state) = asked {
            self.seen.state = state;
        }
    }
}

/// Version `two` is released over `one` and all that happens is followed by a pass.
fn story(case: &Case, happenings: &[Happening], mut look: impl FnMut(&World, &Observation)) {
    let mut world = World::with(case.plan());
    world.seen.template = "two".into();
    for happening in happenings {
        world.happen(happening);
        let before = world.seen.clone();
        world.pass();
        look(&world, &before);
    }
}

/// The names of the header and the mirror routes that the steps up to `index` leave in force, told
/// apart from the code under test: walking forward over a list of what is there.
fn routes_by_hand(plan: &Plan, index: usize) -> (Vec<String>, Vec<String>) {
    let mut there: Vec<(String, bool)> = Vec::new();
    for step in plan.steps.iter().take(index + 1) {
        let Some(name) = step.route() else { continue };
        there.retain(|(other, _)| other != name);
        match step {
            Step::AddHeaderRoute(_) => there.push((name.to_string(), true)),
            Step::AddMirrorRoute(_) => there.push((name.to_string(), false)),
            _ => {}
        }
    }
    there.sort_by_key(|(name, _)| plan.managed_routes.iter().position(|n| n == name));
    let named = |header: bool| {
        let of_kind = there.iter().filter(|(_, is)| *is == header);
        of_kind.map(|(name, _)| name.clone()).collect()
    };
    (named(true), named(false))
}

/// The pods that this part of everything needs.
fn pods_for(plan: &Plan, weight_bp: u16) -> u32 {
    (u32::from(weight_bp) * plan.replicas).div_ceil(10_000)
}

/// What is left of an earlier canary's share, which no step decides.
fn goes_back(world: &World, before: &Observation) -> bool {
    let canary = world.last.traffic.canary.as_ref();
    let share = before.state.share.as_ref();
    let state = &world.last.state;
    share.is_some_and(|share| {
        canary.is_some_and(|canary| canary.revision == share.revision)
            && (state.abort.is_some() || share.revision != state.current)
    })
}

fn in_flight(state: &State) -> bool {
    state.current != state.stable
}

proptest! {
    #[test]
    fn asking_again_gives_the_same_answer(case in case(), happenings in happenings()) {
        story(&case, &happenings, |world, before| {
            assert_eq!(step(&world.plan, before, world.now), world.last);
        });
    }

    #[test]
    fn a_restart_after_any_prefix_reaches_the_same_state(
        case in case(), happenings in happenings()
    ) {
        let mut states = Vec::new();
        story(&case, &happenings, |world, _| states.push(world.last.state.clone()));
        // The same story by a controller that forgets all but the stored text after each pass.
        let mut world = World::with(case.plan());
        world.seen.template = "two".into();
        for (happening, state) in happenings.iter().zip(states) {
            let stored = serde_json::to_string(&world.seen.state).unwrap();
            world.seen.state = serde_json::from_str(&stored).unwrap();
            let (paused, replicas) = (world.plan.paused, world.plan.replicas);
            world.plan = Plan { paused, replicas, ..case.plan() };
            world.happen(happening);
            world.pass();
            prop_assert_eq!(&world.last.state, &state);
        }
    }

    #[test]
    fn one_decision_goes_on_by_one_step_at_most(case in case(), happenings in happenings()) {
        story(&case, &happenings, |world, before| {
            let state = &world.last.state;
            let skipped = world.last.events.iter().any(|event| event.reason == "SkipSteps");
            let same = before.state.current == state.current && in_flight(state);
            if same && !skipped {
                assert!(state.index <= before.state.index + 1);
            }
            let Some(canary) = &world.last.traffic.canary else { return };
            // The weight of the step under way, or, while the canary lacks the pods for that, the one
            // before it. A full promotion may leave any step.
            let mut weights = vec![0, 0];
            weights.extend(world.plan.steps.iter().take(state.index + 1).filter_map(|step| {
                match step {
                    Step::SetWeight(weight) => Some(*weight),
                    _ => None,
                }
            }));
            let all_done = state.index >= world.plan.steps.len() || state.promote_full;
            weights.extend(all_done.then_some(10_000));
            let allowed = if all_done { &weights[..] } else { &weights[weights.len() - 2..] };
            let weight = canary.weight_bp;
            // Nothing at all is what a canary gets whose pods are gone; what it had is what it has
            // while stable's pods follow.
            let share = before.state.share.as_ref();
            let had = share.filter(|share| share.revision == canary.revision);
            let goes_down = had.is_some_and(|share| weight <= share.weight_bp);
            assert!(
                weight == 0 || goes_down || allowed.contains(&weight),
                "{weight} is none of {allowed:?}"
            );
        });
    }

    #[test]
    fn an_abort_ends_at_weight_0_without_routes(case in case(), happenings in happenings()) {
        story(&case, &happenings, |world, before| {
            if world.last.state.abort.is_some() {
                assert_eq!(world.last.runs, []);
                assert_eq!(world.last.phase, Phase::Degraded);
                let Some(canary) = &world.last.traffic.canary else { return };
                let share = before.state.share.as_ref().unwrap();
                assert!(canary.weight_bp <= share.weight_bp);
                assert_eq!((canary.routes.len(), canary.mirrors.len()), (0, 0));
            }
        });
    }

    #[test]
    fn a_route_is_in_force_exactly_when_the_steps_before_say_so(
        case in case(), happenings in happenings()
    ) {
        story(&case, &happenings, |world, before| {
            let state = &world.last.state;
            if world.plan.router == Router::ReplicaRatio {
                assert_eq!(world.last.traffic.canary, None);
                return;
            }
            if goes_back(world, before) {
                return;
            }
            let stepping = in_flight(state) && state.abort.is_none();
            let serves = before.sets.get(&state.current).is_some_and(|set| set.available > 0);
            let canary = world.last.traffic.canary.as_ref();
            let running = before.traffic.as_ref().and_then(|traffic| traffic.canary.as_ref());
            let another = running.is_some_and(|canary| canary.revision != state.current);
            assert_eq!(canary.is_some(), stepping && serves && !another);
            let over = state.promote_full || state.index >= world.plan.steps.len();
            let mut seen = before.clone();
            seen.state = state.clone();
            let surplus = Release::new(&world.plan, &seen, world.now).has_surplus();
            let routes = match (over, surplus, state.index) {
                (true, ..) | (_, true, 0) => (vec![], vec![]),
                (_, true, index) => routes_by_hand(&world.plan, index - 1),
                (_, false, index) => routes_by_hand(&world.plan, index),
            };
            if let Some(canary) = canary {
                let headers = canary.routes.iter().map(|route| route.name.clone()).collect();
                let mirrors = canary.mirrors.iter().map(|route| route.name.clone()).collect();
                assert_eq!((headers, mirrors), routes);
            }
        });
    }

    #[test]
    fn no_pod_goes_while_a_proxy_may_send_to_it(case in case(), happenings in happenings()) {
        story(&case, &happenings, |world, before| {
            if world.plan.router == Router::ReplicaRatio {
                return;
            }
            let had = |hash: &String| before.sets.get(hash).map_or(0, |set| set.desired);
            let pods = |hash: &String| world.last.sets.get(hash).copied().unwrap_or(0);
            let agreed = world.asked.iter().all(|asked| *asked == world.last.traffic);
            for running in &world.asked {
                let weight = running.canary.as_ref().map_or(0, |canary| canary.weight_bp);
                let share = match world.plan.dynamic_stable_scale {
                    true => pods_for(&world.plan, 10_000 - weight),
                    false => world.plan.replicas,
                };
                assert!(pods(&running.stable) >= had(&running.stable).min(share));
                // Of a canary that proxies send to, pods go only when they all run what is wanted.
                if let Some(canary) = &running.canary
                    && !agreed
                {
                    let least = had(&canary.revision).min(world.plan.replicas);
                    assert!(pods(&canary.revision) >= least);
                }
            }
        });
    }

    #[test]
    fn without_a_router_pods_stay_within_what_is_allowed(
        case in case(), happenings in happenings()
    ) {
        story(&case, &happenings, |world, before| {
            let plan = &world.plan;
            if plan.router != Router::ReplicaRatio {
                return;
            }
            let next = |hash: &String| world.last.sets.get(hash).copied().unwrap_or(0);
            let had: u32 = before.sets.values().map(|set| set.desired).sum();
            let has: u32 = world.last.sets.values().sum();
            let most = plan.replicas + plan.surge();
            assert!(has <= most.max(had), "{has} pods, at most {most}");
            let available = |pods: &dyn Fn(&String, &SetSeen) -> u32| -> u32 {
                before.sets.iter().map(|(hash, set)| set.available.min(pods(hash, set))).sum()
            };
            let before = available(&|_, set| set.desired);
            let after = available(&|hash, _| next(hash));
            let least = plan.replicas - plan.unavailable();
            assert!(after >= least.min(before), "{after} available, at least {least}");
        });
    }

    #[test]
    fn stable_gets_no_more_than_it_has_pods_for(case in case(), happenings in happenings()) {
        story(&case, &happenings, |world, before| {
            let state = &world.last.state;
            let Some(share) = &before.state.share else { return };
            let canary = world.last.traffic.canary.as_ref();
            let same = canary.filter(|canary| canary.revision == share.revision);
            let weight = same.map_or(0, |canary| canary.weight_bp);
            let available = |hash: &String| before.sets.get(hash).map_or(0, |set| set.available);
            // A canary without pods can keep nothing, and one that was promoted has nothing to lose.
            let gone = available(&share.revision) == 0 || state.stable == share.revision;
            if weight >= share.weight_bp || gone || !world.plan.dynamic_stable_scale {
                return;
            }
            let (all, stable) = (world.plan.replicas, available(&state.stable));
            let enough = stable + world.plan.unavailable() >= all;
            assert!(enough || u32::from(10_000 - weight) * all <= stable * 10_000);
        });
    }

    #[test]
    fn a_world_that_complies_brings_every_release_to_its_end(case in case(), good in any::<bool>()) {
        let count = case.steps.len();
        let mut world = World::with(case.plan());
        world.release("two");
        let phase = if good { RunPhase::Successful } else { RunPhase::Failed };
        for _ in 0..=count * 2 {
            world.happen(&Happening::RunsEnd(phase));
            world.happen(&Happening::TimePasses(100));
            if world.last.phase == Phase::Paused {
                world.happen(&Happening::Promote(false));
            }
            world.settle();
        }
        let aborted = world.last.state.abort.is_some();
        prop_assert!(!(good && aborted));
        let (phase, stable) =
            if aborted { (Phase::Degraded, "one") } else { (Phase::Healthy, "two") };
        prop_assert_eq!(world.last.phase, phase);
        prop_assert_eq!(&world.last.traffic, &Traffic { stable: stable.into(), canary: None });
        prop_assert_eq!(&world.last.services.canary, stable);
        prop_assert_eq!(world.last.sets[stable], world.plan.replicas);
    }

    #[test]
    fn whatever_happened_a_breach_ends_at_stable_alone(
        case in case(), happenings in happenings()
    ) {
        let mut world = World::with(case.plan());
        world.seen.template = "two".into();
        for happening in &happenings {
            world.happen(happening);
            world.pass();
        }
        world.happen(&Happening::Pause(false));
        world.happen(&Happening::Abort);
        world.settle();
        if world.last.state.abort.is_some() {
            let stable = world.last.state.stable.clone();
            prop_assert_eq!(&world.last.traffic, &Traffic { stable: stable.clone(), canary: None });
            prop_assert_eq!(world.last.sets[&stable], world.plan.replicas);
        }
    }

    #[test]
    fn a_world_at_rest_is_not_decided_anew(case in case(), happenings in happenings(), s in 1..9_i64) {
        let mut world = World::with(case.plan());
        world.seen.template = "two".into();
        for happening in &happenings {
            world.happen(happening);
            world.pass();
        }
        world.settle();
        let before = world.last.clone();
        let wait = before.look_again.unwrap_or(Duration::from_secs(3_600));
        prop_assert!(!wait.is_zero(), "looks again at once, for ever");
        // Before anything is due, asking later changes nothing that would be stored.
        world.now = Timestamp(world.now.0 + (s * 1_000).min(wait.as_millis() as i64 - 1));
        world.pass();
        prop_assert_eq!(&world.last.state, &before.state);
        prop_assert_eq!(&world.last.events, &Vec::new());
    }

    #[test]
    fn finished_states_stay(case in case(), hours in 1..100_i64) {
        let mut world = World::with(case.plan());
        world.release("two");
        world.seen.state = verb::promote(&world.plan, &world.seen.state, true)
            .unwrap_or(world.seen.state.clone());
        world.settle();
        prop_assert_eq!(world.last.phase, Phase::Healthy);
        let before = world.last.clone();
        world.now = Timestamp(world.now.0 + hours * 3_600_000);
        world.settle();
        prop_assert_eq!(world.last.phase, Phase::Healthy);
        prop_assert_eq!(&world.last.traffic, &before.traffic);
        prop_assert_eq!(&world.last.services, &before.services);
    }
}

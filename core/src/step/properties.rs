//! Properties of `step` over arbitrary step lists and worlds that comply late, badly or never.

use super::tests::{World, plan};
use super::*;
use crate::plan::Step;
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
        1 => (0..6_u32).prop_map(|n| json!({"setCanaryScale": {"replicas": n}})),
        1 => Just(json!({"setCanaryScale": {"matchTrafficWeight": true}})),
    ]
}

fn steps() -> impl Strategy<Value = Value> {
    proptest::collection::vec(one_step(), 0..8).prop_map(Value::Array)
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
        }
    }

    fn apply(&mut self, asked: Result<State, verb::VerbRefusal>) {
        if let Ok(state) = asked {
            self.seen.state = state;
        }
    }
}

/// Version `two` is released over `one` and all that happens is followed by a pass.
fn story(steps: Value, happenings: &[Happening], mut look: impl FnMut(&World, &Observation)) {
    let mut world = World::with(plan(steps));
    world.seen.template = "two".into();
    for happening in happenings {
        world.happen(happening);
        let before = world.seen.clone();
        world.pass();
        look(&world, &before);
    }
}

/// What the steps up to `index` leave in force, told apart from the code under test: walking
/// forward over a list of what is there.
fn routes_by_hand(plan: &Plan, index: usize) -> Vec<HeaderRoute> {
    let mut there: Vec<HeaderRoute> = Vec::new();
    for step in plan.steps.iter().take(index + 1) {
        match step {
            Step::AddHeaderRoute(route) => {
                there.retain(|other| other.name != route.name);
                there.push(route.clone());
            }
            Step::RemoveHeaderRoute(name) => there.retain(|other| other.name != *name),
            _ => {}
        }
    }
    let place = |route: &HeaderRoute| plan.managed_routes.iter().position(|n| *n == route.name);
    there.sort_by_key(place);
    there
}

fn in_flight(state: &State) -> bool {
    state.current != state.stable
}

proptest! {
    #[test]
    fn asking_again_gives_the_same_answer(steps in steps(), happenings in happenings()) {
        story(steps, &happenings, |world, before| {
            assert_eq!(step(&world.plan, before, world.now), world.last);
        });
    }

    #[test]
    fn a_restart_after_any_prefix_reaches_the_same_state(
        steps in steps(), happenings in happenings()
    ) {
        let mut states = Vec::new();
        story(steps.clone(), &happenings, |world, _| states.push(world.last.state.clone()));
        // The same story by a controller that forgets all but the stored text after each pass.
        let mut world = World::with(plan(steps.clone()));
        world.seen.template = "two".into();
        for (happening, state) in happenings.iter().zip(states) {
            let stored = serde_json::to_string(&world.seen.state).unwrap();
            world.seen.state = serde_json::from_str(&stored).unwrap();
            world.plan = plan(steps.clone());
            world.happen(happening);
            world.pass();
            prop_assert_eq!(&world.last.state, &state);
        }
    }

    #[test]
    fn one_decision_goes_on_by_one_step_at_most(steps in steps(), happenings in happenings()) {
        story(steps, &happenings, |world, before| {
            let state = &world.last.state;
            let same = before.state.current == state.current && in_flight(state);
            if same {
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
            // Nothing at all is what a canary gets whose pods are gone.
            assert!(weight == 0 || allowed.contains(&weight), "{weight} is none of {allowed:?}");
        });
    }

    #[test]
    fn an_abort_ends_at_weight_0_without_header_routes(
        steps in steps(), happenings in happenings()
    ) {
        story(steps, &happenings, |world, _| {
            if world.last.state.abort.is_some() {
                assert_eq!(world.last.traffic.canary, None);
                assert_eq!(world.last.runs, []);
                assert_eq!(world.last.phase, Phase::Degraded);
            }
        });
    }

    #[test]
    fn a_header_route_is_in_force_exactly_when_the_steps_before_say_so(
        steps in steps(), happenings in happenings()
    ) {
        story(steps, &happenings, |world, before| {
            let state = &world.last.state;
            let stepping = in_flight(state) && state.abort.is_none();
            let serves = before.sets.get(&state.current).is_some_and(|set| set.available > 0);
            let canary = world.last.traffic.canary.as_ref();
            let running = before.traffic.as_ref().and_then(|traffic| traffic.canary.as_ref());
            let another = running.is_some_and(|canary| canary.revision != state.current);
            assert_eq!(canary.is_some(), stepping && serves && !another);
            let over = state.promote_full || state.index >= world.plan.steps.len();
            let routes = if over { vec![] } else { routes_by_hand(&world.plan, state.index) };
            if let Some(canary) = canary {
                assert_eq!(canary.routes, routes);
            }
        });
    }

    #[test]
    fn no_pod_goes_while_a_proxy_may_send_to_it(steps in steps(), happenings in happenings()) {
        story(steps, &happenings, |world, before| {
            let least = |hash: &String| {
                before.sets.get(hash).map_or(0, |set| set.desired.min(world.plan.replicas))
            };
            let pods = |hash: &String| world.last.sets.get(hash).copied().unwrap_or(0);
            for running in &world.asked {
                assert!(pods(&running.stable) >= least(&running.stable));
                // Of a canary that proxies send to, pods go only when they all run what is wanted.
                if let Some(canary) = &running.canary
                    && world.asked.iter().any(|asked| *asked != world.last.traffic)
                {
                    assert!(pods(&canary.revision) >= least(&canary.revision));
                }
            }
        });
    }

    #[test]
    fn a_world_that_complies_brings_every_release_to_its_end(steps in steps(), good in any::<bool>()) {
        let count = steps.as_array().map_or(0, Vec::len);
        let mut world = World::with(plan(steps));
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
    }

    #[test]
    fn a_world_at_rest_is_not_decided_anew(steps in steps(), happenings in happenings(), s in 1..9_i64) {
        let mut world = World::with(plan(steps));
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
    fn finished_states_stay(steps in steps(), hours in 1..100_i64) {
        let mut world = World::with(plan(steps));
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

//! What the Services select.

use super::release::Release;
use super::{PingPong, Services, State, TakingTurns, Traffic};
use crate::plan::Plan;

/// The names that the router sends to: stable's Service and the canary's. Where both are named those
/// of `stableService` and `canaryService`, otherwise those that take turns.
pub fn routed_services<'p>(plan: &'p Plan, state: &State) -> (Option<&'p str>, Option<&'p str>) {
    let named = (
        plan.stable_service.as_deref(),
        plan.canary_service.as_deref(),
    );
    match (named, &plan.ping_pong) {
        ((None, None), Some(services)) => {
            let (ping, pong) = (Some(&*services.ping), Some(&*services.pong));
            match stable_turn(state) {
                PingPong::Ping => (ping, pong),
                PingPong::Pong => (pong, ping),
            }
        }
        _ => named,
    }
}

/// Whose turn it is to serve stable; before a version was stable it is pong's, so the first
/// version arrives at ping, and ping's turn begins with it.
fn stable_turn(state: &State) -> PingPong {
    state.stable_ping_pong.unwrap_or(PingPong::Pong)
}

impl Release<'_> {
    /// The canary Service follows the traffic: it selects the canary before the first request
    /// goes there, and stable only after every proxy is known to send none any more.
    pub(super) fn wanted_services(&self, wanted: &Traffic) -> Services {
        let known = self.seen.traffic.as_ref();
        let running = known.and_then(|traffic| traffic.canary.as_ref());
        let routed = wanted.canary.as_ref().or(running);
        let canary = match self.by_pods() {
            true => self.on_trial_with_pods().then_some(&self.state.current),
            false => routed.map(|canary| &canary.revision),
        };
        let canary = canary.unwrap_or(&wanted.stable);
        Services {
            stable: wanted.stable.clone(),
            canary: canary.clone(),
            ping_pong: self.taking_turns(wanted, canary),
        }
    }

    /// What the Services that take turns select: `canary` is what the one not serving stable does,
    /// but for the time in which a proxy may still take it for stable's, as it was before the turn.
    fn taking_turns(&self, wanted: &Traffic, canary: &str) -> Option<TakingTurns> {
        self.plan.ping_pong.as_ref()?;
        let known = self.seen.traffic.as_ref().map(|traffic| &*traffic.stable);
        let before = known.filter(|hash| *hash != wanted.stable && self.set(hash).available > 0);
        let before = before.filter(|_| wanted.canary.is_none() && !self.by_pods());
        let stable = wanted.stable.clone();
        let other = before.unwrap_or(canary).to_string();
        let turn = stable_turn(&self.state);
        let (ping, pong) = match turn {
            PingPong::Ping => (stable, other),
            PingPong::Pong => (other, stable),
        };
        Some(TakingTurns {
            stable: turn,
            ping,
            pong,
        })
    }

    /// The other Service's turn, with a version that becomes stable.
    pub(super) fn take_turns(&mut self) {
        if self.plan.ping_pong.is_some() {
            self.state.stable_ping_pong = Some(match stable_turn(&self.state) {
                PingPong::Ping => PingPong::Pong,
                PingPong::Pong => PingPong::Ping,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, analysis, canary_plan};
    use super::super::{Phase, RunPhase};
    use super::*;
    use crate::plan::Plan;
    use serde_json::{Value, json};

    fn plan(steps: Value) -> Plan {
        canary_plan(
            steps,
            json!({
                "stableService": null, "canaryService": null,
                "trafficRouting": {"istio": {"virtualService": {"name": "shop"}}},
                "pingPong": {"pingService": "shop-ping", "pongService": "shop-pong"},
            }),
        )
    }

    fn turns(world: &World) -> (PingPong, &str, &str) {
        let services = world.last.services.ping_pong.as_ref().unwrap();
        (services.stable, &services.ping, &services.pong)
    }

    fn names(world: &World) -> (Option<&str>, Option<&str>) {
        routed_services(&world.plan, &world.last.state)
    }

    #[test]
    fn a_service_keeps_its_version_while_requests_arrive() {
        let mut world = World::with(plan(json!([{"setWeight": 50}, {"pause": {}}])));
        assert_eq!(turns(&world), (PingPong::Ping, "one", "one"));
        assert_eq!(names(&world), (Some("shop-ping"), Some("shop-pong")));
        world.release("two");
        assert_eq!(turns(&world), (PingPong::Ping, "one", "two"));
        world.seen.state = crate::verb::promote(&world.plan, &world.seen.state, true).unwrap();
        while world.last.state.stable == "one" {
            world.pass();
            world.comply();
        }
        world.seen.traffic.as_mut().unwrap().stable = "one".into();
        world.pass();
        assert_eq!(
            turns(&world),
            (PingPong::Pong, "one", "two"),
            "proxies send to both yet"
        );
        assert_eq!(names(&world), (Some("shop-pong"), Some("shop-ping")));
        world.settle();
        assert_eq!(turns(&world), (PingPong::Pong, "two", "two"));
        world.release("three");
        assert_eq!(turns(&world), (PingPong::Pong, "three", "two"));
    }

    #[test]
    fn a_canary_taken_back_ends_nobodys_turn() {
        let mut world = World::with(plan(json!([{"setWeight": 50}, analysis()])));
        world.release("two");
        for run in world.seen.runs.values_mut() {
            run.phase = RunPhase::Failed;
        }
        world.pass();
        assert_eq!(
            turns(&world),
            (PingPong::Ping, "one", "two"),
            "until proxies know"
        );
        world.settle();
        assert_eq!(world.last.phase, Phase::Degraded);
        assert_eq!(turns(&world), (PingPong::Ping, "one", "one"));
    }

    #[test]
    fn whose_turn_it_is_outlives_another_template() {
        let mut world = World::with(plan(json!([{"setWeight": 50}, {"pause": {}}])));
        world.release("two");
        world.release("three");
        assert_eq!(turns(&world), (PingPong::Ping, "one", "three"));
    }

    #[test]
    fn names_of_stable_and_canary_come_first_for_the_router() {
        let mut plan = plan(json!([]));
        plan.stable_service = Some("shop".into());
        plan.canary_service = Some("shop-canary".into());
        let names = routed_services(&plan, &State::default());
        assert_eq!(names, (Some("shop"), Some("shop-canary")));
    }
}

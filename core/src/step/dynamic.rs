//! `dynamicStableScale`: stable has only the pods that its share of the requests needs, so the
//! share may grow back only as fast as its pods do.

use super::release::{ALL_BP, Release};
use super::{CanaryTraffic, Share, Traffic};
use crate::plan::Step;

impl Release<'_> {
    /// A version that is to lose its share and cannot at once: one that was taken back, or that
    /// another template has taken the place of. It keeps what stable has no pods for.
    pub(super) fn retreat(&self) -> Option<CanaryTraffic> {
        let share = self.last_share()?;
        let goes_on = self.stepping() && share.revision == self.state.current;
        let has_pods = self.set(&share.revision).available > 0;
        if goes_on || share.revision == self.state.stable || !has_pods {
            return None;
        }
        let weight_bp = share.weight_bp.min(self.beyond_stable());
        (weight_bp > 0).then(|| CanaryTraffic {
            revision: share.revision.clone(),
            weight_bp,
            routes: Vec::new(),
            mirrors: Vec::new(),
        })
    }

    /// The weight of a canary on trial that stable has no pods to take over yet.
    pub(super) fn held_weight(&self) -> u16 {
        match self.last_share() {
            Some(share) if share.revision == self.state.current => {
                share.weight_bp.min(self.beyond_stable())
            }
            _ => 0,
        }
    }

    /// The share of stable's pods that the wanted traffic needs, and the next one: when a canary
    /// loses its share, as much as the steps' next lower weight leaves to stable, so that there are
    /// never many more pods than `spec.replicas`.
    pub(super) fn stable_pods(&self, wanted: &Traffic) -> u32 {
        if !self.plan.dynamic_stable_scale {
            return self.plan.replicas;
        }
        let weight = wanted.canary.as_ref().map_or(0, |canary| canary.weight_bp);
        let next = match self.retreat() {
            Some(_) => self.step_below(weight),
            None => self.set_weight().min(weight),
        };
        self.at_least(self.share(u64::from(ALL_BP - next.min(ALL_BP)), u64::from(ALL_BP)))
    }

    /// What to remember of this traffic.
    pub(super) fn share_of(&self, wanted: &Traffic) -> Option<Share> {
        let canary = wanted.canary.as_ref();
        let canary = canary.filter(|_| self.plan.dynamic_stable_scale)?;
        Some(Share {
            revision: canary.revision.clone(),
            weight_bp: canary.weight_bp,
        })
    }

    fn last_share(&self) -> Option<&Share> {
        let share = self.seen.state.share.as_ref();
        share.filter(|_| self.plan.dynamic_stable_scale)
    }

    /// The part of all requests that stable's available pods are too few for. As many pods as
    /// `maxUnavailable` leaves are enough for everything.
    fn beyond_stable(&self) -> u16 {
        let (available, all) = (self.set(&self.state.stable).available, self.plan.replicas);
        let enough = available + self.plan.unavailable() >= all;
        if enough && (available > 0 || all == 0) {
            return 0;
        }
        let taken = u64::from(ALL_BP) * u64::from(available) / u64::from(all.max(1));
        let rest = u64::from(ALL_BP).saturating_sub(taken);
        // In the router's own units; stable never gets more than it has pods for.
        let max = u64::from(self.plan.max_weight.max(1));
        let units = (rest * max).div_ceil(u64::from(ALL_BP));
        u16::try_from(units * u64::from(ALL_BP) / max).unwrap_or(ALL_BP)
    }

    /// The greatest weight of a step below this one.
    fn step_below(&self, weight: u16) -> u16 {
        let weights = self.plan.steps.iter().filter_map(|step| match step {
            Step::SetWeight(set) => Some(*set),
            _ => None,
        });
        weights.filter(|set| *set < weight).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, analysis, canary_plan};
    use super::super::{Phase, RunPhase, State, Traffic};
    use crate::verb;
    use serde_json::{Value, json};

    /// Ten replicas at the second of these weights, with no pod to spare.
    fn at_80(fields: Value) -> World {
        let steps = json!([{"setWeight": 30}, {"pause": {}}, {"setWeight": 80}, analysis()]);
        let mut all = json!({"dynamicStableScale": true, "maxUnavailable": 0});
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        let mut world = World::with(canary_plan(steps, all));
        world.release("two");
        world.promote();
        assert_eq!((world.weight(), pods(&world)), (8000, (2, 8)));
        world
    }

    fn pods(world: &World) -> (u32, u32) {
        let pods = |hash| world.last.sets.get(hash).copied().unwrap_or(0);
        (pods("one"), pods("two"))
    }

    /// So many of stable's pods become available, and every proxy does as asked.
    fn come(world: &mut World, available: u32) -> (u16, (u32, u32)) {
        for set in world.seen.sets.values_mut() {
            set.replicas = set.desired;
            set.available = set.available.min(set.desired);
        }
        let stable = world.seen.sets.get_mut("one").unwrap();
        stable.available = available.min(stable.desired);
        for _ in 0..3 {
            world.pass();
            world.acknowledge();
        }
        (world.weight(), pods(world))
    }

    fn fail(world: &mut World) {
        for run in world.seen.runs.values_mut() {
            run.phase = RunPhase::Failed;
        }
        world.pass();
    }

    #[test]
    fn stables_pods_go_once_every_proxy_sends_them_less() {
        let steps = json!([{"setWeight": 30}, {"pause": {}}]);
        let mut world = World::with(canary_plan(steps, json!({"dynamicStableScale": true})));
        world.seen.template = "two".into();
        world.pass();
        assert_eq!(pods(&world), (10, 3));
        world.comply();
        world.pass();
        assert_eq!((world.weight(), pods(&world)), (3000, (10, 3)));
        world.acknowledge();
        world.pass();
        assert_eq!(pods(&world), (7, 3));
    }

    #[test]
    fn an_abort_walks_back_as_stables_pods_become_available() {
        let mut world = at_80(json!({}));
        fail(&mut world);
        assert_eq!(world.last.phase, Phase::Degraded);
        assert_eq!(
            (world.weight(), pods(&world)),
            (8000, (7, 8)),
            "to the step below"
        );
        assert_eq!(come(&mut world, 2), (8000, (7, 8)));
        assert_eq!(come(&mut world, 5), (5000, (7, 5)));
        assert_eq!(come(&mut world, 7), (3000, (10, 3)));
        assert_eq!(come(&mut world, 9), (1000, (10, 1)));
        assert_eq!(come(&mut world, 10), (0, (10, 0)));
        assert_eq!(world.last.services.canary, "one");
        assert_eq!(world.last.state.share, None);
    }

    #[test]
    fn pods_that_may_be_unavailable_are_not_waited_for() {
        let mut world = at_80(json!({"maxUnavailable": 2}));
        fail(&mut world);
        assert_eq!(come(&mut world, 7), (3000, (10, 3)));
        assert_eq!(come(&mut world, 8), (0, (10, 0)));
    }

    #[test]
    fn a_share_does_not_grow_back_when_pods_of_stable_go_again() {
        let mut world = at_80(json!({}));
        fail(&mut world);
        assert_eq!(come(&mut world, 5), (5000, (7, 5)));
        assert_eq!(come(&mut world, 3).0, 5000);
    }

    #[test]
    fn going_back_to_the_stable_template_walks_too() {
        let mut world = at_80(json!({}));
        world.seen.template = "one".into();
        world.pass();
        assert_eq!((world.weight(), pods(&world)), (8000, (7, 8)));
        assert_eq!(world.last.phase, Phase::Progressing);
        assert_eq!(world.last.services.canary, "two");
        assert_eq!(come(&mut world, 7), (3000, (10, 3)));
        world.settle();
        assert_eq!((world.last.phase, pods(&world)), (Phase::Healthy, (10, 0)));
    }

    #[test]
    fn another_template_waits_for_the_walk_of_the_one_before() {
        let mut world = at_80(json!({}));
        world.seen.template = "three".into();
        world.pass();
        let revision = |world: &World| {
            let canary = world.last.traffic.canary.as_ref();
            canary.map(|canary| canary.revision.clone())
        };
        assert_eq!(
            (world.weight(), revision(&world)),
            (8000, Some("two".into()))
        );
        world.seen.sets.get_mut("three").unwrap().available = 3;
        assert_eq!(come(&mut world, 5), (5000, (7, 5)));
        assert_eq!(world.last.state.index, 0, "its own weight is not there yet");
        world.settle();
        assert_eq!(
            (world.weight(), revision(&world)),
            (3000, Some("three".into()))
        );
        assert_eq!((pods(&world), world.last.sets["three"]), ((7, 0), 3));
    }

    #[test]
    fn a_lower_weight_waits_for_stables_pods() {
        let steps = json!([{"setWeight": 80}, {"pause": {}}, {"setWeight": 30}, {"pause": {}}]);
        let fields = json!({"dynamicStableScale": true, "maxUnavailable": 0});
        let mut world = World::with(canary_plan(steps, fields));
        world.release("two");
        world.seen.state = verb::promote(&world.plan, &world.seen.state, false).unwrap();
        world.pass();
        world.pass();
        assert_eq!((world.weight(), pods(&world)), (8000, (7, 8)));
        assert_eq!(come(&mut world, 6), (4000, (7, 4)));
        assert_eq!(world.last.state.index, 2);
        assert_eq!(come(&mut world, 7), (3000, (7, 3)));
        assert_eq!(world.last.phase, Phase::Paused);
    }

    #[test]
    fn what_was_asked_for_outlives_what_is_known_of_the_proxies() {
        let mut world = at_80(json!({}));
        fail(&mut world);
        world.seen.traffic = None;
        let stored = serde_json::to_string(&world.last.state).unwrap();
        world.seen.state = serde_json::from_str::<State>(&stored).unwrap();
        world.pass();
        assert_eq!((world.weight(), pods(&world)), (8000, (7, 8)));
    }

    #[test]
    fn an_abort_delay_that_is_asked_for_keeps_the_canarys_pods() {
        let mut world = at_80(json!({"abortScaleDownDelaySeconds": 20}));
        fail(&mut world);
        assert_eq!(come(&mut world, 5), (5000, (7, 8)));
        assert_eq!(come(&mut world, 7), (3000, (10, 8)));
        assert_eq!(come(&mut world, 10), (0, (10, 8)));
        world.later(20);
        assert_eq!(pods(&world), (10, 0));
    }

    #[test]
    fn a_pause_does_not_hold_up_an_abort() {
        let mut world = at_80(json!({}));
        world.plan.paused = true;
        world.settle();
        fail(&mut world);
        assert_eq!(pods(&world), (7, 8));
        world.settle();
        assert_eq!((world.weight(), pods(&world)), (0, (10, 8)));
    }

    #[test]
    fn a_promotion_leaves_nothing_of_the_old_version() {
        let mut world = at_80(json!({}));
        world.end_run(RunPhase::Successful);
        assert_eq!((world.last.phase, pods(&world)), (Phase::Healthy, (0, 10)));
        let all = Traffic {
            stable: "two".into(),
            canary: None,
        };
        assert_eq!(world.last.traffic, all);
    }
}

//! No router: every pod gets the same part of the requests, so the share of pods is the weight. How
//! many pods each version should have now follows from the weight and from how many there may be at
//! most (`maxSurge`) and must be available at least (`maxUnavailable`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::SetSeen;
use super::release::{ALL_BP, Release};
use crate::plan::{Plan, Router};

/// Pods of both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) canary: i64,
    pub(super) stable: i64,
}

/// How many pods there may be.
#[derive(Clone, Copy, Debug)]
struct Room {
    most: i64,
    least_available: i64,
}

impl Release<'_> {
    /// Whether the share of pods moves the traffic.
    pub(super) fn by_pods(&self) -> bool {
        self.plan.router == Router::ReplicaRatio
    }

    /// The pods that the weight asks for in the end.
    pub(super) fn split_goal(&self) -> Split {
        goal(self.plan, self.set_weight())
    }

    /// Whether the pods are as the weight asks: enough of the canary's, exactly stable's, and none
    /// of any other version, which would have a share too.
    pub(super) fn split_reached(&self) -> bool {
        let (goal, stable) = (self.split_goal(), self.set(&self.state.stable));
        let wanted = u32::try_from(goal.canary).unwrap_or(0);
        self.plan.enough(self.canary().available, wanted)
            && goal.stable == i64::from(stable.desired)
            && goal.stable == i64::from(stable.replicas)
            && self.other_sets().all(|(_, set)| set.available == 0)
    }

    /// Whether only the version asked for has pods.
    pub(super) fn old_pods_are_gone(&self) -> bool {
        let stable = self.set(&self.state.stable);
        let alone = self.state.stable == self.state.current || stable.replicas == 0;
        alone && self.other_sets().all(|(_, set)| set.replicas == 0)
    }

    /// The pods that every version should have now.
    pub(super) fn ratio_sets(&self) -> BTreeMap<String, u32> {
        let plan = self.plan;
        let room = Room {
            most: i64::from(plan.replicas) + i64::from(plan.surge()),
            least_available: i64::from(plan.replicas) - i64::from(plan.unavailable()),
        };
        let others = self.other_sets().map(|(_, set)| i64::from(set.desired));
        let others = others.sum();
        let (canary, stable) = (self.canary(), self.set(&self.state.stable));
        let next = match self.in_flight() {
            true => next(
                self.split_goal(),
                room,
                Versions {
                    canary,
                    stable,
                    others,
                },
            ),
            false => Split {
                canary: alone(plan, room, canary, others),
                stable: 0,
            },
        };
        let available = held(canary) + if self.in_flight() { held(stable) } else { 0 };
        let mut sets = self.others_next(room, available);
        let count = |pods: i64| u32::try_from(pods).unwrap_or(0);
        if self.in_flight() {
            sets.insert(self.state.stable.clone(), count(next.stable));
        }
        sets.insert(self.state.current.clone(), count(next.canary));
        sets
    }

    /// Old versions go first: what of them is not available at once, the rest as far as the least
    /// number of available pods allows. `available` are those of the versions in force.
    fn others_next(&self, room: Room, available: i64) -> BTreeMap<String, u32> {
        let mut others: Vec<_> = self.other_sets().collect();
        others.sort_by_key(|(_, set)| Reverse(set.revision));
        let all = available + others.iter().map(|(_, set)| held(**set)).sum::<i64>();
        let mut spare = (all - room.least_available).max(0);
        let next = others.into_iter().map(|(hash, set)| {
            let go = held(*set).min(spare);
            spare -= go;
            (hash.clone(), u32::try_from(held(*set) - go).unwrap_or(0))
        });
        next.collect()
    }

    /// The versions that are neither stable nor asked for.
    fn other_sets(&self) -> impl Iterator<Item = (&String, &SetSeen)> {
        let (current, stable) = (&self.state.current, &self.state.stable);
        let sets = self.seen.sets.iter();
        sets.filter(move |(hash, _)| *hash != current && *hash != stable)
    }
}

/// The pods whose share comes closest to the weight. With two pods or more neither version goes
/// without for a weight that is neither nothing nor everything; one pod of the surge may help.
fn goal(plan: &Plan, weight_bp: u16) -> Split {
    let (replicas, weight, all) = (
        i64::from(plan.replicas),
        i64::from(weight_bp),
        i64::from(ALL_BP),
    );
    if replicas == 0 {
        return Split {
            canary: 0,
            stable: 0,
        };
    }
    let surge = plan.surge() > 0;
    let (floor, rest) = (replicas * weight / all, replicas * weight % all);
    let ceil = floor + i64::from(rest > 0);
    let one_sided = weight == 0 || weight == all || (replicas == 1 && !surge);
    let mut best: Option<(i64, i64)> = None;
    let totals = if surge { 0..=1 } else { 0..=0 };
    for total in totals.map(|extra| replicas + extra) {
        // Rounded up first: of two that are as close the canary gets the greater.
        for canary in [ceil, floor] {
            let both = canary > 0 && canary < total;
            if (one_sided || both) && closer(weight, (canary, total), best) {
                best = Some((canary, total));
            }
        }
    }
    let (canary, total) = best.unwrap_or((0, replicas));
    Split {
        canary,
        stable: total - canary,
    }
}

/// Whether `one` of so many pods is closer to the weight than `best`.
fn closer(weight: i64, one: (i64, i64), best: Option<(i64, i64)>) -> bool {
    let off = |(canary, total): (i64, i64)| (canary * i64::from(ALL_BP) - weight * total).abs();
    best.is_none_or(|best| off(one) * best.1 < off(best) * one.1)
}

/// What there is in a release.
#[derive(Clone, Copy)]
struct Versions {
    canary: SetSeen,
    stable: SetSeen,
    /// Pods asked for of all other versions.
    others: i64,
}

/// The next pods of two versions on their way to `goal`: more as far as there is room, stable
/// first; then fewer as far as enough stay available. Which of the two shrinks need not be available
/// itself: a version that is broken must not stand in the way of the other.
fn next(goal: Split, room: Room, seen: Versions) -> Split {
    let pods = |set: SetSeen| i64::from(set.desired);
    let (canary, stable) = (pods(seen.canary), pods(seen.stable));
    let mut free = (room.most - canary - stable - seen.others).max(0);
    let mut grow = |pods: i64, goal: i64| {
        let more = (goal - pods).clamp(0, free);
        free -= more;
        pods + more
    };
    let (stable_next, canary_next) = (grow(stable, goal.stable), grow(canary, goal.canary));
    let grown = Split {
        canary: canary_next,
        stable: stable_next,
    };
    if seen.others > 0 {
        return grown;
    }
    let of_canary = Version {
        seen: seen.canary,
        next: grown.canary,
        goal: goal.canary,
    };
    let of_stable = Version {
        seen: seen.stable,
        next: grown.stable,
        goal: goal.stable,
    };
    if goal.canary >= canary {
        let (stable, canary) = shrink(of_stable, of_canary, room);
        Split { canary, stable }
    } else {
        let (canary, stable) = shrink(of_canary, of_stable, room);
        Split { canary, stable }
    }
}

/// One version on its way.
#[derive(Clone, Copy)]
struct Version {
    seen: SetSeen,
    next: i64,
    goal: i64,
}

/// Takes pods from one version, as many as can be spared; where there are too many all the same,
/// such as after fewer replicas were asked for, from the other too, but so that enough stay
/// available.
fn shrink(from: Version, beside: Version, room: Room) -> (i64, i64) {
    let pods = i64::from(from.seen.desired);
    let spare = pods + held(beside.seen) - room.least_available;
    if spare <= 0 {
        return (from.next, beside.next);
    }
    let next = match pods > from.goal {
        true => from.goal.max(pods - spare),
        false => from.next,
    };
    let available = |version: Version| i64::from(version.seen.available);
    let over = |beside: i64| (next + beside - room.most).max(0);
    let less = beside.next - over(beside.next);
    let left = available(from).min(next) + available(beside).min(less);
    let missing = (room.least_available - left).max(0);
    let back = (available(beside) - less).max(0).min(missing);
    let beside = less + back;
    (next - over(beside), beside)
}

/// The pods of a version that has all the requests to itself.
fn alone(plan: &Plan, room: Room, set: SetSeen, others: i64) -> i64 {
    let (wanted, pods) = (i64::from(plan.replicas), i64::from(set.desired));
    let free = (room.most - pods - others).max(0);
    wanted.min(pods + free)
}

/// Pods that are available and stay.
fn held(set: SetSeen) -> i64 {
    i64::from(set.available.min(set.desired))
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, analysis, canary_plan};
    use super::super::{Phase, RunPhase, Why};
    use super::*;
    use crate::plan::Amount;
    use crate::verb;
    use serde_json::{Value, json};

    /// Without a router.
    fn plan(steps: Value, fields: Value) -> Plan {
        let mut all = json!({"trafficRouting": null});
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        canary_plan(steps, all)
    }

    fn goal_of(replicas: u32, percent: u16, surge: u32) -> (i64, i64) {
        let mut plan = plan(json!([]), json!({}));
        plan.replicas = replicas;
        plan.max_surge = Some(Amount::Pods(surge));
        let goal = goal(&plan, percent * 100);
        (goal.canary, goal.stable)
    }

    #[test]
    fn the_pods_come_closest_to_the_weight() {
        for (replicas, percent, surge, wanted) in [
            (0, 50, 1, (0, 0)),
            (10, 0, 1, (0, 10)),
            (10, 100, 1, (10, 0)),
            (10, 14, 0, (1, 9)),
            (10, 15, 0, (2, 8)),
            (10, 19, 1, (2, 9)),
            (10, 24, 1, (3, 8)),
            (10, 99, 1, (10, 1)),
            (3, 50, 0, (2, 1)),
            (3, 50, 1, (2, 2)),
            (3, 10, 1, (1, 3)),
        ] {
            assert_eq!(
                goal_of(replicas, percent, surge),
                wanted,
                "{percent} % of {replicas}"
            );
        }
    }

    #[test]
    fn neither_version_goes_without_but_of_a_single_pod() {
        assert_eq!(goal_of(10, 1, 0), (1, 9));
        assert_eq!(goal_of(10, 99, 0), (9, 1));
        assert_eq!(
            goal_of(10, 95, 0),
            (9, 1),
            "Argo Rollouts has none of the canary here"
        );
        assert_eq!(goal_of(1, 49, 0), (0, 1));
        assert_eq!(goal_of(1, 50, 0), (1, 0));
        assert_eq!(goal_of(1, 1, 1), (1, 1));
    }

    /// The next pods for a weight of ten replicas; versions are asked for and available.
    fn next_of(
        percent: u16,
        room: (u32, u32),
        canary: (u32, u32),
        stable: (u32, u32),
    ) -> (i64, i64) {
        let mut plan = plan(json!([]), json!({}));
        plan.max_surge = Some(Amount::Pods(room.0));
        plan.max_unavailable = Some(Amount::Pods(room.1));
        let set = |(desired, available)| SetSeen {
            desired,
            available,
            ..SetSeen::default()
        };
        let room = Room {
            most: 10 + i64::from(room.0),
            least_available: 10 - i64::from(room.1),
        };
        let versions = Versions {
            canary: set(canary),
            stable: set(stable),
            others: 0,
        };
        let next = next(goal(&plan, percent * 100), room, versions);
        (next.canary, next.stable)
    }

    #[test]
    fn more_come_while_there_is_room_and_fewer_go_while_enough_are_available() {
        assert_eq!(next_of(10, (1, 1), (0, 0), (10, 10)), (1, 9));
        assert_eq!(next_of(30, (3, 0), (0, 0), (10, 10)), (3, 10));
        assert_eq!(next_of(30, (3, 0), (3, 3), (10, 10)), (3, 7));
        assert_eq!(next_of(30, (0, 5), (0, 0), (10, 10)), (0, 7));
        assert_eq!(
            next_of(0, (1, 0), (5, 5), (5, 5)),
            (5, 6),
            "on the way back"
        );
    }

    #[test]
    fn pods_that_do_not_come_are_no_reason_to_take_others() {
        assert_eq!(next_of(50, (2, 0), (2, 0), (10, 10)), (2, 10));
        assert_eq!(next_of(50, (2, 0), (2, 1), (10, 10)), (2, 9));
        assert_eq!(
            next_of(50, (2, 1), (2, 0), (10, 4)),
            (2, 9),
            "unavailable ones go first"
        );
    }

    fn pods(world: &World) -> (u32, u32) {
        let pods = |hash| world.last.sets.get(hash).copied().unwrap_or(0);
        (pods("one"), pods("two"))
    }

    #[test]
    fn a_release_moves_pods_step_by_step() {
        let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]);
        let mut world = World::with(plan(steps, json!({"maxSurge": 1, "maxUnavailable": 0})));
        world.release("two");
        assert_eq!((world.last.phase, pods(&world)), (Phase::Paused, (8, 2)));
        assert_eq!(world.last.traffic.canary, None, "nobody is told");
        assert_eq!(
            (&*world.last.services.stable, &*world.last.services.canary),
            ("one", "two")
        );
        world.promote();
        assert_eq!(pods(&world), (5, 5));
        world.promote();
        assert_eq!((world.last.phase, pods(&world)), (Phase::Healthy, (0, 10)));
    }

    #[test]
    fn a_step_is_not_complete_before_the_pods_are_as_it_says() {
        let steps = json!([{"setWeight": 20}, {"pause": {}}]);
        let mut world = World::with(plan(steps, json!({"maxSurge": 1, "maxUnavailable": 0})));
        world.seen.template = "two".into();
        world.pass();
        assert_eq!(pods(&world), (10, 1));
        world.pass();
        assert_eq!(pods(&world), (10, 1), "the surge is used up");
        world.comply();
        world.pass();
        assert_eq!((pods(&world), world.last.state.index), ((9, 1), 0));
        world.settle();
        assert_eq!((pods(&world), world.last.state.index), ((8, 2), 1));
    }

    #[test]
    fn an_abort_moves_the_pods_back() {
        let steps = json!([{"setWeight": 50}, analysis()]);
        let mut world = World::with(plan(steps, json!({"maxSurge": 1, "maxUnavailable": 0})));
        world.release("two");
        for run in world.seen.runs.values_mut() {
            run.phase = RunPhase::Failed;
        }
        world.pass();
        assert_eq!((world.last.phase, pods(&world)), (Phase::Degraded, (6, 5)));
        assert_eq!(world.last.services.canary, "one");
        world.settle();
        assert_eq!(pods(&world), (10, 0));
    }

    #[test]
    fn a_version_in_between_goes_first() {
        let steps = json!([{"setWeight": 50}, {"pause": {}}]);
        let mut world = World::with(plan(steps, json!({"maxSurge": 2, "maxUnavailable": 0})));
        world.release("two");
        world.seen.template = "three".into();
        world.pass();
        let three = |world: &World| world.last.sets["three"];
        assert_eq!((pods(&world), three(&world)), ((5, 5), 2));
        world.comply();
        world.pass();
        assert_eq!((pods(&world), three(&world)), ((5, 3), 2));
        world.settle();
        assert_eq!((pods(&world), three(&world)), ((5, 0), 5));
    }

    #[test]
    fn old_pods_that_still_get_requests_are_told() {
        let mut world = World::with(plan(json!([]), json!({"maxSurge": "100%"})));
        world.seen.template = "two".into();
        world.pass();
        world.comply();
        world.pass();
        assert_eq!(world.last.state.stable, "two");
        assert_eq!(world.last.why, Why::OldPodsLeaving);
        assert_eq!(world.last.phase, Phase::Progressing);
        world.settle();
        assert_eq!(world.last.phase, Phase::Healthy);
    }

    #[test]
    fn a_promotion_in_full_waits_for_the_pods() {
        let steps = json!([{"setWeight": 20}, {"pause": {}}]);
        let mut world = World::with(plan(steps, json!({})));
        world.release("two");
        world.seen.state = verb::promote(&world.plan, &world.seen.state, true).unwrap();
        world.pass();
        assert_eq!(world.last.state.stable, "one");
        world.settle();
        assert_eq!((&*world.last.state.stable, pods(&world)), ("two", (0, 10)));
    }

    #[test]
    fn fewer_replicas_are_fewer_pods_of_both() {
        let steps = json!([{"setWeight": 50}, {"pause": {}}]);
        let mut world = World::with(plan(steps, json!({})));
        world.release("two");
        world.plan.replicas = 4;
        world.settle();
        assert_eq!(pods(&world), (2, 2));
    }
}

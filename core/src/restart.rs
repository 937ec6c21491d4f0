//! `spec.restartAt`: a Rollout's pods and the time come in, the pods to evict now go out.
//!
//! A pod that was created before that time is replaced by its ReplicaSet once it is evicted. As many
//! go at once as `maxUnavailable` allows, at least one, and no version loses the last of several
//! pods that are available. What is decided here is only right for the pods as they are: whoever
//! evicts any takes no other pod away in the same pass.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::Plan;
use crate::step::{SetSeen, State};
use crate::time::Timestamp;

/// A pod of a Rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// The template hash of its ReplicaSet.
    pub set: String,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it has been ready for `minReadySeconds`.
    pub available: bool,
    /// Whether it is on its way out.
    pub leaving: bool,
}

/// What a restart needs now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// Pods to evict, in this order. One that may not be evicted now is asked for again.
    pub evict: Vec<String>,
    /// To be stored as [`State::restarted_at`]: every pod is new.
    pub restarted_at: Option<Timestamp>,
    /// When to look again although nothing changes.
    pub look_again: Option<Duration>,
}

/// How often pods that are left are asked for again: a disruption budget may have been in the way.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Whether a restart is asked for and due, and not done.
pub fn due(plan: &Plan, state: &State, now: Timestamp) -> bool {
    asked_for(plan, state).is_some_and(|at| at <= now)
}

/// The time of a restart that is asked for and not done.
fn asked_for(plan: &Plan, state: &State) -> Option<Timestamp> {
    plan.restart_at.filter(|at| state.restarted_at != Some(*at))
}

/// Decides which pods go now. `sets` are the ReplicaSets by template hash.
pub fn restart(
    plan: &Plan,
    state: &State,
    sets: &BTreeMap<String, SetSeen>,
    pods: &[PodSeen],
    now: Timestamp,
) -> Restart {
    let Some(at) = asked_for(plan, state) else {
        return Restart::default();
    };
    if !due(plan, state, now) {
        return Restart {
            look_again: Some(at.since(now)),
            ..Restart::default()
        };
    }
    let old = |pod: &&PodSeen| pod.created < at;
    if !pods.iter().any(|pod| old(&pod)) {
        return Restart {
            restarted_at: Some(at),
            look_again: Some(Duration::ZERO),
            ..Restart::default()
        };
    }
    let mut candidates: Vec<&PodSeen> =
        pods.iter().filter(old).filter(|pod| !pod.leaving).collect();
    candidates.sort_by_key(|pod| turn(state, sets, pod));
    let mut spare = Spare::of(plan, sets, pods);
    candidates.retain(|pod| spare.take(pod));
    Restart {
        evict: candidates.iter().map(|pod| pod.name.clone()).collect(),
        restarted_at: None,
        look_again: Some(LOOK_AGAIN),
    }
}

/// Stable's pods first, then those of the version asked for, then older versions; of one version
/// those that serve nobody, then the oldest.
fn turn<'p>(
    state: &State,
    sets: &BTreeMap<String, SetSeen>,
    pod: &'p PodSeen,
) -> (u8, Timestamp, bool, Timestamp, &'p str) {
    let rank = match &pod.set {
        set if *set == state.stable => 0,
        set if *set == state.current => 1,
        _ => 2,
    };
    let since = sets.get(&pod.set).map_or(Timestamp(0), |set| set.created);
    (rank, since, pod.available, pod.created, &pod.name)
}

/// What can be spared.
struct Spare<'p> {
    /// Available pods of all versions.
    pods: i64,
    /// Available pods of each version.
    of_set: BTreeMap<&'p str, u32>,
    /// Pods asked for of each version.
    desired: BTreeMap<&'p str, u32>,
}

impl<'p> Spare<'p> {
    fn of(plan: &Plan, sets: &'p BTreeMap<String, SetSeen>, pods: &'p [PodSeen]) -> Self {
        let desired: BTreeMap<&str, u32> = sets
            .iter()
            .map(|(hash, set)| (&**hash, set.desired))
            .collect();
        let mut of_set = BTreeMap::new();
        for pod in pods.iter().filter(|pod| pod.available && !pod.leaving) {
            *of_set.entry(&*pod.set).or_insert(0) += 1;
        }
        let sum =
            |counts: &BTreeMap<&str, u32>| counts.values().map(|n| i64::from(*n)).sum::<i64>();
        // There are more than `spec.replicas` while a canary is on trial.
        let all = sum(&desired).max(i64::from(plan.replicas));
        let least = all - i64::from(plan.unavailable().max(1));
        Spare {
            pods: sum(&of_set) - least,
            of_set,
            desired,
        }
    }

    /// Whether this pod can be spared. One that is not available is no loss.
    fn take(&mut self, pod: &PodSeen) -> bool {
        if !pod.available {
            return true;
        }
        let Some(left) = self.of_set.get_mut(&*pod.set) else {
            return false;
        };
        let only_one = self
            .desired
            .get(&*pod.set)
            .is_none_or(|desired| *desired <= 1);
        let spare = self.pods > 0 && (*left > 1 || only_one);
        if spare {
            self.pods -= 1;
            *left -= 1;
        }
        spare
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp(100_000);

    fn plan(replicas: u32, unavailable: u32) -> Plan {
        let document = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
                "restartAt": "1970-01-01T00:01:40Z",
                "strategy": {"canary": {"maxSurge": 1, "maxUnavailable": unavailable}},
            },
        });
        Plan::parse(&document, "default").unwrap()
    }

    fn state(stable: &str, current: &str) -> State {
        State {
            stable: stable.into(),
            current: current.into(),
            ..State::default()
        }
    }

    /// Pods of a version: `o` an old one, `n` a new one, upper case where it is not available.
    fn pods(set: &str, kinds: &str) -> Vec<PodSeen> {
        let pod = |(i, kind): (usize, char)| PodSeen {
            name: format!("{set}-{i}"),
            set: set.into(),
            created: Timestamp(if kind.eq_ignore_ascii_case(&'o') {
                i as i64
            } else {
                AT.0
            }),
            available: kind.is_ascii_lowercase(),
            leaving: false,
        };
        kinds.chars().enumerate().map(pod).collect()
    }

    fn sets(pods: &[PodSeen]) -> BTreeMap<String, SetSeen> {
        let mut sets: BTreeMap<String, SetSeen> = BTreeMap::new();
        for pod in pods {
            let set = sets.entry(pod.set.clone()).or_default();
            set.desired += 1;
        }
        sets
    }

    fn evicted(plan: &Plan, state: &State, pods: &[PodSeen]) -> Vec<String> {
        restart(plan, state, &sets(pods), pods, AT).evict
    }

    #[test]
    fn as_many_go_at_once_as_may_be_unavailable() {
        let (one, stable) = (pods("one", "oooo"), state("one", "one"));
        assert_eq!(evicted(&plan(4, 2), &stable, &one), ["one-0", "one-1"]);
        assert_eq!(
            evicted(&plan(4, 0), &stable, &one),
            ["one-0"],
            "at least one"
        );
        assert_eq!(evicted(&plan(4, 2), &stable, &pods("one", "NNoo")).len(), 0);
        assert_eq!(
            evicted(&plan(4, 2), &stable, &pods("one", "nNoo")),
            ["one-2"]
        );
        assert_eq!(evicted(&plan(1, 0), &stable, &pods("one", "o")), ["one-0"]);
    }

    #[test]
    fn stable_comes_first_then_the_canary_then_the_rest() {
        let mut all = pods("old", "o");
        all.extend(pods("canary", "oo"));
        all.extend(pods("stable", "ooo"));
        let evicted = evicted(&plan(3, 3), &state("stable", "canary"), &all);
        assert_eq!(evicted, ["stable-0", "stable-1", "canary-0"]);
    }

    #[test]
    fn no_version_loses_the_last_of_several_pods() {
        let mut all = pods("stable", "oo");
        all.extend(pods("canary", "oooooooo"));
        let evicted = evicted(&plan(10, 10), &state("stable", "canary"), &all);
        assert_eq!(evicted.len(), 8);
        assert!(!evicted.contains(&"stable-1".to_string()), "{evicted:?}");
        assert!(!evicted.contains(&"canary-7".to_string()), "{evicted:?}");
    }

    #[test]
    fn pods_that_serve_nobody_are_no_loss() {
        let stable = state("one", "one");
        assert_eq!(
            evicted(&plan(4, 1), &stable, &pods("one", "oooO")),
            ["one-3"]
        );
    }

    #[test]
    fn nothing_goes_before_the_time_has_come() {
        let one = pods("one", "oo");
        let early = restart(
            &plan(2, 1),
            &state("one", "one"),
            &sets(&one),
            &one,
            Timestamp(40_000),
        );
        let wait = Restart {
            look_again: Some(Duration::from_secs(60)),
            ..Restart::default()
        };
        assert_eq!(early, wait);
    }

    #[test]
    fn it_is_done_when_no_old_pod_is_left() {
        let (plan, mut state) = (plan(2, 1), state("one", "one"));
        let mut one = pods("one", "nno");
        one[2].leaving = true;
        let going = restart(&plan, &state, &sets(&one), &one, AT);
        assert_eq!(
            (going.evict.len(), going.restarted_at),
            (0, None),
            "one is on its way out"
        );
        one.pop();
        let done = restart(&plan, &state, &sets(&one), &one, AT);
        assert_eq!(done.restarted_at, Some(AT));
        state.restarted_at = done.restarted_at;
        let one = pods("one", "oo");
        assert_eq!(
            restart(&plan, &state, &sets(&one), &one, AT),
            Restart::default()
        );
    }

    proptest! {
        #[test]
        fn enough_pods_stay_available(
            stable in "[onON]{0,8}", canary in "[onON]{0,8}", replicas in 0..8_u32,
            unavailable in 0..4_u32
        ) {
            let mut all = pods("stable", &stable);
            all.extend(pods("canary", &canary));
            let plan = plan(replicas, unavailable);
            let sets = sets(&all);
            let evict = restart(&plan, &state("stable", "canary"), &sets, &all, AT).evict;
            let stays = |pod: &&PodSeen| pod.available && !evict.contains(&pod.name);
            let before = all.iter().filter(|pod| pod.available).count();
            let after = all.iter().filter(stays).count();
            let least = all.len().max(replicas as usize);
            let least = least.saturating_sub(plan.unavailable().max(1) as usize);
            prop_assert!(after >= least.min(before));
            for (hash, set) in &sets {
                let of_set = |pod: &&PodSeen| pod.set == *hash;
                let had = all.iter().filter(of_set).any(|pod| pod.available);
                let has = all.iter().filter(of_set).any(|pod| stays(&pod));
                prop_assert!(has || !had || set.desired <= 1);
            }
        }

        #[test]
        fn pods_that_are_replaced_bring_it_to_its_end(stable in "[onON]{1,8}", unavailable in 0..4_u32) {
            let mut pods = pods("stable", &stable);
            let (plan, sets) = (plan(pods.len() as u32, unavailable), sets(&pods));
            for _ in 0..=pods.len() {
                let now = restart(&plan, &state("stable", "stable"), &sets, &pods, AT);
                if now.restarted_at == Some(AT) {
                    return Ok(());
                }
                // What is evicted comes back, and everything becomes available.
                for pod in &mut pods {
                    if now.evict.contains(&pod.name) {
                        pod.created = AT;
                    }
                    pod.available = true;
                }
            }
            prop_assert!(false, "not done after as many passes as pods");
        }
    }
}

//! How many pods every ReplicaSet should have.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::release::{ALL_BP, Release};
use super::{SetSeen, Traffic};
use crate::plan::Step;
use crate::time::Timestamp;

impl Release<'_> {
    /// Pods by template hash.
    pub(super) fn wanted_sets(&mut self, wanted: &Traffic) -> BTreeMap<String, u32> {
        self.keep_those_in_force(wanted);
        if self.halted() {
            return self.sets_as_they_are(wanted);
        }
        if self.by_pods() {
            self.state.scale_down_at.clear();
            return self.ratio_sets();
        }
        let mut sets = BTreeMap::new();
        let asked = [
            Some((wanted.stable.clone(), self.stable_pods(wanted))),
            self.retreat_pods(),
            self.canary_pods()
                .map(|pods| (self.state.current.clone(), pods)),
        ];
        for (hash, pods) in asked.into_iter().flatten() {
            // Fewer pods only once every proxy sends them less.
            let least = match self.verified() {
                true => 0,
                false if hash == wanted.stable => self.set(&hash).desired.min(self.plan.replicas),
                false => self.set(&hash).desired,
            };
            let pods = pods.max(least);
            let most = sets.entry(hash).or_insert(pods);
            *most = pods.max(*most);
        }
        self.keep_leaving(&mut sets);
        sets
    }

    /// A version that is asked for again is not due to go any more.
    fn keep_those_in_force(&mut self, wanted: &Traffic) {
        let stepping = self.stepping() || self.state.stable.is_empty();
        let (state, canary) = (&mut self.state, wanted.canary.as_ref());
        state.scale_down_at.retain(|hash, _| {
            let on_trial = stepping && *hash == state.current;
            let has_share = canary.is_some_and(|canary| canary.revision == *hash);
            *hash != wanted.stable && !on_trial && !has_share
        });
    }

    /// Whether no version may get more or fewer pods: someone paused the Rollout, or an analysis
    /// could not tell.
    pub(super) fn halted(&self) -> bool {
        self.plan.paused || self.inconclusive()
    }

    /// What is due to go meanwhile goes afterwards. Only a version that is to lose its share is never
    /// held up.
    fn sets_as_they_are(&self, wanted: &Traffic) -> BTreeMap<String, u32> {
        let with_pods = self.seen.sets.iter().filter(|(_, set)| set.desired > 0);
        let mut sets: BTreeMap<String, u32> = with_pods
            .map(|(hash, set)| (hash.clone(), set.desired))
            .collect();
        sets.entry(self.state.current.clone()).or_insert(0);
        if self.retreat().is_some() {
            let stable = sets.entry(wanted.stable.clone()).or_insert(0);
            *stable = self.stable_pods(wanted).max(*stable);
        }
        sets
    }

    /// The pods of the version asked for that are not stable's: all of them before there is a stable
    /// one, a canary's while it is on trial, or was taken back and is to be kept for a look at it.
    fn canary_pods(&self) -> Option<u32> {
        if self.state.stable.is_empty() {
            return Some(self.plan.replicas);
        }
        if self.stepping() {
            return Some(self.canary_wanted());
        }
        let kept = self.in_flight() && self.plan.abort_keeps_canary;
        match self.plan.steps.first() {
            Some(Step::SetCanaryScale(scale)) if kept => self.scaled(*scale),
            _ => None,
        }
    }

    /// The pods of a version that is to lose its share: what the rest of it needs, or all it has
    /// where they are to be kept for a while.
    fn retreat_pods(&self) -> Option<(String, u32)> {
        let retreat = self.retreat()?;
        let by_weight = self.share(u64::from(retreat.weight_bp), u64::from(ALL_BP));
        let pods = match self.delay_of(&retreat.revision).is_zero() {
            true => self.at_least(by_weight),
            false => self.set(&retreat.revision).desired,
        };
        Some((retreat.revision, pods))
    }

    /// Adds the ReplicaSets that serve nobody any more. They keep their pods until every proxy is
    /// known to know, and then for their delay, the newest first if there are too many.
    fn keep_leaving(&mut self, sets: &mut BTreeMap<String, u32>) {
        let mut waiting = Vec::new();
        for (hash, set) in &self.seen.sets {
            if sets.contains_key(hash) || set.desired == 0 {
                continue;
            }
            let due = match self.state.scale_down_at.get(hash) {
                Some(due) => *due,
                None if self.may_serve(hash) => {
                    sets.insert(hash.clone(), set.desired);
                    continue;
                }
                None => self.now.plus(self.delay_of(hash)),
            };
            if due > self.now {
                waiting.push((hash.clone(), *set, due));
            }
        }
        let waiting = self.within_limit(waiting);
        sets.extend(
            waiting
                .iter()
                .map(|(hash, set, _)| (hash.clone(), set.desired)),
        );
        let due = waiting.into_iter().map(|(hash, _, due)| (hash, due));
        self.state.scale_down_at = due.collect();
    }

    /// Those that `scaleDownDelayRevisionLimit` allows to wait. A canary that was taken back is not
    /// an old version yet.
    fn within_limit(
        &self,
        mut waiting: Vec<(String, SetSeen, Timestamp)>,
    ) -> Vec<(String, SetSeen, Timestamp)> {
        let Some(limit) = self.plan.scale_down_delay_revision_limit else {
            return waiting;
        };
        waiting.sort_by_key(|(_, set, _)| Reverse(set.revision));
        let mut old = 0;
        waiting.retain(|(hash, ..)| {
            old += usize::from(*hash != self.state.current);
            *hash == self.state.current || old <= limit
        });
        waiting
    }

    /// Whether a proxy may still send requests to this version.
    fn may_serve(&self, hash: &str) -> bool {
        let known = self.seen.traffic.as_ref();
        self.seen.overtaken
            || known.is_none_or(|traffic| {
                let canary = traffic.canary.as_ref();
                traffic.stable == *hash || canary.is_some_and(|canary| canary.revision == *hash)
            })
    }

    fn delay_of(&self, hash: &str) -> Duration {
        if self.state.abort.is_some() && hash == self.state.current {
            self.plan.abort_scale_down_delay
        } else {
            self.plan.scale_down_delay
        }
    }
}

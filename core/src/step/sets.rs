//! How many pods every ReplicaSet should have.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Traffic;
use super::release::Release;

impl Release<'_> {
    /// Pods by template hash. A ReplicaSet that serves nobody any more keeps its pods until every
    /// proxy is known to know, and then for its delay.
    pub(super) fn wanted_sets(&mut self, wanted: &Traffic) -> BTreeMap<String, u32> {
        let mut sets = BTreeMap::from([(wanted.stable.clone(), self.plan.replicas)]);
        if self.stepping() {
            let canary = self.canary();
            let halted = self.plan.paused && canary.revision > 0;
            // Fewer pods only once every proxy sends them less.
            let least = if self.verified() { 0 } else { canary.desired };
            let pods = if halted {
                canary.desired
            } else {
                self.canary_wanted().max(least)
            };
            sets.insert(self.state.current.clone(), pods);
        }
        let running = self.seen.traffic.clone();
        let serving = |hash: &String| {
            running.as_ref().is_none_or(|traffic| {
                let canary = traffic.canary.as_ref().map(|canary| &canary.revision);
                traffic.stable == *hash || canary == Some(hash)
            })
        };
        let mut leaving = BTreeMap::new();
        for (hash, set) in &self.seen.sets {
            if sets.contains_key(hash) || set.desired == 0 {
                continue;
            }
            let due = match self.state.scale_down_at.get(hash) {
                Some(due) => *due,
                None if serving(hash) => {
                    sets.insert(hash.clone(), set.desired);
                    continue;
                }
                None => self.now.plus(self.delay_of(hash)),
            };
            if due > self.now {
                sets.insert(hash.clone(), set.desired);
                leaving.insert(hash.clone(), due);
            }
        }
        self.state.scale_down_at = leaving;
        sets
    }

    fn delay_of(&self, hash: &str) -> Duration {
        if self.state.abort.is_some() && hash == self.state.current {
            self.plan.abort_scale_down_delay
        } else {
            self.plan.scale_down_delay
        }
    }
}

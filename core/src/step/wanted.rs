//! The wanted world that follows from a release's state.

use std::collections::BTreeMap;
use std::time::Duration;

use super::release::Release;
use super::{CanaryTraffic, Decision, PauseReason, Phase, Services, Traffic, Why};
use crate::plan::{Pause, Step};

impl Release<'_> {
    /// Turns the state into the whole wanted world.
    pub(super) fn decide(mut self) -> Decision {
        let traffic = self.wanted_traffic();
        let services = self.wanted_services(&traffic);
        let sets = self.wanted_sets(&traffic);
        let why = self.why();
        Decision {
            runs: self.wanted_runs(),
            phase: phase(&why),
            look_again: self.look_again(),
            traffic,
            services,
            sets,
            why,
            state: self.state,
            events: self.events,
        }
    }

    /// Who gets which requests. A canary without an available pod gets none: its share is
    /// answered by stable, and comes back with its pods. Nor does a canary while proxies still run
    /// another one's weight and routes: those end first.
    pub(super) fn wanted_traffic(&self) -> Traffic {
        let stable = match self.state.stable.as_str() {
            "" => &self.state.current,
            _ => &self.state.stable,
        };
        let running = self
            .seen
            .traffic
            .as_ref()
            .and_then(|traffic| traffic.canary.as_ref());
        let another = running.is_some_and(|canary| canary.revision != self.state.current);
        let serves = self.stepping() && self.canary().available > 0 && !another;
        let canary = serves.then(|| {
            let waits = matches!(self.current_step(), Some(Step::SetWeight(_)) | None)
                && !self.canary_ready();
            CanaryTraffic {
                revision: self.state.current.clone(),
                weight_bp: if waits {
                    self.weight_before()
                } else {
                    self.set_weight()
                },
                routes: self.routes(),
                mirrors: self.mirrors(),
            }
        });
        Traffic {
            stable: stable.clone(),
            canary,
        }
    }

    /// The canary Service follows the traffic: it selects the canary before the first request
    /// goes there, and stable only after every proxy is known to send none any more.
    fn wanted_services(&self, wanted: &Traffic) -> Services {
        let running = self
            .seen
            .traffic
            .as_ref()
            .and_then(|traffic| traffic.canary.as_ref());
        let canary = wanted.canary.as_ref().or(running);
        Services {
            canary: canary.map_or_else(|| wanted.stable.clone(), |canary| canary.revision.clone()),
            stable: wanted.stable.clone(),
        }
    }

    /// Pods by template hash. A ReplicaSet that serves nobody any more keeps its pods until every
    /// proxy is known to know, and then for its delay.
    fn wanted_sets(&mut self, wanted: &Traffic) -> BTreeMap<String, u32> {
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

    /// The first that applies, in the order of Argo Rollouts' phases.
    fn why(&self) -> Why {
        let canary = self.canary();
        if let (Some(abort), true) = (&self.state.abort, self.in_flight()) {
            return Why::Aborted {
                revision: canary.revision,
                why: abort.why.clone(),
            };
        }
        if self.deadline_left().is_zero() {
            return Why::DeadlineExceeded {
                set: format!("{}-{}", self.plan.name, self.state.current),
            };
        }
        if self.plan.paused {
            return Why::ManuallyPaused;
        }
        if let Some(pause) = &self.state.pause {
            return Why::Paused(pause.reason);
        }
        let wanted = if self.stepping() {
            self.canary_wanted()
        } else {
            self.plan.replicas
        };
        if canary.replicas < wanted {
            return Why::TooFewPods;
        }
        if canary.available < wanted {
            return Why::PodsNotAvailable;
        }
        if self.stepping() {
            let run = self
                .wanted_runs()
                .into_iter()
                .find(|run| run.step.is_some());
            return run.map_or(Why::StepsLeft, |run| Why::AnalysisRunning { run: run.name });
        }
        if !self.settled() {
            return Why::ProxiesNotVerified;
        }
        Why::Done
    }

    /// The next time at which something is due although nothing changes.
    fn look_again(&self) -> Option<Duration> {
        if self.again {
            return Some(Duration::ZERO);
        }
        let pause = match (&self.state.pause, self.current_step()) {
            (Some(paused), Some(Step::Pause(Pause::For(time))))
                if self.stepping()
                    && !self.plan.paused
                    && paused.reason == PauseReason::CanaryPauseStep =>
            {
                Some(time.saturating_sub(self.now.since(paused.since)))
            }
            _ => None,
        };
        let leaving = self
            .state
            .scale_down_at
            .values()
            .map(|due| due.since(self.now));
        let deadline = (!self.settled())
            .then(|| self.deadline_left())
            .filter(|d| !d.is_zero());
        pause.into_iter().chain(leaving).chain(deadline).min()
    }
}

fn phase(why: &Why) -> Phase {
    match why {
        Why::Done => Phase::Healthy,
        Why::Paused(_) | Why::ManuallyPaused => Phase::Paused,
        Why::Aborted { .. } | Why::DeadlineExceeded { .. } => Phase::Degraded,
        Why::TooFewPods
        | Why::PodsNotAvailable
        | Why::ProxiesNotVerified
        | Why::StepsLeft
        | Why::AnalysisRunning { .. } => Phase::Progressing,
    }
}

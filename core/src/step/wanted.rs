//! The wanted world that follows from a release's state.

use std::time::Duration;

use super::release::Release;
use super::{Decision, PauseReason, Phase, Why};
use crate::plan::{Pause, Step};
use crate::restart;

impl Release<'_> {
    /// Turns the state into the whole wanted world.
    pub(super) fn decide(mut self) -> Decision {
        let traffic = self.wanted_traffic();
        let services = self.wanted_services(&traffic);
        let sets = self.wanted_sets(&traffic);
        self.state.share = self.share_of(&traffic);
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
        if restart::due(self.plan, &self.state, self.now) {
            return Why::Restarting;
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
            if let Some(why) = self.held() {
                return Why::Held { why: why.into() };
            }
            let run = self
                .wanted_runs()
                .into_iter()
                .find(|run| run.step.is_some());
            return run.map_or(Why::StepsLeft, |run| Why::AnalysisRunning { run: run.name });
        }
        if self.by_pods() && !self.old_pods_are_gone() {
            return Why::OldPodsLeaving;
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
        let leaving = self.state.scale_down_at.values();
        let leaving = leaving
            .filter(|_| !self.halted())
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
        | Why::Restarting
        | Why::PodsNotAvailable
        | Why::OldPodsLeaving
        | Why::ProxiesNotVerified
        | Why::StepsLeft
        | Why::Held { .. }
        | Why::AnalysisRunning { .. } => Phase::Progressing,
    }
}

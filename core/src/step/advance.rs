//! Going on: what analysis runs say, whether the step under way is complete, and the deadline.

use super::release::Release;
use super::{PauseReason, Paused, Progress, RunPhase, WantedRun};
use crate::plan::{Pause, Step};

impl Release<'_> {
    /// A bad run takes the release back, one that cannot tell stops it.
    pub(super) fn heed_runs(&mut self) {
        for run in self.wanted_runs() {
            let Some(seen) = self.seen.runs.get(&run.name) else {
                continue;
            };
            let kind = if run.step.is_some() {
                "Step-based"
            } else {
                "Background"
            };
            match seen.phase {
                RunPhase::Failed | RunPhase::Error => {
                    let message = seen.message.clone();
                    return self.abort(format!("{kind} analysis phase error/failed: {message}"));
                }
                // It comes before the pause of a step, whose end would let the weight rise.
                RunPhase::Inconclusive if !self.inconclusive() => {
                    self.pause(PauseReason::InconclusiveAnalysisRun, run.step.is_some());
                }
                _ => {}
            }
        }
    }

    /// Completes the step under way if its effect is seen, and begins the next.
    pub(super) fn go_on(&mut self) {
        if !self.stepping() || self.plan.paused {
            return;
        }
        let Some(step) = self.current_step() else {
            return;
        };
        let held = self.held().is_some() && !self.promoted_past(step);
        if self.inconclusive() || held || !self.complete(step) {
            return;
        }
        self.event(
            "RolloutStepCompleted",
            format!(
                "Rollout step {}/{} completed ({step})",
                self.state.index + 1,
                self.plan.steps.len()
            ),
        );
        if self.state.pause.take().is_some() {
            self.event("RolloutResumed", "Rollout is resumed");
        }
        self.state.controller_pause = false;
        self.state.index += 1;
        self.again = true;
    }

    /// Whether a person has ended the pause under way: whoever promotes knows what holds.
    fn promoted_past(&self, step: &Step) -> bool {
        let ended = self.state.controller_pause && self.state.pause.is_none();
        matches!(step, Step::Pause(_)) && ended
    }

    /// Why a run wants nothing to change for now, such as that stable is ill too.
    pub(super) fn held(&self) -> Option<&str> {
        let runs = self.wanted_runs().into_iter();
        let mut seen = runs.filter_map(|run| self.seen.runs.get(&run.name));
        seen.find_map(|run| run.holds.as_deref())
    }

    pub(super) fn inconclusive(&self) -> bool {
        let reason = self.state.pause.as_ref().map(|pause| pause.reason);
        reason == Some(PauseReason::InconclusiveAnalysisRun)
    }

    /// Whether the effect of `step` is there. Beginning a pause is part of the first look at it.
    fn complete(&mut self, step: &Step) -> bool {
        match step {
            Step::SetWeight(_)
            | Step::SetCanaryScale(_)
            | Step::AddHeaderRoute(_)
            | Step::RemoveHeaderRoute(_)
            | Step::AddMirrorRoute(_)
            | Step::RemoveMirrorRoute(_) => {
                self.canary_ready() && self.verified() && self.gets_its_weight()
            }
            Step::Analysis(_) => self
                .step_run()
                .and_then(|run| self.seen.runs.get(&run.name))
                .is_some_and(|run| run.phase == RunPhase::Successful),
            Step::Pause(pause) => self.pause_over(*pause),
        }
    }

    /// A pause is over when its time has passed, or when someone took it away.
    fn pause_over(&mut self, pause: Pause) -> bool {
        if !self.state.controller_pause {
            self.state.controller_pause = true;
            self.pause(PauseReason::CanaryPauseStep, false);
            return false;
        }
        match (&self.state.pause, pause) {
            (None, _) => true,
            (Some(paused), Pause::For(time)) => self.now.since(paused.since) >= time,
            (Some(_), Pause::UntilPromoted) => false,
        }
    }

    fn pause(&mut self, reason: PauseReason, step_run: bool) {
        self.event("RolloutPaused", format!("Rollout is paused ({reason:?})"));
        self.state.pause = Some(Paused {
            reason,
            step_run,
            since: self.now,
        });
    }

    /// Whether the canary has the pods that the step asks for, or enough of them.
    pub(super) fn canary_ready(&self) -> bool {
        if self.by_pods() {
            return self.split_reached();
        }
        let enough = self
            .plan
            .enough(self.canary().available, self.canary_wanted());
        enough && !self.has_surplus()
    }

    /// Whether the canary has pods that are to go before the step sends anything more to it: a version
    /// that is asked for again may have all it ever had, and a pod that serves must not be stopped.
    pub(super) fn has_surplus(&self) -> bool {
        let sends_more = match self.current_step() {
            Some(Step::SetWeight(_)) => self.set_weight() > self.weight_before(),
            Some(Step::AddHeaderRoute(_) | Step::AddMirrorRoute(_)) => true,
            Some(Step::SetCanaryScale(_)) => true,
            _ => false,
        };
        let surplus = self.canary().replicas > self.canary_wanted();
        sends_more && surplus && !self.by_pods() && !self.halted() && !self.has_this_steps_traffic()
    }

    /// Whether proxies are known to send the canary what the step under way gives it.
    fn has_this_steps_traffic(&self) -> bool {
        let known = self.seen.traffic.as_ref();
        let known = known.and_then(|traffic| traffic.canary.as_ref());
        let Some(known) = known.filter(|known| known.revision == self.state.current) else {
            return false;
        };
        match self.current_step() {
            Some(Step::SetWeight(_)) => known.weight_bp == self.set_weight(),
            Some(Step::AddHeaderRoute(_)) => known.routes == self.routes(),
            Some(Step::AddMirrorRoute(_)) => known.mirrors == self.mirrors(),
            _ => false,
        }
    }

    /// Whether no other canary is in the way, and stable has the pods to take over what a lower
    /// weight leaves to it.
    fn gets_its_weight(&self) -> bool {
        self.wanted_traffic().canary.is_none_or(|canary| {
            canary.revision == self.state.current && canary.weight_bp == self.set_weight()
        })
    }

    /// Whether every proxy is known to run the wanted traffic; without a router it is the Services
    /// that are known to select what they should.
    pub(super) fn verified(&self) -> bool {
        !self.seen.overtaken && self.seen.traffic.as_ref() == Some(&self.wanted_traffic())
    }

    /// The runs that should exist now: the step's own, and the one beside the steps.
    pub(super) fn wanted_runs(&self) -> Vec<WantedRun> {
        let waiting_for_canary = self.canary().revision == 0;
        let skipped = self.state.promote_full || self.rolls_back_within_window();
        if !self.stepping() || skipped || waiting_for_canary {
            return Vec::new();
        }
        let beside = self
            .plan
            .background
            .as_ref()
            .filter(|background| self.state.index >= background.starting_step);
        let beside = beside.map(|background| WantedRun {
            name: self.run_name(None),
            step: None,
            analysis: background.analysis.clone(),
        });
        beside.into_iter().chain(self.step_run()).collect()
    }

    fn step_run(&self) -> Option<WantedRun> {
        let Step::Analysis(analysis) = self.current_step()? else {
            return None;
        };
        Some(WantedRun {
            name: self.run_name(Some(self.state.index)),
            step: Some(self.state.index),
            analysis: analysis.clone(),
        })
    }

    /// Argo's `<rollout>-<hash>-<revision>[-<step>]`, and `.N` for the N-th attempt after the first.
    fn run_name(&self, step: Option<usize>) -> String {
        let (rollout, hash) = (&self.plan.name, &self.state.current);
        let mut name = format!("{rollout}-{hash}-{}", self.canary().revision);
        if let Some(step) = step {
            name.push_str(&format!("-{step}"));
        }
        let again = if step.is_some() {
            0
        } else {
            self.state.background_attempt
        };
        if self.state.attempt + again > 0 {
            name.push_str(&format!(".{}", self.state.attempt + again));
        }
        name
    }

    /// Keeps the progress clock: it stands while a pause or an analysis is under way and starts
    /// again with everything that gets on. Running out is reported, and aborts if asked for.
    pub(super) fn heed_deadline(&mut self) {
        let stands = self.plan.paused
            || self.state.pause.is_some()
            || matches!(self.current_step(), Some(Step::Analysis(_))) && self.stepping()
            || self.held().is_some()
            || self.settled();
        if stands {
            // Nothing is stored while it stands: a state that differs is a state to be written.
            self.state.progress = None;
        } else {
            self.note_progress();
        }
        let out_of_time = self.deadline_left().is_zero();
        if out_of_time && self.plan.progress_deadline_abort && self.stepping() {
            let set = format!("{}-{}", self.plan.name, self.state.current);
            self.abort(format!(
                "ProgressDeadlineExceeded: ReplicaSet \"{set}\" has timed out progressing."
            ));
        }
    }

    fn note_progress(&mut self) {
        let canary = self.canary();
        let seen = Progress {
            index: self.state.index,
            replicas: canary.replicas,
            available: canary.available,
        };
        let best = match self.state.progress {
            Some(best) if best.index == seen.index => Progress {
                replicas: seen.replicas.max(best.replicas),
                available: seen.available.max(best.available),
                ..seen
            },
            _ => seen,
        };
        if self.state.progress != Some(best) {
            self.state.progress = Some(best);
            self.state.progressed_at = self.now;
        }
    }

    /// Whether there is nothing to wait for: the wanted version serves everybody.
    pub(super) fn settled(&self) -> bool {
        !self.in_flight()
            && !self.state.stable.is_empty()
            && self.canary().available >= self.plan.replicas
            && self.verified()
            && (!self.by_pods() || self.old_pods_are_gone())
    }
}

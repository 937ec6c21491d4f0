//! One pass over one release: the state as it changes, and what is looked up on the way.

use std::time::Duration;

use super::{Aborted, Event, Observation, SetSeen, State};
use crate::plan::{CanaryScale, MirrorRoute, Plan, Step};
use crate::time::Timestamp;
use crate::wire::HeaderRoute;

/// What is decided with: the plan, what is seen, the time, and the state as it becomes.
pub(super) struct Release<'a> {
    pub(super) plan: &'a Plan,
    pub(super) seen: &'a Observation,
    pub(super) now: Timestamp,
    pub(super) state: State,
    pub(super) events: Vec<Event>,
    /// Whether something changed that is worth another pass at once.
    pub(super) again: bool,
}

impl<'a> Release<'a> {
    pub(super) fn new(plan: &'a Plan, seen: &'a Observation, now: Timestamp) -> Self {
        let state = seen.state.clone();
        Release {
            plan,
            seen,
            now,
            state,
            events: Vec::new(),
            again: false,
        }
    }

    /// Whether a template other than the stable one is asked for, and a stable one exists.
    pub(super) fn in_flight(&self) -> bool {
        !self.state.stable.is_empty() && self.state.current != self.state.stable
    }

    /// Whether the steps decide: in flight and not taken back.
    pub(super) fn stepping(&self) -> bool {
        self.in_flight() && self.state.abort.is_none()
    }

    /// A template or step list that is new starts at the first step; the stable template needs
    /// no steps.
    pub(super) fn take_up_template(&mut self) {
        let same_template = self.state.current == self.seen.template;
        if same_template && self.state.steps == self.plan.steps_hash {
            return;
        }
        let was_in_flight = self.in_flight();
        if !same_template {
            self.event(
                "RolloutUpdated",
                format!("Rollout updated to revision {}", self.next_revision()),
            );
        }
        self.state = State {
            stable: self.state.stable.clone(),
            current: self.seen.template.clone(),
            steps: self.plan.steps_hash.clone(),
            attempt: if same_template {
                self.state.attempt + 1
            } else {
                0
            },
            background_attempt: if same_template {
                self.state.background_attempt
            } else {
                0
            },
            progressed_at: self.now,
            scale_down_at: std::mem::take(&mut self.state.scale_down_at),
            share: self.state.share.take(),
            stable_ping_pong: self.state.stable_ping_pong,
            restarted_at: self.restarted_at(),
            ..State::default()
        };
        if !self.in_flight() {
            self.state.index = self.plan.steps.len();
            if was_in_flight {
                self.event(
                    "SkipSteps",
                    "Rollback to the stable version: steps are skipped",
                );
            }
        }
        self.again = true;
    }

    /// A new version's pods are new, so a restart that is due is done with it; one that is still to
    /// come is not.
    fn restarted_at(&self) -> Option<Timestamp> {
        let due = self.plan.restart_at.filter(|at| *at <= self.now);
        due.or(self.state.restarted_at)
    }

    /// Going back to a version that was good not long ago needs neither steps nor analysis.
    pub(super) fn skip_steps_of_rollback(&mut self) {
        if self.state.index >= self.plan.steps.len() || !self.rolls_back_within_window() {
            return;
        }
        self.state.index = self.plan.steps.len();
        self.state.pause = None;
        self.state.controller_pause = false;
        self.event(
            "SkipSteps",
            "Rollback to an older version within the rollback window: steps are skipped",
        );
        self.again = true;
    }

    /// Whether the version asked for is older than the stable one, with fewer than
    /// `rollbackWindow.revisions` between them.
    pub(super) fn rolls_back_within_window(&self) -> bool {
        let sets = &self.seen.sets;
        let (Some(to), Some(from)) = (sets.get(&self.state.current), sets.get(&self.state.stable))
        else {
            return false;
        };
        let between = |set: &&SetSeen| to.created < set.created && set.created < from.created;
        self.stepping()
            && to.created < from.created
            && sets.values().filter(between).count() < self.plan.rollback_window
    }

    /// The first version has nobody to be compared with: it is stable once it can serve.
    pub(super) fn adopt_first_version(&mut self) {
        if !self.state.stable.is_empty() {
            return;
        }
        self.state.index = self.plan.steps.len();
        if self.can_take_all() {
            self.become_stable("the first version is available");
        }
    }

    /// The new version serves everybody: all steps are done and all its pods are there.
    pub(super) fn promote_when_done(&mut self) {
        let skip = self.state.promote_full;
        // Promoting is a step of its own: the last step completes one pass earlier.
        let done = self.stepping()
            && !self.again
            && !self.plan.paused
            && self.state.pause.is_none()
            && self.held().is_none()
            && (skip || self.state.index >= self.plan.steps.len());
        if done && self.can_take_all() {
            self.become_stable("all steps are done");
        }
    }

    /// Whether the version asked for has enough pods for all requests.
    pub(super) fn can_take_all(&self) -> bool {
        self.plan
            .enough(self.canary().available, self.plan.replicas)
    }

    /// The number that the template's revision has, or gets: a version that is asked for again is
    /// the newest once more.
    fn next_revision(&self) -> u64 {
        let newest = self.seen.sets.values().map(|set| set.revision).max();
        let newest = newest.unwrap_or(0);
        let own = self.seen.sets.get(&self.seen.template);
        match own {
            Some(set) if set.revision == newest => newest,
            _ => newest + 1,
        }
    }

    fn become_stable(&mut self, why: &str) {
        self.take_turns();
        self.state.stable = self.state.current.clone();
        self.state.index = self.plan.steps.len();
        self.state.promote_full = false;
        self.state.pause = None;
        self.state.controller_pause = false;
        let (revision, hash) = (self.canary().revision, &self.state.current);
        let message = format!("Rollout completed update to revision {revision} ({hash}): {why}");
        self.event("RolloutCompleted", message);
        self.again = true;
    }

    /// Takes the release back.
    pub(super) fn abort(&mut self, why: String) {
        let revision = self.canary().revision;
        self.event(
            "RolloutAborted",
            format!("Rollout aborted update to revision {revision}: {why}"),
        );
        self.state.abort = Some(Aborted {
            since: self.now,
            why,
        });
        self.state.rewind();
        self.again = true;
    }

    pub(super) fn event(&mut self, reason: &str, message: impl Into<String>) {
        self.events.push(Event {
            reason: reason.to_string(),
            message: message.into(),
        });
    }

    pub(super) fn set(&self, hash: &str) -> SetSeen {
        self.seen.sets.get(hash).copied().unwrap_or_default()
    }

    pub(super) fn canary(&self) -> SetSeen {
        self.set(&self.state.current)
    }

    /// The step under way; none once all are done or skipped.
    pub(super) fn current_step(&self) -> Option<&'a Step> {
        if self.state.promote_full {
            return None;
        }
        self.plan.steps.get(self.state.index)
    }

    /// The steps up to the one under way.
    fn begun(&self) -> &'a [Step] {
        let end = (self.state.index + 1).min(self.plan.steps.len());
        self.plan.steps.get(..end).unwrap_or_default()
    }

    /// The steps before the one under way.
    fn behind(&self) -> &'a [Step] {
        let end = self.state.index.min(self.plan.steps.len());
        self.plan.steps.get(..end).unwrap_or_default()
    }

    /// The weight that the steps ask for: the last one set, everything once all are done.
    pub(super) fn set_weight(&self) -> u16 {
        if !self.stepping() {
            return 0;
        }
        if self.current_step().is_none() {
            return ALL_BP;
        }
        last_weight(self.begun())
    }

    /// The weight before the step under way: in force until the canary has its pods.
    pub(super) fn weight_before(&self) -> u16 {
        last_weight(self.behind())
    }

    /// The header routes that the steps up to the one under way leave in force, in managed order.
    pub(super) fn routes(&self) -> Vec<HeaderRoute> {
        if !self.stepping() || self.current_step().is_none() {
            return Vec::new();
        }
        routes_after(self.begun(), &self.plan.managed_routes)
    }

    /// The header routes before the step under way: in force until surplus pods of the canary are
    /// gone.
    pub(super) fn routes_before(&self) -> Vec<HeaderRoute> {
        routes_after(self.behind(), &self.plan.managed_routes)
    }

    /// The mirror routes, likewise.
    pub(super) fn mirrors_before(&self) -> Vec<MirrorRoute> {
        mirrors_after(self.behind(), &self.plan.managed_routes)
    }

    /// The mirror routes of the steps up to the one under way, in managed order.
    pub(super) fn mirrors(&self) -> Vec<MirrorRoute> {
        if !self.stepping() || self.current_step().is_none() {
            return Vec::new();
        }
        mirrors_after(self.begun(), &self.plan.managed_routes)
    }

    /// How many pods the canary should have, by the steps up to the one under way.
    pub(super) fn canary_wanted(&self) -> u32 {
        if self.by_pods() {
            return u32::try_from(self.split_goal().canary).unwrap_or(0);
        }
        if self.current_step().is_none() {
            return self.plan.replicas;
        }
        let scale = self.begun().iter().rev().find_map(|step| match step {
            Step::SetCanaryScale(scale) => Some(*scale),
            _ => None,
        });
        scale
            .and_then(|scale| self.scaled(scale))
            .unwrap_or_else(|| {
                let weight = self.set_weight().max(self.held_weight());
                let by_weight = self.share(u64::from(weight), u64::from(ALL_BP));
                // A route without a pod behind it would answer 503, or copy to nobody.
                let routed = !self.routes().is_empty() || !self.mirrors().is_empty();
                self.at_least(by_weight.max(u32::from(routed).min(self.plan.replicas)))
            })
    }

    /// The pods that a scale asks for by itself; none: as many as the weight needs.
    pub(super) fn scaled(&self, scale: CanaryScale) -> Option<u32> {
        match scale {
            CanaryScale::Replicas(n) if self.plan.dynamic_stable_scale => Some(self.at_least(n)),
            CanaryScale::Replicas(n) => Some(n),
            CanaryScale::Percent(percent) => {
                Some(self.at_least(self.share(u64::from(percent), 100)))
            }
            CanaryScale::MatchTrafficWeight => None,
        }
    }

    /// The pods that so much of everything needs.
    pub(super) fn share(&self, of: u64, in_all: u64) -> u32 {
        let pods = (u64::from(self.plan.replicas) * of).div_ceil(in_all);
        u32::try_from(pods).unwrap_or(u32::MAX)
    }

    /// A version with pods has at least `minPodsPerReplicaSet`, but never more than all.
    pub(super) fn at_least(&self, pods: u32) -> u32 {
        match pods {
            0 => 0,
            some => some.max(self.plan.min_pods.min(self.plan.replicas)),
        }
    }

    /// How long the progress clock still runs; all of it while it stands.
    pub(super) fn deadline_left(&self) -> Duration {
        let stands = self.state.progress.is_none();
        let gone = if stands {
            Duration::ZERO
        } else {
            self.now.since(self.state.progressed_at)
        };
        self.plan.progress_deadline.saturating_sub(gone)
    }
}

/// Everything, in basis points.
pub(super) const ALL_BP: u16 = 10_000;

fn last_weight(steps: &[Step]) -> u16 {
    let set = steps.iter().rev().find_map(|step| match step {
        Step::SetWeight(weight) => Some(*weight),
        _ => None,
    });
    set.unwrap_or(0)
}

/// What the first `count` steps of a plan ask for together: the canary's weight in basis points, and
/// the header routes in force in their order. After the last step everybody gets the canary.
pub fn asked_after(plan: &Plan, count: usize) -> (u16, Vec<HeaderRoute>) {
    let steps = plan.steps.get(..count).unwrap_or(&plan.steps);
    (
        last_weight(steps),
        routes_after(steps, &plan.managed_routes),
    )
}

/// The header routes in force after `steps`, in the order of `managed`. A route set again has its
/// last matches.
pub(crate) fn routes_after(steps: &[Step], managed: &[String]) -> Vec<HeaderRoute> {
    let route = |name| match last_of_route(steps, name)? {
        Step::AddHeaderRoute(route) => Some(route.clone()),
        _ => None,
    };
    managed.iter().filter_map(route).collect()
}

/// The mirror routes, likewise.
fn mirrors_after(steps: &[Step], managed: &[String]) -> Vec<MirrorRoute> {
    let route = |name| match last_of_route(steps, name)? {
        Step::AddMirrorRoute(route) => Some(route.clone()),
        _ => None,
    };
    managed.iter().filter_map(route).collect()
}

/// The last step about the managed route of this name: one route has one name, whatever it does.
fn last_of_route<'s>(steps: &'s [Step], name: &String) -> Option<&'s Step> {
    let about = |step: &&Step| step.route().is_some_and(|route| route == name);
    steps.iter().rev().find(about)
}

//! Who gets which requests.

use super::release::Release;
use super::{CanaryTraffic, Traffic};
use crate::plan::Step;

impl Release<'_> {
    /// Who gets which requests. A canary without an available pod gets none: its share is
    /// answered by stable, and comes back with its pods. Nor does a canary while another one has a
    /// share left, or proxies still run its weight and routes: those end first.
    pub(super) fn wanted_traffic(&self) -> Traffic {
        let stable = match self.state.stable.as_str() {
            "" => self.before_the_first_is_stable(),
            stable => stable,
        };
        Traffic {
            stable: stable.to_string(),
            canary: self.retreat().or_else(|| self.on_trial()),
        }
    }

    /// Who serves everybody while no version was stable yet: the one asked for, or for as long as it
    /// cannot, another one that was asked for before and has pods.
    fn before_the_first_is_stable(&self) -> &str {
        let (known, sets) = (self.seen.traffic.as_ref(), &self.seen.sets);
        let serving = known.map(|traffic| &traffic.stable);
        let serving = serving.filter(|hash| self.set(hash).available > 0);
        let with_pods = sets
            .iter()
            .max_by_key(|(_, set)| (set.available, set.revision));
        let with_pods = with_pods.filter(|(_, set)| set.available > 0);
        match serving.or(with_pods.map(|(hash, _)| hash)) {
            Some(other) if !self.can_take_all() => other,
            _ => &self.state.current,
        }
    }

    pub(super) fn on_trial_with_pods(&self) -> bool {
        self.stepping() && self.canary().available > 0
    }

    /// The canary's part while it is on trial.
    fn on_trial(&self) -> Option<CanaryTraffic> {
        let running = self
            .seen
            .traffic
            .as_ref()
            .and_then(|traffic| traffic.canary.as_ref());
        let another = running.is_some_and(|canary| canary.revision != self.state.current);
        if !self.on_trial_with_pods() || self.by_pods() || another {
            return None;
        }
        let waits =
            matches!(self.current_step(), Some(Step::SetWeight(_)) | None) && !self.canary_ready();
        let weight = match waits {
            false => self.set_weight(),
            // The steps that were skipped made no room for any of it.
            true if self.rolls_back_within_window() => 0,
            true => self.weight_before(),
        };
        let (routes, mirrors) = match self.has_surplus() {
            true => (self.routes_before(), self.mirrors_before()),
            false => (self.routes(), self.mirrors()),
        };
        Some(CanaryTraffic {
            revision: self.state.current.clone(),
            weight_bp: weight.max(self.held_weight()),
            routes,
            mirrors,
        })
    }
}

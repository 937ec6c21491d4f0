//! What the world is, for those who watch it.

use std::time::Instant;

use super::{Decided, World};
use crate::local::desk::{self, Board};
use crate::manifest::Rollout;
use crate::reconcile::view::{Shown, view};
use crate::view::RolloutView;

impl World {
    pub(super) fn show(&self) {
        let views: Vec<RolloutView> = self
            .manifests
            .rollouts
            .iter()
            .filter_map(|rollout| self.view(rollout))
            .collect();
        let board = Board {
            views,
            files: Some(desk::Files {
                dir: self.place.dir.clone(),
                fingerprint: self.source.fingerprint(),
            }),
        };
        self.counter.views.send_if_modified(|shown| {
            let differs = *shown != board;
            *shown = board;
            differs
        });
    }

    fn view(&self, rollout: &Rollout) -> Option<RolloutView> {
        let key = &rollout.key;
        let Decided { plan, decision } = self.decided.get(key)?;
        let mut notices = plan.notices.clone();
        notices.extend(self.manifests.notices.iter().cloned());
        notices.extend(self.files.refused());
        let trouble = self.trouble.why();
        notices.extend(trouble.map(|why| format!("nothing goes on until this is mended: {why}")));
        let stale = self.source.stale(Instant::now());
        let shown = Shown {
            plan,
            decision,
            record: self.memory.rollouts.get(&key.to_string())?,
            traffic: self.proof.known.get(key),
            notices: &notices,
            gateway: &format!("http://{}", self.place.gateway),
            stale: stale.as_ref(),
        };
        Some(view(shown, |hash| {
            self.sets.pods(&(key.clone(), hash.to_string()))
        }))
    }
}

//! A verb in, its answer out: what it changes is stored before anybody is told that it is done.

use super::World;
use crate::clock;
use crate::local::desk::{DeskRefusal, Order};
use crate::manifest::Key;

impl World {
    pub(super) fn heed(&mut self, order: Order) {
        let Order {
            namespace,
            name,
            verb,
            answer,
        } = order;
        let key = Key { namespace, name };
        let rollout = self
            .manifests
            .rollouts
            .iter()
            .find(|rollout| rollout.key == key);
        let before = self.memory.rollouts.get(&key.to_string()).cloned();
        let record = self.memory.rollouts.get_mut(&key.to_string());
        let mut done = match (rollout, record) {
            (Some(rollout), Some(record)) => record
                .heed(verb, &rollout.plan, clock::now())
                .map_err(DeskRefusal::from),
            _ => Err(DeskRefusal::UnknownRollout {
                asked: key.to_string(),
                known: self
                    .manifests
                    .rollouts
                    .iter()
                    .map(|r| r.key.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        };
        // Stored before it is answered: what was promised survives.
        if done.is_ok()
            && let Err(error) = self.store.save(&self.memory)
        {
            let before = before.map(|before| (key.to_string(), before));
            self.memory.rollouts.extend(before);
            done = Err(DeskRefusal::NotStored(format!("{error:#}")));
        }
        match &done {
            Ok(done) => tracing::info!(rollout = %key, done, "verb"),
            Err(refusal) => tracing::warn!(rollout = %key, %refusal, "verb refused"),
        }
        // Whoever asked may have gone.
        let _ = answer.send(done);
    }
}

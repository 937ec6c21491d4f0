//! What every Rollout is to be now: records and pods in, decisions and wanted ReplicaSets out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serin_core::analysis::Template;
use serin_core::plan::Plan;
use serin_core::time::Timestamp;

use super::tell::tell;
use super::{Decided, World};
use crate::local::sets::{SetKey, Sets};
use crate::manifest::pod::Pod;
use crate::manifest::{Key, Rollout};
use crate::reconcile::record::{Record, Revision};
use crate::reconcile::{PodsSeen, Seen, decide};
use crate::runs;

impl World {
    pub(super) fn decide_all(&mut self, now: Timestamp) -> BTreeMap<SetKey, (Pod, u16, u32)> {
        let mut wanted = BTreeMap::new();
        let mut decided = BTreeMap::new();
        for rollout in &self.manifests.rollouts {
            let key = &rollout.key;
            let record = self.memory.rollouts.entry(key.to_string());
            let record = record.or_insert_with(|| Record::begin(now));
            record.history_limit = rollout.plan.revision_history;
            let plan = record.effective(&rollout.plan);
            let seen = Seen {
                pods: pods(&self.sets, record, &plan, key, now),
                traffic: self.proof.known.get(key).cloned(),
                overtaken: self.proof.overtaken.contains(key),
            };
            let decision = decide(&plan, record, &seen, now);
            tell(
                key,
                self.decided.get(key).map(|before| &before.decision),
                &decision,
            );
            for revision in &record.revisions {
                if let Some((pod, port)) = pod(rollout, &revision.template) {
                    let set = (key.clone(), revision.hash.clone());
                    wanted.insert(set, (pod, port, revision.desired));
                }
            }
            decided.insert(key.clone(), Decided { plan, decision });
        }
        self.decided = decided;
        self.forget();
        wanted
    }

    /// Forgets the Rollouts that nobody has asked for in a while.
    fn forget(&mut self) {
        let asked: BTreeSet<String> = self.decided.keys().map(ToString::to_string).collect();
        let known = self.memory.rollouts.keys();
        let unasked = known.filter(|name| !asked.contains(*name)).cloned();
        for name in self.gone.forget(unasked.collect(), Instant::now()) {
            tracing::info!(rollout = name, "rollout is gone");
            self.memory.rollouts.remove(&name);
        }
    }

    pub(super) fn scale(&mut self, wanted: &BTreeMap<SetKey, (Pod, u16, u32)>) {
        for (set, (_, _, desired)) in wanted {
            self.sets.scale(set, *desired);
        }
        for set in self.sets.keys() {
            if !wanted.contains_key(&set) {
                self.sets.empty(&set);
            }
        }
    }

    pub(super) fn reconcile_runs(&mut self, now: Timestamp) {
        for rollout in &self.manifests.rollouts {
            let Some(decided) = self.decided.get(&rollout.key) else {
                continue;
            };
            let Some(record) = self.memory.rollouts.get_mut(&rollout.key.to_string()) else {
                continue;
            };
            let templates: Vec<Template> = self.manifests.templates_for(&rollout.key.namespace);
            let of_version = |revision: &&Revision| revision.hash == record.state.current;
            let revision = record.revisions.iter().find(of_version);
            let context = runs::Context {
                templates: &templates,
                rollout: &rollout.document,
                latest: &record.state.current,
                number: revision.map(|revision| revision.number),
                stable: &record.state.stable,
                secrets: self.place.local_secrets(),
                history: rollout.plan.run_history,
            };
            runs::reconcile(&mut record.runs, &decided.decision.runs, context, now);
        }
    }
}

fn pods(
    sets: &Sets,
    record: &Record,
    plan: &Plan,
    key: &Key,
    now: Timestamp,
) -> BTreeMap<String, PodsSeen> {
    let pods = record.revisions.iter().map(|revision| {
        let set = (key.clone(), revision.hash.clone());
        (revision.hash.clone(), sets.seen(&set, plan.min_ready, now))
    });
    pods.collect()
}

/// The pod of an older template too; one that was accepted once is accepted again.
fn pod(rollout: &Rollout, template: &serde_json::Value) -> Option<(Pod, u16)> {
    let (pod, _) = Pod::parse(template).ok()?;
    let service = rollout
        .stable
        .as_ref()
        .and_then(|service| service.target(&pod.ports).ok());
    let first = pod.ports.first().map(|port| port.number);
    let port = service.or(first).unwrap_or(80);
    Some((pod, port))
}

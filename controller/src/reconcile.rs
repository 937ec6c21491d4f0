//! One pass over one Rollout: its record and what is seen of the world in, the whole wanted world
//! out. Read this first; who observes and acts is local mode's world.

pub mod record;
pub mod view;

use std::collections::BTreeMap;

use serin_core::plan::Plan;
use serin_core::revision;
use serin_core::step::{Decision, Observation, RunSeen, SetSeen, Traffic, step};
use serin_core::time::Timestamp;

use record::Record;

/// What is seen of a ReplicaSet's pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodsSeen {
    /// Those that exist and are not on their way out.
    pub replicas: u32,
    /// Those ready for at least `minReadySeconds`.
    pub available: u32,
}

/// What is seen of the world of one Rollout.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its pods by template hash.
    pub pods: BTreeMap<String, PodsSeen>,
    /// The traffic that every proxy is known to have run last.
    pub traffic: Option<Traffic>,
    /// Whether other traffic was asked for since, which some proxy may run.
    pub overtaken: bool,
}

/// Decides what a Rollout needs, and writes into its record what must outlive this process. The
/// record is to be stored before anybody acts on the decision.
pub fn decide(plan: &Plan, record: &mut Record, seen: &Seen, now: Timestamp) -> Decision {
    let template = revision::hash(&plan.template);
    record.take_up(&template, &plan.template, now);
    let observation = Observation {
        state: record.state.clone(),
        template,
        sets: sets(record, seen),
        runs: runs(record),
        traffic: seen.traffic.clone(),
        overtaken: seen.overtaken,
    };
    let decision = step(plan, &observation, now);
    record.state = decision.state.clone();
    for revision in &mut record.revisions {
        revision.desired = decision.sets.get(&revision.hash).copied().unwrap_or(0);
    }
    record.prune();
    decision
}

fn sets(record: &Record, seen: &Seen) -> BTreeMap<String, SetSeen> {
    let set = |revision: &record::Revision| {
        let pods = seen.pods.get(&revision.hash).copied().unwrap_or_default();
        SetSeen {
            revision: revision.number,
            created: revision.created,
            desired: revision.desired,
            replicas: pods.replicas,
            available: pods.available,
        }
    };
    record
        .revisions
        .iter()
        .map(|revision| (revision.hash.clone(), set(revision)))
        .collect()
}

fn runs(record: &Record) -> BTreeMap<String, RunSeen> {
    let seen = |run: &crate::runs::Run| RunSeen {
        phase: run.status.phase,
        message: run.status.message.clone(),
        holds: run.status.holds().map(str::to_string),
    };
    record
        .runs
        .iter()
        .map(|run| (run.name.clone(), seen(run)))
        .collect()
}

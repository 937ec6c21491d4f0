//! What a release does next: plan, observation and the time in, the whole wanted world out.

mod advance;
mod dynamic;
mod ratio;
mod release;
mod services;
mod sets;
mod traffic;
mod wanted;
mod why;

pub use release::asked_after;
pub(crate) use release::routes_after;
pub use services::routed_services;
pub use why::Why;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

use release::Release;

use crate::plan::{AnalysisRef, MirrorRoute, Plan};
use crate::time::Timestamp;
use crate::wire::HeaderRoute;

/// What a release remembers between passes. It is stored with the Rollout and handed back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// The template hash that serves everybody; empty before the first release has ended.
    pub stable: String,
    /// The template hash last asked for.
    pub current: String,
    /// A hash of the step list that `index` counts in.
    pub steps: String,
    /// The step under way, 0-based; the number of steps when all are done.
    pub index: usize,
    /// Why and since when the release waits for someone or for time.
    pub pause: Option<Paused>,
    /// Set when a pause step began; a pause that is gone while this is set has ended.
    pub controller_pause: bool,
    /// Why and when the release was taken back.
    pub abort: Option<Aborted>,
    /// Someone asked to skip the rest.
    pub promote_full: bool,
    /// How often this release was started again; part of analysis run names.
    pub attempt: u32,
    /// How often the run beside the steps was begun again; part of its name.
    pub background_attempt: u32,
    /// When the release last got on, for the progress deadline.
    pub progressed_at: Timestamp,
    /// How far it got; when it gets further, `progressed_at` is set. None while the clock stands.
    pub progress: Option<Progress>,
    /// ReplicaSets that serve nobody any more, and when their pods go.
    pub scale_down_at: BTreeMap<String, Timestamp>,
    /// The canary's share that was asked for last, where stable's pods follow it.
    pub share: Option<Share>,
    /// Which of the Services that take turns serves stable; none before a version was stable.
    pub stable_ping_pong: Option<PingPong>,
    /// The `spec.restartAt` that was carried out last.
    pub restarted_at: Option<Timestamp>,
}

/// One of two Services that take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PingPong {
    /// `pingService`.
    Ping,
    /// `pongService`.
    Pong,
}

/// A version's share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Its template hash.
    pub revision: String,
    /// In basis points.
    pub weight_bp: u16,
}

/// How far a release got. Pods that come and go are no progress, so the most pods count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The step.
    pub index: usize,
    /// The most pods that existed in this step.
    pub replicas: u32,
    /// The most pods that were available in this step.
    pub available: u32,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Why.
    pub reason: PauseReason,
    /// Whether it was the step's own analysis that could not tell: promoting skips that step.
    #[serde(default)]
    pub step_run: bool,
    /// Since when.
    pub since: Timestamp,
}

/// Why a release waits (Argo's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseReason {
    /// A pause step.
    CanaryPauseStep,
    /// An analysis that could not tell.
    InconclusiveAnalysisRun,
}

/// An abort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted {
    /// Since when.
    pub since: Timestamp,
    /// The reason as the user reads it.
    pub why: String,
}

/// What is seen of the world in one pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// What the last decision stored.
    pub state: State,
    /// The hash of the template that the manifest asks for now.
    pub template: String,
    /// The ReplicaSets by template hash.
    pub sets: BTreeMap<String, SetSeen>,
    /// The analysis runs by name.
    pub runs: BTreeMap<String, RunSeen>,
    /// The traffic that every proxy is known to have run last; none before the first was
    /// acknowledged.
    pub traffic: Option<Traffic>,
    /// Whether other traffic was asked for since: some proxy may run that already. It ends when
    /// every proxy is known to run what was asked for last.
    pub overtaken: bool,
}

/// What is seen of a ReplicaSet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetSeen {
    /// Its revision number, 1 for the first.
    pub revision: u64,
    /// Since when it exists. A version that is asked for again gets the next revision number, so
    /// this alone tells which is older.
    pub created: Timestamp,
    /// Pods asked for.
    pub desired: u32,
    /// Pods that exist.
    pub replicas: u32,
    /// Pods ready for at least `minReadySeconds`.
    pub available: u32,
}

/// What is seen of an analysis run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSeen {
    /// How far it is.
    pub phase: RunPhase,
    /// Why, as the user reads it.
    pub message: String,
    /// Why nothing may change for now, if the run says so.
    pub holds: Option<String>,
}

/// The phase of a measurement, a metric or an analysis run (Argo's names).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunPhase {
    /// Not begun.
    #[default]
    Pending,
    /// Under way.
    Running,
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Could not be measured.
    Error,
    /// Neither good nor bad.
    Inconclusive,
}

impl State {
    /// Back to the first step, with nothing waiting.
    pub(crate) fn rewind(&mut self) {
        self.index = 0;
        self.pause = None;
        self.controller_pause = false;
        self.promote_full = false;
        self.progress = None;
    }
}

impl RunPhase {
    /// Whether it has ended.
    pub fn completed(self) -> bool {
        !matches!(self, RunPhase::Pending | RunPhase::Running)
    }
}

/// Who gets which requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// The template hash that serves everybody else.
    pub stable: String,
    /// The canary's part; none while no release is in flight.
    pub canary: Option<CanaryTraffic>,
}

/// The canary's part of the traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryTraffic {
    /// Its template hash.
    pub revision: String,
    /// Its share in basis points.
    pub weight_bp: u16,
    /// The header routes in force, in managed order.
    pub routes: Vec<HeaderRoute>,
    /// The mirror routes in force, in managed order, which they share with the header routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<MirrorRoute>,
}

/// Which ReplicaSet each Service selects, by template hash; empty: selects nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// The stable Service.
    pub stable: String,
    /// The canary Service.
    pub canary: String,
    /// Those that take turns, if there are such.
    pub ping_pong: Option<TakingTurns>,
}

/// What Services that take turns select, by template hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakingTurns {
    /// Which of them serves stable now.
    pub stable: PingPong,
    /// `pingService`.
    pub ping: String,
    /// `pongService`.
    pub pong: String,
}

/// The whole wanted world.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// To be stored and handed back in the next observation.
    pub state: State,
    /// What the filter (or a VirtualService) does; written after the services. Where no router moves
    /// the traffic there is never a canary in it: the pods' share is the weight.
    pub traffic: Traffic,
    /// What the Services select; written before the traffic.
    pub services: Services,
    /// Pods wanted by template hash; a ReplicaSet that is not listed wants none.
    pub sets: BTreeMap<String, u32>,
    /// Analysis runs that go on or begin; every other one is terminated.
    pub runs: Vec<WantedRun>,
    /// How the release stands.
    pub phase: Phase,
    /// Why it stands so.
    pub why: Why,
    /// What happened in this pass, for events and logs.
    pub events: Vec<Event>,
    /// When to look again although nothing changes.
    pub look_again: Option<Duration>,
}

/// An analysis run that should exist.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedRun {
    /// Its name.
    pub name: String,
    /// The step it belongs to; none: it runs beside the steps.
    pub step: Option<usize>,
    /// What it runs.
    pub analysis: AnalysisRef,
}

/// The phase of a Rollout (Argo's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Under way.
    Progressing,
    /// Waiting for someone or for time.
    Paused,
    /// Done.
    Healthy,
    /// Taken back, or stuck.
    Degraded,
}

/// Something that happened, with Argo's reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Argo's event reason, such as `RolloutStepCompleted`.
    pub reason: String,
    /// The text.
    pub message: String,
}

/// Decides what a release does next.
///
/// Every observation has one answer, so there is no error to return. The caller stores the
/// decision's state and hands it back in the next observation; asking again with the same
/// arguments gives the same answer, so a crash between deciding and acting costs nothing. One
/// decision goes on by one step at most.
pub fn step(plan: &Plan, seen: &Observation, now: Timestamp) -> Decision {
    let mut release = Release::new(plan, seen, now);
    release.take_up_template();
    if release.in_flight() {
        release.skip_steps_of_rollback();
        release.heed_runs();
        release.go_on();
        release.promote_when_done();
    } else {
        release.adopt_first_version();
    }
    release.heed_deadline();
    release.decide()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

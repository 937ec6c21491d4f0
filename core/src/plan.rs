//! A Rollout's manifest, parsed once into types that cannot be wrong.

mod analysis;
mod istio;
mod limits;
mod matches;
mod mirror;
mod no_cluster;
mod pods;
mod rollout;
mod routing;
mod scaling;
mod selector;
mod services;
mod steps;
mod strategy;
mod workload;

pub use istio::{DestinationRuleRef, IstioRouter, TcpRoute, TlsRoute, VirtualServiceRef};
pub use limits::check_together;
pub use mirror::{MirrorMatch, MirrorRoute, TextMatch};
pub use pods::{AntiAffinity, Metadata};
pub use scaling::{Amount, Threshold};
pub use selector::{Expression, Requirement, Selector};
pub use services::PingPongServices;
pub use workload::{ScaleDown, Workload, WorkloadKind, WorkloadRef};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

use crate::field::{Field, FieldErrors, Report};
use crate::time::Timestamp;
use crate::wire::{HeaderRoute, StickyKey};

/// What a Rollout asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`, or the namespace given where the manifest names none.
    pub namespace: String,
    /// `spec.replicas`, 1 if absent.
    pub replicas: u32,
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.template` as written, or that of the workload, without the name of a version's workload
    /// that came with it from a ReplicaSet; its hash names the revision.
    pub template: Value,
    /// `spec.selector`, or the workload's where the Rollout has none.
    pub selector: Selector,
    /// `spec.workloadRef`: where the template is from.
    pub workload_ref: Option<WorkloadRef>,
    /// `spec.restartAt`: pods created before are replaced once it has passed.
    pub restart_at: Option<Timestamp>,
    /// `spec.rollbackWindow.revisions`: a return to one of so many revisions before the stable one
    /// needs no steps; 0 if absent.
    pub rollback_window: usize,
    /// `spec.strategy.canary.stableService`.
    pub stable_service: Option<String>,
    /// `spec.strategy.canary.canaryService`.
    pub canary_service: Option<String>,
    /// Two Services that take turns.
    pub ping_pong: Option<PingPongServices>,
    /// How traffic is moved.
    pub router: Router,
    /// Names of managed routes in their order: those listed, then those only steps name.
    pub managed_routes: Vec<String>,
    /// The steps.
    pub steps: Vec<Step>,
    /// Tells whether the step list changed: a hash of it as written, with the routes that
    /// `serin/wasm` describes.
    pub steps_hash: String,
    /// `spec.strategy.canary.analysis`: runs beside the steps.
    pub background: Option<Background>,
    /// `spec.progressDeadlineSeconds`.
    pub progress_deadline: Duration,
    /// `spec.progressDeadlineAbort`.
    pub progress_deadline_abort: bool,
    /// `spec.minReadySeconds`.
    pub min_ready: Duration,
    /// `trafficRouting.maxTrafficWeight`: what a weight of everything is called, 100 if absent.
    pub max_weight: u32,
    /// `maxSurge` as written; [`Plan::surge`] is the number of pods.
    pub max_surge: Option<Amount>,
    /// `maxUnavailable` as written; [`Plan::unavailable`] is the number of pods.
    pub max_unavailable: Option<Amount>,
    /// How long the old pods stay after a promotion.
    pub scale_down_delay: Duration,
    /// How long the canary's pods stay after an abort.
    pub abort_scale_down_delay: Duration,
    /// `abortScaleDownDelaySeconds: 0`: the canary keeps the size that a `setCanaryScale` in the
    /// first step asks for.
    pub abort_keeps_canary: bool,
    /// How many old versions may wait for their delay at once; none: all of them.
    pub scale_down_delay_revision_limit: Option<usize>,
    /// Whether stable has only the pods that its share of the requests needs.
    pub dynamic_stable_scale: bool,
    /// `minPodsPerReplicaSet`: the fewest pods of a version that has any.
    pub min_pods: u32,
    /// How many pods are enough to go on; [`Plan::enough`] tells.
    pub replica_progress_threshold: Option<Threshold>,
    /// Whether pods of a new version keep away from stable ones.
    pub anti_affinity: Option<AntiAffinity>,
    /// What pods carry for as long as they are the canary.
    pub canary_metadata: Metadata,
    /// What pods carry for as long as they are stable.
    pub stable_metadata: Metadata,
    /// `spec.revisionHistoryLimit`: revisions without pods that are remembered.
    pub revision_history: usize,
    /// `spec.analysis`: ended analysis runs that are remembered.
    pub run_history: RunHistory,
    /// What a user should know and need not change.
    pub notices: Vec<String>,
}

/// How many ended analysis runs are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunHistory {
    /// Successful ones.
    pub successful: usize,
    /// All others.
    pub unsuccessful: usize,
}

/// What moves a Rollout's traffic, by `spec.strategy.canary.trafficRouting`.
#[derive(Clone, Debug, PartialEq)]
pub enum Router {
    /// Istio's VirtualServices.
    Istio(IstioRouter),
    /// The filter, `plugins: {serin/wasm: …}`.
    Wasm(WasmRouter),
    /// None: the share of pods.
    ReplicaRatio,
}

/// `trafficRouting.plugins["serin/wasm"]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WasmRouter {
    /// Names that callers use beside the Services' own.
    pub hosts: Vec<String>,
    /// What identifies a user.
    pub sticky: Vec<StickyKey>,
    /// Richer matches for managed routes, by name.
    pub routes: Vec<HeaderRoute>,
    /// The user's VirtualServices that follow the filter's header; none: the controller has one of
    /// its own. They name no routes.
    pub virtual_services: Vec<VirtualServiceRef>,
    /// `workloadName`: what Istio calls the workload of the pods.
    pub workload_name: WorkloadName,
    /// `blindQueries`: what a query of an analysis comes to that sees nothing.
    pub blind_queries: BlindQueries,
}

/// `blindQueries`: what a query of an analysis comes to that sees no series while the filter counts
/// requests to the canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BlindQueries {
    /// `warn`: it is judged as it is, and told of.
    #[default]
    Warn,
    /// `inconclusive`: it cannot tell.
    Inconclusive,
}

impl Plan {
    /// What a query of an analysis comes to that sees nothing.
    pub fn blind_queries(&self) -> BlindQueries {
        match &self.router {
            Router::Wasm(wasm) => wasm.blind_queries,
            _ => BlindQueries::default(),
        }
    }
}

/// What Istio calls the workload of a Rollout's pods in its metrics, by
/// [`crate::revision::WORKLOAD_LABEL`], which its injector heeds from 1.25 on.
///
/// The proxy's own name is what the Telemetry `serin-tags` falls back to. So with `revision` and that
/// Telemetry stable is `<rollout>-<hash>`, and the canary `<rollout>-canary` as before, since the
/// filter's name comes first; without that Telemetry the canary is `<rollout>-<hash>` too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkloadName {
    /// `rollout`: as Istio finds it, which since 1.22 is the Rollout's name for all versions.
    #[default]
    Rollout,
    /// `revision`: `<rollout>-<hash>`, by a label on the pods of ReplicaSets that are made from now
    /// on. It is no part of the template, so no pod is replaced for it.
    Revision,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send this share to the canary, in basis points (0 to 10,000).
    SetWeight(u16),
    /// Wait.
    Pause(Pause),
    /// Run this analysis and go on when it succeeds.
    Analysis(AnalysisRef),
    /// Send the requests that match to the canary.
    AddHeaderRoute(HeaderRoute),
    /// Remove the header route of this name.
    RemoveHeaderRoute(String),
    /// Copy the requests that match to the canary.
    AddMirrorRoute(MirrorRoute),
    /// Remove the mirror route of this name.
    RemoveMirrorRoute(String),
    /// Fix the canary's size apart from its weight.
    SetCanaryScale(CanaryScale),
}

/// How long a pause lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// This long.
    For(Duration),
    /// Until someone promotes.
    UntilPromoted,
}

/// The canary's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryScale {
    /// This many replicas.
    Replicas(u32),
    /// This percentage of `spec.replicas`, 0 to 100.
    Percent(u32),
    /// As the weight says (the default).
    MatchTrafficWeight,
}

/// Which templates an analysis runs, and with which arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnalysisRef {
    /// AnalysisTemplates by name.
    pub templates: Vec<TemplateRef>,
    /// `args` as written (a list of name and value or valueFrom), validated.
    pub args: Vec<Value>,
    /// `dryRun` as written.
    pub dry_run: Vec<Value>,
    /// `measurementRetention` as written.
    pub measurement_retention: Vec<Value>,
    /// `analysisRunMetadata`: what the run carries.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A reference to a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRef {
    /// `templateName`.
    pub name: String,
    /// `clusterScope`.
    pub cluster_scope: bool,
}

/// An analysis that runs beside the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Background {
    /// What it runs.
    pub analysis: AnalysisRef,
    /// The step from which on it runs.
    pub starting_step: usize,
}

impl Plan {
    /// Reads a Rollout with a template of its own. `default_namespace` is taken where the manifest
    /// names none.
    ///
    /// # Errors
    /// Every field that is wrong or not supported, with its value and what is accepted.
    pub fn parse(rollout: &Value, default_namespace: &str) -> Result<Plan, FieldErrors> {
        Plan::parse_with(rollout, default_namespace, None)
    }

    /// The same, where the Rollout may refer to a workload ([`WorkloadRef::of`] tells which).
    ///
    /// # Errors
    /// As [`Plan::parse`], and if the workload was not found.
    pub fn parse_with(
        rollout: &Value,
        default_namespace: &str,
        workload: Option<Workload<'_>>,
    ) -> Result<Plan, FieldErrors> {
        let report = Report::default();
        let root = Field::root("", rollout, &report);
        let plan = rollout::read(&root, default_namespace, workload);
        report.finish(plan).and_then(limits::check)
    }

    /// Its analyses, each with its step; none: it runs beside the steps.
    pub fn analyses(&self) -> impl Iterator<Item = (Option<usize>, &AnalysisRef)> {
        let beside = self.background.iter();
        let beside = beside.map(|background| (None, &background.analysis));
        let steps = self.steps.iter().enumerate();
        let steps = steps.filter_map(|(index, step)| match step {
            Step::Analysis(analysis) => Some((Some(index), analysis)),
            _ => None,
        });
        beside.chain(steps)
    }
}

impl Step {
    /// The managed route that it sets or removes.
    pub fn route(&self) -> Option<&str> {
        match self {
            Step::AddHeaderRoute(HeaderRoute { name, .. })
            | Step::AddMirrorRoute(MirrorRoute { name, .. })
            | Step::RemoveHeaderRoute(name)
            | Step::RemoveMirrorRoute(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::SetWeight(weight) => write!(f, "setWeight: {}", percent(*weight)),
            Step::Pause(Pause::UntilPromoted) => write!(f, "pause: until promoted"),
            Step::Pause(Pause::For(time)) => write!(f, "pause: {time:?}"),
            Step::Analysis(analysis) => {
                let names: Vec<&str> = analysis.templates.iter().map(|t| t.name.as_str()).collect();
                write!(f, "analysis: {}", names.join(", "))
            }
            Step::AddHeaderRoute(route) => write!(f, "setHeaderRoute: {}", route.name),
            Step::RemoveHeaderRoute(name) => write!(f, "setHeaderRoute: {name} (remove)"),
            Step::AddMirrorRoute(route) => write!(f, "setMirrorRoute: {}", route.name),
            Step::RemoveMirrorRoute(name) => write!(f, "setMirrorRoute: {name} (remove)"),
            Step::SetCanaryScale(CanaryScale::Replicas(1)) => {
                write!(f, "setCanaryScale: 1 replica")
            }
            Step::SetCanaryScale(CanaryScale::Replicas(n)) => {
                write!(f, "setCanaryScale: {n} replicas")
            }
            Step::SetCanaryScale(CanaryScale::Percent(p)) => write!(f, "setCanaryScale: {p} %"),
            Step::SetCanaryScale(CanaryScale::MatchTrafficWeight) => {
                write!(f, "setCanaryScale: matchTrafficWeight")
            }
        }
    }
}

/// Basis points as a percentage without needless digits: 1000 is `10`, 5 is `0.05`.
pub fn percent(weight_bp: u16) -> String {
    let (whole, rest) = (weight_bp / 100, weight_bp % 100);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:02}")
        .trim_end_matches('0')
        .to_string()
}

#[cfg(test)]
mod tests;

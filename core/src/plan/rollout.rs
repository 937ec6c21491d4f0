//! The outer layers of a Rollout: metadata, `spec`, and what surrounds the strategy.

use serde_json::Value;
use std::time::Duration;

use super::{
    Metadata, Plan, RunHistory, Selector, Workload, WorkloadRef, selector, strategy, workload,
};
use crate::field::Field;
use crate::revision;
use crate::time::{TIME_ACCEPTED, Timestamp, parse_time};

/// The longest name: `<name>-<hash>` and `<name>-canary` must stay DNS labels (63 characters)
/// with a hash of up to ten.
const NAME_MAX: usize = 52;

/// The longest namespace, as Kubernetes has it.
const NAMESPACE_MAX: usize = 63;

/// Reads a whole Rollout; what is wrong goes to the field's report.
pub(super) fn read(
    rollout: &Field<'_>,
    default_namespace: &str,
    workload: Option<Workload<'_>>,
) -> Option<Plan> {
    rollout.only(&["apiVersion", "kind", "metadata", "spec", "status"]);
    constant(rollout, "apiVersion", "argoproj.io/v1alpha1");
    constant(rollout, "kind", "Rollout");
    let (name, namespace) = names(rollout, default_namespace)?;
    let spec = rollout.required("spec", "an object")?;
    spec.only(&SPEC);
    for field in LATER {
        if let Some(found) = spec.optional(field) {
            found.refuse("is not supported yet, expected it to be absent");
        }
    }
    let replicas = whole(&spec, "replicas", 1, REPLICAS_MAX)?;
    let workload_ref = workload::read(&spec);
    let pods = match &workload_ref {
        Some(Some(reference)) => pods_of(&spec, reference, workload),
        Some(None) => own_pods(&spec),
        None => None,
    };
    let strategy = strategy::read(&spec, replicas > 0);
    let (min_ready, progress_deadline) = deadlines(&spec)?;
    let revision_history = whole(&spec, "revisionHistoryLimit", 10, REPLICAS_MAX)?;
    let run_history = run_history(&spec);
    let (restart_at, rollback_window) = (restart_at(&spec), rollback_window(&spec));
    let (strategy, pods) = (strategy?, pods?);
    pods.keep_selected(&spec, "canaryMetadata", &strategy.canary_metadata);
    pods.keep_selected(&spec, "stableMetadata", &strategy.stable_metadata);
    let (services, scaling) = (strategy.services, strategy.scaling);
    let mut template = pods.template.clone();
    revision::remove_workload_of(&mut template, name.as_deref().unwrap_or_default());
    Some(Plan {
        name: name?,
        namespace: namespace?,
        replicas: u32::try_from(replicas).ok()?,
        paused: flag(&spec, "paused")?,
        template,
        selector: pods.selector,
        workload_ref: workload_ref?,
        restart_at: restart_at?,
        rollback_window: rollback_window?,
        stable_service: services.stable,
        canary_service: services.canary,
        ping_pong: services.ping_pong,
        router: strategy.router,
        managed_routes: strategy.managed_routes,
        steps: strategy.steps,
        steps_hash: steps_hash(&spec),
        background: strategy.background,
        progress_deadline,
        progress_deadline_abort: flag(&spec, "progressDeadlineAbort")?,
        min_ready,
        max_weight: strategy.max_weight,
        max_surge: scaling.max_surge,
        max_unavailable: scaling.max_unavailable,
        scale_down_delay: scaling.scale_down_delay,
        abort_scale_down_delay: scaling.abort_scale_down_delay,
        abort_keeps_canary: scaling.abort_keeps_canary,
        scale_down_delay_revision_limit: scaling.scale_down_delay_revision_limit,
        dynamic_stable_scale: scaling.dynamic_stable_scale,
        min_pods: scaling.min_pods,
        replica_progress_threshold: scaling.replica_progress_threshold,
        anti_affinity: strategy.anti_affinity,
        canary_metadata: strategy.canary_metadata,
        stable_metadata: strategy.stable_metadata,
        revision_history: usize::try_from(revision_history).ok()?,
        run_history: run_history?,
        notices: strategy.notices,
    })
}

const REPLICAS_MAX: i64 = 10_000;
const SECONDS_MAX: i64 = 10_000_000;

/// What `spec` may hold; the rest of the API is in [`LATER`].
const SPEC: [&str; 14] = [
    "replicas",
    "selector",
    "template",
    "strategy",
    "minReadySeconds",
    "revisionHistoryLimit",
    "paused",
    "progressDeadlineSeconds",
    "progressDeadlineAbort",
    "analysis",
    "workloadRef",
    "restartAt",
    "rollbackWindow",
    "scaleDownOnPause",
];

/// Fields of the API that would change what happens and are not acted on yet.
const LATER: [&str; 1] = ["scaleDownOnPause"];

/// Name and namespace.
fn names(rollout: &Field<'_>, default_namespace: &str) -> Option<(Option<String>, Option<String>)> {
    let metadata = rollout.required("metadata", "an object with a name")?;
    let name = metadata
        .required("name", "the Rollout's name")
        .and_then(|name| dns_label(&name, NAME_MAX));
    let namespace = match metadata.optional("namespace") {
        Some(namespace) => dns_label(&namespace, NAMESPACE_MAX),
        None => Some(default_namespace.to_string()),
    };
    Some((name, namespace))
}

/// `minReadySeconds` and `progressDeadlineSeconds`: a pod must be able to become available in time.
fn deadlines(spec: &Field<'_>) -> Option<(Duration, Duration)> {
    let min_ready = whole(spec, "minReadySeconds", 0, SECONDS_MAX)?;
    let progress_deadline = whole(spec, "progressDeadlineSeconds", 600, SECONDS_MAX)?;
    if progress_deadline <= min_ready {
        spec.refuse(format_args!(
            "progressDeadlineSeconds is {progress_deadline}, expected more than the \
             {min_ready} of minReadySeconds"
        ));
    }
    let seconds = Duration::from_secs;
    Some((seconds(min_ready), seconds(progress_deadline)))
}

/// A whole number of at least 0, or `default` where it is absent; `None` where it is wrong.
pub(super) fn whole(parent: &Field<'_>, name: &str, default: u64, most: i64) -> Option<u64> {
    match parent.optional(name) {
        Some(field) => field.integer(0, most).and_then(|n| u64::try_from(n).ok()),
        None => Some(default),
    }
}

/// A boolean, false where it is absent; `None` where it is wrong.
pub(super) fn flag(parent: &Field<'_>, name: &str) -> Option<bool> {
    parent
        .optional(name)
        .map_or(Some(false), |field| field.boolean())
}

fn constant(parent: &Field<'_>, name: &str, wanted: &str) {
    if let Some(field) = parent.required(name, wanted)
        && field.value().as_str() != Some(wanted)
    {
        field.expected(wanted);
    }
}

/// A name that may stand in object and host names (RFC 1123's label).
fn dns_label(field: &Field<'_>, most: usize) -> Option<String> {
    let text = field.string()?;
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    let good = bytes.len() <= most
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last());
    if !good {
        field.expected(format_args!(
            "a DNS name of at most {most} lower-case letters, digits and hyphens"
        ));
    }
    good.then(|| text.to_string())
}

/// Which pods a Rollout has.
struct Pods<'a> {
    template: &'a Value,
    selector: Selector,
}

impl Pods<'_> {
    /// A pod that is labelled so that the selector no longer finds it would be nobody's.
    fn keep_selected(&self, spec: &Field<'_>, field: &str, metadata: &Metadata) {
        let mut labels = selector::carried(self.template);
        let before = self.selector.matches(&labels);
        labels.extend(metadata.labels.clone());
        if before && !self.selector.matches(&labels) {
            spec.refuse(format_args!(
                "strategy.canary.{field} changes a label that selector asks for, expected others"
            ));
        }
    }
}

/// The pods of a Rollout with a template of its own.
fn own_pods<'a>(spec: &Field<'a>) -> Option<Pods<'a>> {
    let selector = spec.required("selector", "matchLabels that the template's labels carry");
    let accepted = "a pod template, or a workloadRef to an object that has one";
    let template = spec.required("template", accepted)?;
    template.object()?;
    let selector = selector::read(&selector?, template.value())?;
    Some(Pods {
        template: template.value(),
        selector,
    })
}

/// The pods of a Rollout that refers to a workload, found or not.
fn pods_of<'a>(
    spec: &Field<'a>,
    reference: &WorkloadRef,
    workload: Option<Workload<'a>>,
) -> Option<Pods<'a>> {
    if let Some(template) = spec.optional("template")
        && workload::is_template(template.value())
    {
        template.refuse("stands beside workloadRef, expected one of them");
        return None;
    }
    let Some(workload) = workload else {
        spec.optional("workloadRef")?.refuse(format_args!(
            "names {} {:?}, which is not here, expected one that is, or the pod template in \
             spec.template",
            reference.kind.as_str(),
            reference.name
        ));
        return None;
    };
    let selector = match (spec.optional("selector"), workload.selector) {
        (None, Some(selector)) => spec.beside("selector", selector),
        (own, _) => own.or_else(|| spec.required("selector", "labels of the template"))?,
    };
    Some(Pods {
        template: workload.template,
        selector: selector::read(&selector, workload.template)?,
    })
}

fn steps_hash(spec: &Field<'_>) -> String {
    let at = |path: &str| spec.value().pointer(path).cloned().unwrap_or_default();
    let steps = at("/strategy/canary/steps");
    let routes = at("/strategy/canary/trafficRouting/plugins/serin~1wasm/routes");
    revision::hash(&Value::Array(vec![steps, routes]))
}

/// `spec.restartAt`.
fn restart_at(spec: &Field<'_>) -> Option<Option<Timestamp>> {
    let Some(field) = spec.optional("restartAt") else {
        return Some(None);
    };
    let read = field.value().as_str().and_then(parse_time);
    if read.is_none() {
        field.expected(TIME_ACCEPTED);
    }
    read.map(Some)
}

/// `spec.rollbackWindow.revisions`; none is as good as 0.
fn rollback_window(spec: &Field<'_>) -> Option<usize> {
    let Some(window) = spec.optional("rollbackWindow") else {
        return Some(0);
    };
    window.only(&["revisions"]);
    whole(&window, "revisions", 0, REPLICAS_MAX).and_then(|n| usize::try_from(n).ok())
}

/// `spec.analysis`, five of each kind where it is absent.
fn run_history(spec: &Field<'_>) -> Option<RunHistory> {
    const USUAL: u64 = 5;
    let analysis = spec.optional("analysis");
    if let Some(analysis) = &analysis {
        analysis.only(&["successfulRunHistoryLimit", "unsuccessfulRunHistoryLimit"]);
    }
    let limit = |name: &str| {
        let field = analysis.as_ref();
        let limit = field.map_or(Some(USUAL), |field| whole(field, name, USUAL, REPLICAS_MAX));
        limit.and_then(|limit| usize::try_from(limit).ok())
    };
    Some(RunHistory {
        successful: limit("successfulRunHistoryLimit")?,
        unsuccessful: limit("unsuccessfulRunHistoryLimit")?,
    })
}

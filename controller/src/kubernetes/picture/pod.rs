//! Pods, with the status that `kubectl get pods` prints.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus,
};

use crate::view::PodView;

/// One pod.
pub(super) fn view(pod: &Pod) -> PodView {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let mut seen = Seen::of(pod, status);
    let initializing = seen.init_containers(status);
    if !initializing || condition(status, "Initialized") {
        seen.containers(status);
    }
    seen.end(pod, status);
    PodView {
        name: pod.metadata.name.clone().unwrap_or_default(),
        status: seen.word,
        ready: pod.metadata.deletion_timestamp.is_none() && condition(status, "Ready"),
        ready_containers: seen.ready,
        containers: seen.containers,
        restarts: seen.restarts,
        created: super::created(&pod.metadata),
        address: status.pod_ip.clone().unwrap_or_default(),
    }
}

fn condition(status: &PodStatus, kind: &str) -> bool {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == kind && condition.status == "True")
}

/// What is read off a pod, container by container; a later word takes the place of an earlier one.
struct Seen {
    word: String,
    ready: u32,
    containers: u32,
    restarts: u32,
    /// Init containers that run beside the others for as long as those do.
    sidecars: BTreeSet<String>,
    init_containers: usize,
}

impl Seen {
    fn of(pod: &Pod, status: &PodStatus) -> Seen {
        const GATED: &str = "SchedulingGated";
        let spec = pod.spec.as_ref();
        let init = spec.and_then(|spec| spec.init_containers.as_deref());
        let init = init.unwrap_or_default();
        let sidecars = init
            .iter()
            .filter(|container| container.restart_policy.as_deref() == Some("Always"))
            .map(|container| container.name.clone());
        let sidecars: BTreeSet<String> = sidecars.collect();
        let containers = spec.map_or(0, |spec| spec.containers.len()) + sidecars.len();
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let gated = conditions
            .iter()
            .any(|c| c.type_ == "PodScheduled" && c.reason.as_deref() == Some(GATED));
        let reason = status.reason.clone().filter(|reason| !reason.is_empty());
        let phase = || status.phase.clone().unwrap_or_default();
        Seen {
            word: match gated {
                true => GATED.to_string(),
                false => reason.unwrap_or_else(phase),
            },
            ready: 0,
            containers: u32::try_from(containers).unwrap_or(u32::MAX),
            restarts: 0,
            sidecars,
            init_containers: init.len(),
        }
    }

    /// Whether the pod is still at its init containers. Only sidecars' restarts count afterwards.
    fn init_containers(&mut self, status: &PodStatus) -> bool {
        let init = status.init_container_statuses.as_deref();
        let mut restarts_of_sidecars = 0;
        for (i, container) in init.unwrap_or_default().iter().enumerate() {
            let sidecar = self.sidecars.contains(&container.name);
            let restarts = super::count(Some(container.restart_count));
            self.restarts += restarts;
            if sidecar {
                restarts_of_sidecars += restarts;
            }
            let ended = terminated(container);
            if ended.is_some_and(|ended| ended.exit_code == 0) {
                continue;
            }
            if sidecar && container.started == Some(true) {
                self.ready += u32::from(container.ready);
                continue;
            }
            let waits = waiting(container).filter(|reason| *reason != "PodInitializing");
            self.word = match (ended, waits) {
                (Some(ended), _) => format!("Init:{}", end(ended)),
                (None, Some(reason)) => format!("Init:{reason}"),
                (None, None) => format!("Init:{i}/{}", self.init_containers),
            };
            return true;
        }
        self.restarts = restarts_of_sidecars;
        false
    }

    fn containers(&mut self, status: &PodStatus) {
        let mut running = false;
        let mut failed = None;
        let containers = status.container_statuses.as_deref();
        for container in containers.unwrap_or_default().iter().rev() {
            self.restarts += super::count(Some(container.restart_count));
            if let Some(reason) = waiting(container) {
                self.word = reason.to_string();
            } else if let Some(ended) = terminated(container) {
                self.word = end(ended);
                if ended.exit_code != 0 {
                    failed = Some(self.word.clone());
                }
            } else if container.ready && state(container).is_some_and(|s| s.running.is_some()) {
                running = true;
                self.ready += 1;
            }
        }
        if self.word == "Completed" {
            if running && condition(status, "Ready") {
                self.word = "Running".to_string();
            } else if let Some(failed) = failed {
                self.word = failed;
            } else if running {
                self.word = "NotReady".to_string();
            }
        }
    }

    /// A pod on its way out is said to be so, unless it has ended or its node is lost.
    fn end(&mut self, pod: &Pod, status: &PodStatus) {
        if pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let ended = ["Succeeded", "Failed"].contains(&status.phase.as_deref().unwrap_or_default());
        if status.reason.as_deref() == Some("NodeLost") {
            self.word = "Unknown".to_string();
        } else if !ended {
            self.word = "Terminating".to_string();
        }
    }
}

fn state(container: &ContainerStatus) -> Option<&ContainerState> {
    container.state.as_ref()
}

fn waiting(container: &ContainerStatus) -> Option<&str> {
    let waiting = state(container)?.waiting.as_ref()?;
    waiting
        .reason
        .as_deref()
        .filter(|reason| !reason.is_empty())
}

fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    state(container)?.terminated.as_ref()
}

/// How a container ended.
fn end(ended: &ContainerStateTerminated) -> String {
    let reason = ended.reason.clone().filter(|reason| !reason.is_empty());
    reason.unwrap_or_else(|| match ended.signal.unwrap_or(0) {
        0 => format!("ExitCode:{}", ended.exit_code),
        signal => format!("Signal:{signal}"),
    })
}

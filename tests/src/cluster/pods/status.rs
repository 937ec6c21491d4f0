//! A pod's status as a kubelet writes it, out of what its containers do.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

use super::super::network::NODE;
use super::container::{Ending, Progress, State, now};

/// Writes the statuses of one pod.
#[derive(Debug)]
pub(super) struct Report {
    address: Ipv4Addr,
    started: Time,
    never_restarts: bool,
    /// Whether it was ready in the last status, and since when that is so.
    ready: (bool, Time),
}

/// Whether the pod has ended for good.
pub(super) fn is_over(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

impl Report {
    pub(super) fn new(pod: &Pod, address: Ipv4Addr) -> Report {
        let policy = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.restart_policy.as_deref());
        Report {
            address,
            started: now(),
            never_restarts: matches!(policy, Some("Never" | "OnFailure")),
            ready: (false, now()),
        }
    }

    /// The status while the pod is wanted.
    pub(super) fn status(&mut self, containers: &[Progress]) -> Value {
        let has_ended = |one: &Progress| matches!(one.state, State::Terminated(_));
        let has_started =
            |one: &Progress| !matches!(one.state, State::Waiting { .. }) || one.last.is_some();
        let phase = if self.never_restarts && containers.iter().all(has_ended) {
            phase_of_ended(containers)
        } else if containers.iter().all(has_started) {
            "Running"
        } else {
            "Pending"
        };
        self.with_phase(phase, containers)
    }

    /// The status once all containers were ended.
    pub(super) fn last_status(&mut self, containers: &[Progress]) -> Value {
        self.with_phase(phase_of_ended(containers), containers)
    }

    fn with_phase(&mut self, phase: &str, containers: &[Progress]) -> Value {
        let ready = containers.iter().all(|one| one.ready);
        if ready != self.ready.0 {
            self.ready = (ready, now());
        }
        let unready = match phase {
            "Succeeded" => "PodCompleted",
            "Failed" => "PodFailed",
            _ => "ContainersNotReady",
        };
        let condition = |kind: &str, holds: bool, since: &Time| {
            let mut condition = json!({"type": kind, "status": if holds { "True" } else { "False" },
                "lastTransitionTime": since});
            if !holds {
                condition["reason"] = json!(unready);
            }
            condition
        };
        json!({
            "phase": phase,
            "podIP": self.address, "podIPs": [{"ip": self.address}],
            "hostIP": NODE, "hostIPs": [{"ip": NODE}],
            "startTime": self.started,
            // A strategic merge patch joins them by type with those that others wrote.
            "conditions": [
                condition("PodScheduled", true, &self.started),
                condition("Initialized", true, &self.started),
                condition("ContainersReady", ready, &self.ready.1),
                condition("Ready", ready, &self.ready.1),
            ],
            "containerStatuses": containers.iter().map(container).collect::<Vec<_>>(),
        })
    }
}

/// What the pod came to: a container that failed fails it.
fn phase_of_ended(containers: &[Progress]) -> &'static str {
    let failed = |one: &Progress| matches!(&one.state, State::Terminated(end) if end.code != 0);
    if containers.iter().any(failed) {
        "Failed"
    } else {
        "Succeeded"
    }
}

fn container(progress: &Progress) -> Value {
    let is_running = matches!(progress.state, State::Running { .. });
    let state = match &progress.state {
        State::Waiting { reason, message } => {
            json!({"waiting": {"reason": reason, "message": message}})
        }
        State::Running { since } => json!({"running": {"startedAt": since}}),
        State::Terminated(ending) => terminated(ending),
    };
    json!({
        "name": progress.name,
        "image": progress.image, "imageID": "",
        "ready": progress.ready, "started": is_running,
        "restartCount": progress.restarts,
        "state": state,
        "lastState": progress.last.as_ref().map_or_else(|| json!({}), terminated),
    })
}

fn terminated(ending: &Ending) -> Value {
    json!({"terminated": {
        "exitCode": ending.code,
        "reason": if ending.code == 0 { "Completed" } else { "Error" },
        "startedAt": ending.started, "finishedAt": ending.finished,
    }})
}

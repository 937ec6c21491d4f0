//! One pod from its binding to its end.

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Kubelet;
use super::container::{self, Progress, Task};
use super::record::{Fact, Record};
use super::status::{Report, is_over};

/// A pod and what it runs.
struct Running {
    record: Record,
    pod: watch::Receiver<Pod>,
    report: Report,
    containers: JoinSet<()>,
    progress: watch::Receiver<Vec<Progress>>,
    /// Set to end the containers: how long they have.
    stop: watch::Sender<Option<Duration>>,
}

/// Runs the pod until it is gone.
pub(super) async fn live(kubelet: Arc<Kubelet>, pod: watch::Receiver<Pod>) {
    let seen = pod.borrow().clone();
    if seen.status.as_ref().is_some_and(is_over) {
        return;
    }
    let record = Record::of(&seen, &kubelet);
    let is_bound = seen
        .spec
        .as_ref()
        .is_some_and(|spec| spec.node_name.is_some());
    if !is_bound && !record.tell(&Fact::Bound).await {
        return;
    }
    let address = kubelet.address();
    let (sender, progress) = watch::channel(Vec::new());
    let (stop, stopped) = watch::channel(None);
    let running = Running {
        containers: start(&kubelet, &seen, address, sender, &stopped),
        report: Report::new(&seen, address),
        record,
        pod,
        progress,
        stop,
    };
    running.until_gone().await;
}

fn start(
    kubelet: &Arc<Kubelet>,
    pod: &Pod,
    address: Ipv4Addr,
    progress: watch::Sender<Vec<Progress>>,
    stopped: &watch::Receiver<Option<Duration>>,
) -> JoinSet<()> {
    let specs: &[Container] = pod.spec.as_ref().map_or(&[], |spec| &spec.containers);
    let task = |(index, spec): (usize, &Container)| Task {
        kubelet: kubelet.clone(),
        pod: pod.clone(),
        spec: spec.clone(),
        address,
        index,
        progress: progress.clone(),
        stopped: stopped.clone(),
    };
    let tasks: Vec<Task> = specs.iter().enumerate().map(task).collect();
    progress.send_replace(tasks.iter().map(Task::first).collect());
    tasks.into_iter().map(container::run).collect()
}

impl Running {
    async fn until_gone(mut self) {
        let mut told = None;
        loop {
            let status = self.report.status(&self.progress.borrow_and_update());
            if told.as_ref() != Some(&status) {
                if !self.record.tell(&Fact::Status(status.clone())).await {
                    return;
                }
                told = Some(status);
            }
            if self
                .pod
                .borrow_and_update()
                .metadata
                .deletion_timestamp
                .is_some()
            {
                return self.end().await;
            }
            tokio::select! {
                changed = self.pod.changed() => match changed {
                    Ok(()) => (),
                    // It was removed without being asked.
                    Err(_) => return,
                },
                // It fails once all containers have ended for good.
                Ok(()) = self.progress.changed() => (),
            }
        }
    }

    /// Ends the containers in the time that they have, says so and removes the pod.
    async fn end(mut self) {
        let grace = self.pod.borrow().metadata.deletion_grace_period_seconds;
        let grace = Duration::from_secs(grace.map_or(0, i64::unsigned_abs));
        // Nobody listens where all have ended before.
        let _ = self.stop.send(Some(grace));
        while self.containers.join_next().await.is_some() {}
        // Whoever counts failed and succeeded pods keeps them until it has read this.
        let is_awaited = !self.pod.borrow().finalizers().is_empty();
        if is_awaited {
            let last = self.report.last_status(&self.progress.borrow());
            self.record.tell(&Fact::Status(last)).await;
        }
        self.record.tell(&Fact::Gone).await;
    }
}

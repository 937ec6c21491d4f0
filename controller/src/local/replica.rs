//! One replica: a child process that is started again when it ends, and asked whether it is ready.
//! In comes what to run, out goes its status as it changes.

mod probe;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serin_core::time::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::child::{self, Launch};
use super::stop::{self, Ask, Stop};
use crate::clock;
use crate::manifest::pod::Probe;
use probe::Answer;

/// How a replica stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// `Pending`, `Running`, `CrashLoopBackOff`, `Error: …`, as kubectl's users know them.
    pub text: String,
    /// Since when it is ready.
    pub ready_since: Option<Timestamp>,
    /// How often it was started again.
    pub restarts: u32,
}

/// What a replica is made of.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// What to run.
    pub launch: Launch,
    /// How to ask whether it is ready.
    pub probe: Probe,
    /// How long it may take to end.
    pub grace: Duration,
}

/// A replica that runs.
#[derive(Debug)]
pub(super) struct Replica {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Since when it exists.
    pub created: Timestamp,
    status: watch::Receiver<Status>,
    stop: Ask,
    task: JoinHandle<()>,
}

impl Replica {
    /// Starts one; `changed` is told of every change of its status.
    pub(super) fn start(job: Job, changed: Arc<Notify>) -> Replica {
        let (stop, stopped) = stop::channel();
        let pending = Status {
            text: "Pending".to_string(),
            ..Status::default()
        };
        let (told, status) = watch::channel(pending);
        let teller = Teller { told, changed };
        Replica {
            name: job.name.clone(),
            address: job.address,
            created: clock::now(),
            status,
            stop,
            task: tokio::spawn(live(job, stopped, teller)),
        }
    }

    /// How it stands.
    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Asks it to end and does not wait.
    pub(super) fn stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Whether it has ended after [`Replica::stop`].
    pub(super) fn gone(&self) -> bool {
        self.task.is_finished()
    }

    /// Returns when it has ended after [`Replica::stop`].
    pub(super) async fn ended(self) {
        let _ = self.task.await;
    }
}

struct Teller {
    told: watch::Sender<Status>,
    changed: Arc<Notify>,
}

impl Teller {
    fn tell(&self, change: impl FnOnce(&mut Status)) {
        let differs = self.told.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
        if differs {
            self.changed.notify_one();
        }
    }
}

impl Drop for Teller {
    /// The end of a replica is a change too.
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

async fn live(job: Job, mut stopped: Stop, teller: Teller) {
    let mut backoff = Backoff::default();
    while !stopped.is_asked() {
        let begun = Instant::now();
        let ended = match job.launch.spawn() {
            Err(error) => format!("cannot start {}: {error}", job.launch.program.display()),
            Ok(mut child) => {
                let group = child.id();
                teller.tell(|status| status.text = "Running".to_string());
                tokio::select! {
                    status = child.wait() => {
                        child::end_rest(group);
                        status.map_or_else(|e| e.to_string(), |s| child::epitaph(s, &job.launch.log))
                    }
                    never = probe::watch(&job.probe, job.address, |answer| teller.answered(&job.name, answer)) => never,
                    () = stopped.asked() => {
                        teller.tell(|status| {
                            status.text = "Terminating".to_string();
                            status.ready_since = None;
                        });
                        return child::end(&mut child, job.grace).await;
                    }
                }
            }
        };
        let wait = backoff.after(begun.elapsed());
        let log = job.launch.log.display();
        tracing::warn!(replica = job.name, how = %ended, %log, again_in = ?wait, "replica ended");
        teller.tell(|status| {
            status.ready_since = None;
            status.text = if backoff.is_loop() {
                "CrashLoopBackOff".to_string()
            } else {
                format!("Error: {ended}")
            };
        });
        tokio::select! {
            () = sleep(wait) => {}
            () = stopped.asked() => return,
        }
        teller.tell(|status| status.restarts += 1);
    }
}

impl Teller {
    fn answered(&self, name: &str, answer: Answer) {
        self.tell(|status| {
            let text = match answer {
                Answer::Ready | Answer::NotReady => "Running".to_string(),
                Answer::Everywhere(at) => {
                    format!("listens on {at}, expected $(POD_IP):{}", at.port())
                }
            };
            if text != status.text {
                tracing::info!(replica = name, text, "replica status");
                status.text = text;
            }
            let ready = answer == Answer::Ready;
            if ready != status.ready_since.is_some() {
                tracing::info!(replica = name, ready, "replica readiness");
                status.ready_since = ready.then(clock::now);
            }
        });
    }
}

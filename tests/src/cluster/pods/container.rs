//! One container: started, started again with growing delay, and ended with its pod.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use super::super::process::{Launch, Process, log_path};
use super::{Kubelet, environment, readiness};

/// The delay before a container that ended is started again: at first, and at most. A kubelet
/// begins with 10 s, which tests would wait for.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What a container does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// It does not run, for this reason.
    Waiting {
        reason: &'static str,
        message: String,
    },
    /// It runs.
    Running { since: Time },
    /// It ended and stays so.
    Terminated(Ending),
}

/// How a process of a container ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ending {
    pub(super) code: i32,
    pub(super) started: Time,
    pub(super) finished: Time,
}

/// What there is to say of a container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progress {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) state: State,
    pub(super) ready: bool,
    pub(super) restarts: i32,
    pub(super) last: Option<Ending>,
}

/// What a container's task needs.
pub(super) struct Task {
    pub(super) kubelet: Arc<Kubelet>,
    pub(super) pod: Pod,
    pub(super) spec: Container,
    pub(super) address: Ipv4Addr,
    /// Its place among the pod's containers.
    pub(super) index: usize,
    pub(super) progress: watch::Sender<Vec<Progress>>,
    pub(super) stopped: watch::Receiver<Option<Duration>>,
}

/// Runs the container until it is stopped, or ended for good.
pub(super) async fn run(mut task: Task) {
    if task.spec.command.is_none() {
        task.until_stopped(&mut task.stopped.clone()).await;
        return;
    }
    let mut delay = FIRST_DELAY;
    loop {
        let Some(ending) = task.run_once().await else {
            return;
        };
        if !task.is_restarted(&ending) {
            task.tell(|progress| progress.state = State::Terminated(ending));
            return;
        }
        task.tell(|progress| {
            progress.last = Some(ending);
            progress.state = State::Waiting {
                reason: "CrashLoopBackOff",
                message: format!("back-off {}s restarting failed container", delay.as_secs()),
            };
        });
        tokio::select! {
            () = tokio::time::sleep(delay) => (),
            _ = stop(&mut task.stopped) => return,
        }
        task.tell(|progress| progress.restarts += 1);
        delay = LONGEST_DELAY.min(delay * 2);
    }
}

impl Task {
    /// What there is to say of the container before it is started. One without a process is
    /// running from the first, so that its pod is ready with one write.
    pub(super) fn first(&self) -> Progress {
        let state = match self.spec.command {
            None => State::Running { since: now() },
            Some(_) => State::Waiting {
                reason: "ContainerCreating",
                message: String::new(),
            },
        };
        Progress {
            name: self.spec.name.clone(),
            image: self.spec.image.clone().unwrap_or_default(),
            state,
            ready: self.spec.command.is_none() && readiness::is_immediate(&self.pod),
            restarts: 0,
            last: None,
        }
    }

    /// Starts the process and waits for its end; none if it was stopped with the pod.
    async fn run_once(&mut self) -> Option<Ending> {
        let launch = match self.launch() {
            Ok(launch) => launch,
            Err(message) => {
                self.tell(|progress| {
                    progress.state = State::Waiting {
                        reason: "CreateContainerConfigError",
                        message,
                    };
                });
                stop(&mut self.stopped).await;
                return None;
            }
        };
        let started = now();
        let mut process = Process::start(launch)
            .unwrap_or_else(|error| panic!("a process of a pod does not start: {error}"));
        self.tell(|progress| {
            progress.state = State::Running {
                since: started.clone(),
            };
        });
        let mut stopped = self.stopped.clone();
        let grace = tokio::select! {
            _ = process.end() => None,
            grace = self.until_stopped(&mut stopped) => Some(grace),
        };
        let status = match grace {
            None => process.end().await,
            Some(grace) => self.end(&mut process, grace).await,
        };
        let ending = Ending {
            code: code(status),
            started,
            finished: now(),
        };
        self.tell(|progress| progress.ready = false);
        if grace.is_some() {
            self.tell(|progress| progress.state = State::Terminated(ending));
            return None;
        }
        Some(ending)
    }

    fn launch(&self) -> Result<Launch, String> {
        let environment = environment::of(&self.pod, &self.spec, self.address)?;
        let expand = |text: &String| environment::expand(text, &environment);
        let mut words = self
            .spec
            .command
            .iter()
            .chain(&self.spec.args)
            .flatten()
            .map(expand);
        let program = words.next().ok_or("the command is empty")?;
        let arguments = words.map(Into::into).collect();
        let name = format!(
            "{}/{}/{}",
            self.pod.namespace().unwrap_or_default(),
            self.pod.name_any(),
            self.spec.name
        );
        let mut whole = vec![
            ("PATH".to_string(), self.kubelet.path.clone()),
            ("HOSTNAME".to_string(), self.pod.name_any()),
        ];
        whole.extend(environment);
        Ok(Launch {
            program: program.into(),
            arguments,
            environment: Some(whole),
            additions: Vec::new(),
            log: log_path(&self.kubelet.dir, &name),
        })
    }

    /// Tells whether it is ready until it is stopped; how long it then has to end.
    async fn until_stopped(&self, stopped: &mut watch::Receiver<Option<Duration>>) -> Duration {
        let tell = |ready| self.tell(|progress| progress.ready = ready);
        let http = &self.kubelet.http;
        tokio::select! {
            never = readiness::watch(http, &self.pod, &self.spec, self.address, tell) => match never {},
            grace = stop(stopped) => grace,
        }
    }

    /// Asks the process to end and kills it if that takes longer than the pod has.
    async fn end(&self, process: &mut Process, grace: Duration) -> ExitStatus {
        let ended = tokio::time::timeout(grace, async {
            tokio::time::sleep(environment::pause_before_stop(&self.spec)).await;
            process.terminate();
            process.end().await
        })
        .await;
        match ended {
            Ok(status) => status,
            Err(_) => {
                process.kill();
                process.end().await
            }
        }
    }

    fn is_restarted(&self, ending: &Ending) -> bool {
        let policy = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.restart_policy.as_deref());
        match policy {
            Some("Never") => false,
            Some("OnFailure") => ending.code != 0,
            _ => true,
        }
    }

    /// Tells the pod's task, if there is something new.
    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_if_modified(|all| {
            let Some(progress) = all.get_mut(self.index) else {
                return false;
            };
            let before = progress.clone();
            change(progress);
            *progress != before
        });
    }
}

/// Waits until the pod is to end; how long it has for that.
async fn stop(stopped: &mut watch::Receiver<Option<Duration>>) -> Duration {
    let told = stopped.wait_for(Option::is_some).await;
    // Whoever tells has gone with all there is to end.
    told.ok().and_then(|grace| *grace).unwrap_or_default()
}

/// As a shell counts: a signal is 128 and its number.
fn code(status: ExitStatus) -> i32 {
    let by_signal = || status.signal().map_or(255, |signal| 128 + signal);
    status.code().unwrap_or_else(by_signal)
}

pub(super) fn now() -> Time {
    Time(Timestamp::now())
}

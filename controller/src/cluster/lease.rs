//! One controller at a time, by a Lease. Who holds it renews it; who does not hold it watches it and
//! takes it once it has not changed for as long as it lasts. Clocks of other machines are never
//! compared with: what counts is how long a record is seen unchanged here, as in client-go's
//! `leaderelection`.

mod turn;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt as _};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::outage::Outage;
use turn::{Turn, turn};

/// The Lease of a controller without an instance id: Argo Rollouts' own, so that two controllers of
/// the same Rollouts never act at the same time where both keep it in one namespace.
const NAME: &str = "argo-rollouts-controller-lock";

/// How long things take, as Argo Rollouts' options of the same names say.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long the Lease lasts after it was renewed.
    pub lease: Duration,
    /// How long its holder tries to renew it before it gives up.
    pub deadline: Duration,
    /// How long between two tries.
    pub retry: Duration,
}

impl Times {
    /// How long one try may take.
    fn of_one_try(self) -> Duration {
        self.deadline / 2
    }
}

/// Who wants which Lease.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The Lease's namespace.
    pub namespace: String,
    /// The instance id, which has a Lease of its own.
    pub instance_id: Option<String>,
    /// Who wants it; nobody else has this name.
    pub identity: String,
    /// How long things take.
    pub times: Times,
}

/// A Lease that is wanted or held.
pub(super) struct Election {
    api: Api<Lease>,
    name: String,
    wanted: Wanted,
    outage: Arc<Outage>,
}

/// A Lease that is held, as it was written last.
pub(super) struct Held {
    lease: Lease,
    renewed: Instant,
}

/// The Lease of a controller with this instance id.
pub(super) fn name(instance_id: Option<&str>) -> String {
    match instance_id {
        Some(id) => format!("{NAME}-{id}"),
        None => NAME.to_string(),
    }
}

impl Election {
    pub(super) fn new(client: Client, wanted: Wanted, outage: Arc<Outage>) -> Election {
        Election {
            api: Api::namespaced(client, &wanted.namespace),
            name: name(wanted.instance_id.as_deref()),
            wanted,
            outage,
        }
    }

    /// Waits until the Lease is held. `looked` is called each time that the Lease could be read.
    pub(super) async fn win(&self, mut looked: impl FnMut()) -> Held {
        let (retry, patience) = (self.wanted.times.retry, self.wanted.times.of_one_try());
        // The record that is seen, and since when.
        let mut seen: Option<(Lease, Instant)> = None;
        loop {
            match timeout(patience, self.try_to_win(&mut seen)).await {
                Ok(Ok(Some(held))) => return held,
                Ok(Ok(None)) => looked(),
                Ok(Err(error)) => {
                    self.outage.note_request(&error);
                    tracing::warn!(%error, lease = self.name, "cannot be taken");
                }
                Err(_) => {
                    self.outage.failed(Instant::now());
                    tracing::warn!(lease = self.name, ?patience, "no answer");
                }
            }
            sleep(retry).await;
        }
    }

    async fn try_to_win(&self, seen: &mut Option<(Lease, Instant)>) -> kube::Result<Option<Held>> {
        let asked = Instant::now();
        let now = self.api.get_opt(&self.name).await?;
        // An answer may be late: what it says counts from when it is here.
        let answered = Instant::now();
        let Some(now) = now else {
            *seen = None;
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..Default::default()
                },
                spec: Some(self.record(0)),
            };
            let created = self.api.create(&PostParams::default(), &lease).await;
            return lost_race(created.map(|lease| self.held(lease, asked)));
        };
        let holder = now
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.clone());
        let since = match seen {
            Some((before, since)) if before.spec == now.spec => *since,
            _ => {
                let holder = holder.as_deref().unwrap_or_default();
                tracing::info!(lease = self.name, holder, "lease");
                *seen = Some((now.clone(), answered));
                answered
            }
        };
        let spec = now.spec.clone().unwrap_or_default();
        if turn(
            &spec,
            &self.wanted.identity,
            asked.saturating_duration_since(since),
        ) == Turn::Wait
        {
            return Ok(None);
        }
        let own = holder.as_ref() == Some(&self.wanted.identity);
        let transitions = spec.lease_transitions.unwrap_or(0) + i32::from(!own);
        let lease = Lease {
            spec: Some(self.record(transitions)),
            ..now
        };
        let parameters = PostParams::default();
        let replaced = self.api.replace(&self.name, &parameters, &lease).await;
        lost_race(replaced.map(|lease| self.held(lease, asked)))
    }

    /// Renews the Lease until that fails for too long, or somebody else has it: why. Whoever waits
    /// for this stops at once when it ends.
    pub(super) async fn keep(&self, held: &mut Held) -> String {
        let Times {
            retry, deadline, ..
        } = self.wanted.times;
        let patience = self.wanted.times.of_one_try();
        loop {
            sleep(retry).await;
            let until = held.renewed + deadline;
            let mut why = format!("no answer for {deadline:?}");
            loop {
                // One connection that is dead must not take the time of all tries.
                match timeout_at(until.min(Instant::now() + patience), self.renew(held)).await {
                    Ok(Ok(None)) => break,
                    Ok(Ok(Some(lost))) => return lost,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, lease = self.name, "cannot be renewed");
                        why = error.to_string();
                    }
                    Err(_) => tracing::warn!(lease = self.name, ?patience, "no answer"),
                }
                if Instant::now() + retry >= until {
                    return why;
                }
                sleep(retry).await;
            }
        }
    }

    /// Renews it once; who has it otherwise.
    async fn renew(&self, held: &mut Held) -> kube::Result<Option<String>> {
        let asked = Instant::now();
        let written = self.write(held, self.record_after(&held.lease)).await;
        match written {
            Ok(lease) => {
                *held = Held {
                    lease,
                    renewed: asked,
                };
                Ok(None)
            }
            // Written by somebody else, or by a request of ours that was thought lost.
            Err(kube::Error::Api(status)) if status.is_conflict() => {
                let now = self.api.get(&self.name).await?;
                if !self.is_ours(&now) {
                    let holder = now.spec.and_then(|spec| spec.holder_identity);
                    let holder = holder.unwrap_or_default();
                    return Ok(Some(format!("{holder:?} holds it")));
                }
                held.lease = now;
                Box::pin(self.renew(held)).await
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                Ok(Some("somebody deleted it".to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// Lets others have the Lease at once.
    pub(super) async fn release(&self, mut held: Held) {
        let released = timeout(self.wanted.times.retry, self.try_to_release(&mut held)).await;
        match released {
            Ok(Ok(())) => tracing::info!(lease = self.name, "released"),
            Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "cannot be released"),
            Err(_) => tracing::warn!(lease = self.name, "cannot be released in time"),
        }
    }

    async fn try_to_release(&self, held: &mut Held) -> kube::Result<()> {
        match self.write(held, released(&held.lease)).await {
            // A renewal that was under way may have come first.
            Err(kube::Error::Api(status)) if status.is_conflict() => {
                held.lease = self.api.get(&self.name).await?;
                if self.is_ours(&held.lease) {
                    self.write(held, released(&held.lease)).await?;
                }
                Ok(())
            }
            written => written.map(drop),
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        let holder = lease.spec.as_ref();
        let holder = holder.and_then(|spec| spec.holder_identity.as_ref());
        holder == Some(&self.wanted.identity)
    }

    async fn write(&self, held: &Held, record: LeaseSpec) -> kube::Result<Lease> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: held.lease.resource_version(),
                labels: held.lease.metadata.labels.clone(),
                annotations: held.lease.metadata.annotations.clone(),
                owner_references: held.lease.metadata.owner_references.clone(),
                ..Default::default()
            },
            spec: Some(record),
        };
        let parameters = PostParams::default();
        self.api.replace(&self.name, &parameters, &lease).await
    }

    fn held(&self, lease: Lease, asked: Instant) -> Held {
        tracing::info!(lease = self.name, identity = self.wanted.identity, "leads");
        Held {
            lease,
            renewed: asked,
        }
    }

    fn record(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            acquire_time: Some(now.clone()),
            holder_identity: Some(self.wanted.identity.clone()),
            lease_duration_seconds: i32::try_from(self.wanted.times.lease.as_secs()).ok(),
            lease_transitions: Some(transitions),
            renew_time: Some(now),
            ..Default::default()
        }
    }

    fn record_after(&self, lease: &Lease) -> LeaseSpec {
        let before = lease.spec.clone().unwrap_or_default();
        LeaseSpec {
            acquire_time: before.acquire_time.clone(),
            ..self.record(before.lease_transitions.unwrap_or(0))
        }
    }
}

/// The record of a Lease that nobody holds, as client-go leaves it.
fn released(lease: &Lease) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(now.clone()),
        acquire_time: Some(now),
        ..lease.spec.clone().unwrap_or_default()
    }
}

/// Somebody else was faster: nothing is held, and nothing is wrong.
fn lost_race(written: kube::Result<Held>) -> kube::Result<Option<Held>> {
    match written {
        Ok(held) => Ok(Some(held)),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

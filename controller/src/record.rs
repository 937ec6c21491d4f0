//! Recording a release: what its Rollout's server shows and what Prometheus has counted come in, the
//! lines of a recording go out, until the release ends.

use std::io::{self, Write};
use std::time::Duration;

use serin_core::analysis::{Counters, PrometheusQuery};
use serin_core::judge::Tick;
use serin_core::metric::BUCKETS;
use serin_core::step::Phase;
use serin_core::time::Timestamp;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::kubernetes::Extent;
use crate::provider::Asking;
use crate::provider::compare::{self, Subject};
use crate::recording::{Header, Sample, Writer};
use crate::server::{Server, ServerError};
use crate::view::{RevisionView, RolloutView};

/// What is recorded, and by whom it is shown and counted.
#[derive(Debug)]
pub struct Recording {
    /// Shows the Rollout.
    pub server: Server,
    /// The Rollout's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Asks the Prometheus that has counted.
    pub asking: Asking,
    /// The time from one tick to the next.
    pub interval: Duration,
}

/// Why a recording ended before the release did.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Nobody shows the Rollout.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The first tick could not be counted, and the others would hardly be.
    #[error("{0}")]
    Count(String),
    /// The recording cannot be written.
    #[error("write the recording")]
    Write(#[from] io::Error),
}

/// How a recording tells a person what it does.
pub type Tell<'a> = &'a (dyn Fn(&str) + Sync);

/// How long ago a tick ends: Prometheus shows a scrape when it has ended, as of when it began.
const LAG: Duration = Duration::from_secs(2);

impl Recording {
    /// The release under way, as soon as there is one.
    ///
    /// # Errors
    /// If the Rollout is not shown.
    pub async fn release(&self, tell: Tell<'_>) -> Result<Release, ServerError> {
        const LOOK_AGAIN: Duration = Duration::from_millis(500);
        let mut waits = false;
        loop {
            if let Some(release) = Release::of(&self.view().await?) {
                return Ok(release);
            }
            if !waits {
                let (namespace, name) = (&self.namespace, &self.name);
                tell(&format!("waiting for a release of {namespace}/{name}"));
            }
            waits = true;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Records a release until it ends. Whenever this is dropped, every line so far is whole.
    ///
    /// # Errors
    /// If the Rollout is shown no more, the first tick cannot be counted, or a line not be written.
    pub async fn follow<W: Write>(
        &self,
        release: &Release,
        out: W,
        tell: Tell<'_>,
    ) -> Result<(), RecordError> {
        /// A server may be away for so many ticks, one after the other.
        const PATIENCE: u32 = 3;
        let mut from = lagging();
        let mut writer = Writer::begin(out, &release.header(from))?;
        let (canary, stable) = (&release.canary, &release.stable);
        tell(&format!(
            "recording canary {canary} against stable {stable}"
        ));
        let subject = release.subject();
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let (mut counted, mut unseen) = (false, 0);
        loop {
            ticks.tick().await;
            let view = match self.view().await {
                Ok(view) => view,
                Err(why) if unseen == PATIENCE => return Err(why.into()),
                // It is counted with the next tick.
                Err(why) => {
                    tell(&why.to_string());
                    unseen += 1;
                    continue;
                }
            };
            unseen = 0;
            let to = lagging();
            match tick(&self.asking, &subject, from, to).await {
                // The machine's clock was set back.
                Ok(_) if to <= from => {}
                Ok(tick) => {
                    let weight_bp = view.actual_weight_bp.min(10_000);
                    writer.write(&Sample { weight_bp, tick })?;
                    (from, counted) = (to, true);
                }
                Err(why) if !counted => return Err(RecordError::Count(why)),
                // The next tick counts from where the last one ended, so nothing is lost.
                Err(why) => tell(&why),
            }
            if Release::of(&view).as_ref() != Some(release) {
                tell("the release has ended");
                return Ok(());
            }
        }
    }

    async fn view(&self) -> Result<RolloutView, ServerError> {
        let (namespace, name) = (&self.namespace, &self.name);
        self.server.rollout(namespace, name, Extent::Whole).await
    }
}

/// What came between two points in time, by the counters that the filter has by itself.
///
/// # Errors
/// Why it cannot be counted.
async fn tick(
    asking: &Asking,
    subject: &Subject,
    from: Timestamp,
    to: Timestamp,
) -> Result<Tick, String> {
    let server = PrometheusQuery::default();
    compare::between(asking, &Counters::of_filter(), &server, subject, from, to).await
}

fn lagging() -> Timestamp {
    let lag = i64::try_from(LAG.as_millis()).unwrap_or(i64::MAX);
    Timestamp(clock::now().0.saturating_sub(lag))
}

/// A release under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    namespace: String,
    rollout: String,
    stable: String,
    canary: String,
    /// The canary's template hash.
    hash: String,
}

impl Release {
    /// The one that a Rollout is in; none if it is at rest.
    fn of(view: &RolloutView) -> Option<Release> {
        let of_role = |role: &str| {
            let has = |revision: &&RevisionView| revision.role.as_deref() == Some(role);
            view.revisions.iter().find(has)
        };
        let (canary, stable) = (of_role("canary")?, of_role("stable")?);
        let at_rest = matches!(view.phase, Phase::Healthy | Phase::Degraded);
        (!at_rest).then(|| Release {
            namespace: view.namespace.clone(),
            rollout: view.name.clone(),
            stable: stable.replica_set.clone(),
            canary: canary.replica_set.clone(),
            hash: canary.hash.clone(),
        })
    }

    fn header(&self, begun: Timestamp) -> Header {
        #[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^53")]
        let bounds = BUCKETS.iter().map(|(bound, _)| *bound as f64);
        Header {
            namespace: self.namespace.clone(),
            rollout: self.rollout.clone(),
            stable: self.stable.clone(),
            canary: self.canary.clone(),
            begun,
            bounds: bounds.collect(),
        }
    }

    fn subject(&self) -> Subject {
        Subject {
            rollout: Some(self.rollout.clone()),
            namespace: self.namespace.clone(),
            revision: Some(self.hash.clone()),
            ..Subject::default()
        }
    }
}

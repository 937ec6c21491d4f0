//! Watching a Rollout until it is as the story wants it, with a line for every change.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serin::client::{Client, ClientError};
use serin::draw;
use serin::traffic_report::TrafficReport;
use serin::view::{RevisionView, RolloutView};
use serin_core::step::Phase;

use super::stage::Stage;
use super::teller::Teller;
use super::{NAMESPACE, ROLLOUT};

/// How often the watcher looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Looks at the Rollout for the teller.
#[derive(Debug)]
pub(super) struct Watcher<'a> {
    client: Client,
    teller: &'a Teller,
    began: Instant,
    last: Option<Line>,
    weights: Vec<u16>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(stage: &Stage, teller: &'a Teller) -> anyhow::Result<Watcher<'a>> {
        Ok(Watcher {
            client: Client::new(&stage.state())?,
            teller,
            began: Instant::now(),
            last: None,
            weights: Vec::new(),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The weights seen since this was last asked, in their order, in basis points.
    pub(super) fn take_weights(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.weights)
    }

    /// The Rollout, once it is as `wanted`.
    ///
    /// # Errors
    /// If that takes longer than `limit`, or the release is taken back instead; the error says what
    /// it was waited for.
    pub(super) async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&RolloutView) -> bool,
    ) -> anyhow::Result<RolloutView> {
        let began = Instant::now();
        loop {
            if let Some(view) = self.look().await? {
                if wanted(&view) {
                    return Ok(view);
                }
                // Nothing goes on from there by itself.
                let taken_back = view.phase == Phase::Degraded && view.actual_weight_bp == 0;
                ensure!(
                    began.elapsed() < limit && !taken_back,
                    "waited {:.0?} for {what}, it is {}",
                    began.elapsed(),
                    draw::change(&view, draw::Paint::PLAIN)
                );
            }
            ensure!(began.elapsed() < limit, "waited {limit:?} for {what}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until another version than `last`, which may have been taken back, is asked for; the
    /// weights seen before are forgotten.
    ///
    /// # Errors
    /// If that takes longer than `limit`.
    pub(super) async fn until_begun(
        &mut self,
        version: &str,
        limit: Duration,
        last: &str,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            if let Some(view) = self.look().await?
                && newest(&view)?.replica_set != last
                && matches!(view.phase, Phase::Progressing | Phase::Paused)
            {
                // Up to here the version before was the one asked for, with all of the traffic.
                self.weights.clear();
                return Ok(());
            }
            ensure!(
                began.elapsed() < limit,
                "waited {limit:?} for {version} to begin"
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The traffic's counts, once they are as `wanted`.
    ///
    /// # Errors
    /// If that takes too long.
    pub(super) async fn traffic_until(
        &self,
        what: &str,
        wanted: impl Fn(&TrafficReport) -> bool,
    ) -> anyhow::Result<TrafficReport> {
        const LIMIT: Duration = Duration::from_secs(20);
        let began = Instant::now();
        loop {
            let report = self.client.traffic().await?;
            if wanted(&report) {
                return Ok(report);
            }
            if began.elapsed() > LIMIT {
                bail!("waited {LIMIT:?} for {what}, it is {report:?}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The traffic's counts after `further` requests from now on, and as many answers as there were
    /// requests by then.
    ///
    /// # Errors
    /// If that takes too long.
    pub(super) async fn traffic_after(&self, further: u64) -> anyhow::Result<TrafficReport> {
        let now = self.client.traffic().await?.sent;
        self.traffic_until("requests to be sent and answered", |report| {
            report.sent - report.in_flight >= now + further
        })
        .await
    }

    /// What is to be seen now; nothing while `serin local` still starts.
    async fn look(&mut self) -> anyhow::Result<Option<RolloutView>> {
        let view = match self.client.rollout(NAMESPACE, ROLLOUT).await {
            Ok(view) => view,
            Err(ClientError::NoServer { .. } | ClientError::Refused { .. }) => {
                self.teller
                    .progress("starting Envoy, Prometheus and the shop");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if self.weights.last() != Some(&view.actual_weight_bp) {
            self.weights.push(view.actual_weight_bp);
        }
        let line = Line::of(&view);
        if self.last.as_ref() != Some(&line) {
            let seconds = self.began.elapsed().as_secs_f64();
            let text = line.after(self.last.as_ref());
            self.teller.line(&format!("  {seconds:5.1} s  {text}"));
            self.last = Some(line);
        }
        if let Ok(report) = self.client.traffic().await {
            let paint = self.teller.paint();
            let text = draw::traffic(&report, std::slice::from_ref(&view), paint);
            self.teller.progress(&text);
        }
        Ok(Some(view))
    }
}

/// The newest revision: what the manifest asks for now.
pub(super) fn newest(view: &RolloutView) -> anyhow::Result<&RevisionView> {
    match view.revisions.first() {
        Some(revision) => Ok(revision),
        None => bail!("rollout {ROLLOUT} has no revision"),
    }
}

/// Where a release stands.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    phase: Phase,
    message: String,
    /// The step under way, and the weight that the proxies run.
    place: String,
}

impl Line {
    fn of(view: &RolloutView) -> Line {
        let mut place = String::new();
        let step = view.steps.get(view.step_index);
        // A release that was taken back has no step under way.
        if let Some(step) = step.filter(|_| view.phase != Phase::Degraded) {
            let (number, all) = (view.step_index + 1, view.steps.len());
            place.push_str(&format!(", step {number}/{all} {}", step.text));
        }
        let weight = draw::percent(view.actual_weight_bp);
        place.push_str(&format!(", weight {weight} %"));
        if !view.header_routes.is_empty() {
            place.push_str(&format!(", header route {}", view.header_routes.join(" ")));
        }
        Line {
            phase: view.phase,
            message: view.message.clone(),
            place,
        }
    }

    /// The line as it is told; a message is told once.
    fn after(&self, last: Option<&Line>) -> String {
        let told = last.is_some_and(|last| last.message == self.message);
        let Line {
            phase,
            message,
            place,
        } = self;
        match told || message.is_empty() {
            true => format!("{phase:?}{place}"),
            false => format!("{phase:?} - {message}{place}"),
        }
    }
}

//! Which proxies run the configuration is found out, and those that do not get another chance.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Mesh;
use super::state::Question;
use crate::mesh::proxies;
use crate::provider::prometheus::Series;

/// How long between two questions while a Rollout waits for the answer.
const OFTEN: Duration = Duration::from_millis(500);

/// How long between two questions while none does.
const SELDOM: Duration = Duration::from_secs(15);

/// The longest time between two new generations for proxies that stay behind: each is a push to all.
const LONGEST: Duration = Duration::from_secs(300);

/// How long what is told of proxies stands before it is told anew.
const TOLD: Duration = Duration::from_secs(5);

/// How much longer ago than a write a proxy must have started to be asked about it, in seconds: who
/// starts is told the newest only.
const YOUNG: u64 = 5;

/// What is known of a shard's proxies.
#[derive(Debug)]
struct Watch {
    /// When they were asked last whether they run it still.
    asked: Option<Instant>,
    /// Since when this generation is asked about.
    generation: (u64, Instant),
    /// Since when some are behind.
    behind: Option<Instant>,
    told: Option<Instant>,
    /// How long until the next new generation, after the last.
    patience: Duration,
    healed: Option<Instant>,
}

/// What was answered.
enum Answer {
    /// The lowest generation that a proxy runs.
    Lowest(u64),
    /// There is no proxy at all.
    Nobody,
    /// Prometheus does not say.
    Unknown(String),
}

impl Mesh {
    pub(super) async fn acknowledge_for_ever(&self) {
        let mut watches: BTreeMap<usize, Watch> = BTreeMap::new();
        loop {
            let questions = self.with(|state| state.questions(&self.settings.owner));
            watches.retain(|shard, _| questions.iter().any(|one| one.shard == *shard));
            if questions.is_empty() {
                self.written.notified().await;
                continue;
            }
            for question in questions {
                let now = Instant::now();
                let watch = watches.entry(question.shard).or_insert_with(|| Watch {
                    asked: None,
                    generation: (question.generation, now),
                    behind: None,
                    told: None,
                    patience: self.settings.deadline,
                    healed: None,
                });
                if watch.generation.0 != question.generation {
                    watch.generation = (question.generation, now);
                }
                let asker = Asker {
                    mesh: self,
                    question: &question,
                };
                asker.find_out(watch, now).await;
            }
            sleep(OFTEN).await;
        }
    }
}

/// One question to Prometheus.
struct Asker<'a> {
    mesh: &'a Mesh,
    question: &'a Question,
}

impl Asker<'_> {
    async fn find_out(&self, watch: &mut Watch, now: Instant) {
        let Question {
            shard,
            generation,
            waits,
            ..
        } = *self.question;
        if waits {
            let young = watch.generation.1.elapsed().as_secs().saturating_sub(YOUNG);
            if let Answer::Lowest(lowest) = self.lowest(young).await {
                let news = self.mesh.with(|state| state.acknowledge(shard, lowest));
                self.mesh.tell(news);
            }
        }
        let due = watch.asked.is_none_or(|asked| asked.elapsed() >= SELDOM);
        if !waits && watch.behind.is_none() && !due {
            return;
        }
        watch.asked = Some(now);
        let (told, heals) = match self.behind(generation).await {
            Ok(None) => {
                *watch = Watch {
                    behind: None,
                    told: None,
                    patience: self.mesh.settings.deadline,
                    healed: None,
                    ..*watch
                };
                let news = self.mesh.with(|state| state.tell_behind(shard, None));
                self.mesh.tell(news);
                return;
            }
            Ok(Some(told)) => (told, true),
            Err(told) => (told, false),
        };
        let since = *watch.behind.get_or_insert(now);
        if now - since < self.mesh.settings.deadline {
            return;
        }
        if watch.told.is_none_or(|told| told.elapsed() >= TOLD) {
            watch.told = Some(now);
            tracing::debug!(told, "proxies are behind");
            let news = self.mesh.with(|state| state.tell_behind(shard, Some(told)));
            self.mesh.tell(news);
        }
        let is_due = watch
            .healed
            .is_none_or(|healed| now - healed >= watch.patience);
        if heals && is_due {
            tracing::info!(shard, generation, "proxies that stay behind are told anew");
            watch.healed = Some(now);
            watch.patience = (watch.patience * 2).min(LONGEST.max(self.mesh.settings.deadline));
            self.mesh.with(|state| state.heal(shard));
            self.mesh.wanted.notify_one();
        }
    }

    async fn lowest(&self, young: u64) -> Answer {
        let query = self
            .mesh
            .settings
            .proxies
            .lowest(&self.question.config, young);
        match self.ask(&query).await {
            Ok(series) => match series.first() {
                // What is no number of a generation is none.
                Some((_, lowest)) if lowest.is_finite() && *lowest >= 0.0 => {
                    Answer::Lowest(*lowest as u64)
                }
                Some(_) => Answer::Unknown(String::new()),
                None => Answer::Nobody,
            },
            Err(error) => Answer::Unknown(error),
        }
    }

    /// What is told of the proxies that do not run a generation now; none if all do.
    ///
    /// # Errors
    /// Why that cannot be found out.
    async fn behind(&self, generation: u64) -> Result<Option<String>, String> {
        let proxies = &self.mesh.settings.proxies;
        let config = &self.question.config;
        let unknown = |error: String| {
            format!(
                "it cannot be found out which proxies run generation {generation} of the filter's \
                 configuration: {error}"
            )
        };
        match self.lowest(0).await {
            Answer::Lowest(_) => {}
            Answer::Nobody => {
                return Err(format!(
                    "Prometheus knows no proxy by {}, expected those that the filter is in (it must \
                     scrape them; the controller's option --proxies says what they are called)",
                    proxies.0
                ));
            }
            Answer::Unknown(error) => return Err(unknown(error)),
        }
        let (behind, lost) = (proxies.behind(config, generation), proxies::lost(config));
        let (behind, lost) = futures::join!(self.ask(&behind), self.ask(&lost));
        let (behind, lost) = (behind.map_err(unknown)?, lost.map_err(unknown)?);
        Ok((!behind.is_empty()).then(|| proxies::told(generation, &behind, &lost)))
    }

    async fn ask(&self, query: &str) -> Result<Vec<Series>, String> {
        self.mesh.ask(query).await
    }
}

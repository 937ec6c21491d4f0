//! Which proxies run the configuration is found out, and those that do not get another chance.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Mesh;
use super::state::Question;
use crate::mesh::proxies;

/// How long between two questions while a Rollout waits for the answer.
const OFTEN: Duration = Duration::from_millis(500);

/// How long between two questions while none does.
const SELDOM: Duration = Duration::from_secs(15);

/// The longest time between two new generations for proxies that stay behind: each is a push to all.
const LONGEST: Duration = Duration::from_secs(300);

/// What is known of a shard's proxies.
#[derive(Debug)]
struct Watch {
    asked: Option<Instant>,
    /// Since when some are behind, and the lowest generation then.
    behind: Option<(Instant, u64)>,
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
            let questions = self.with(|state| state.questions());
            if questions.is_empty() {
                watches.clear();
                self.written.notified().await;
                continue;
            }
            for question in questions {
                let watch = watches.entry(question.shard).or_insert_with(|| Watch {
                    asked: None,
                    behind: None,
                    patience: self.settings.deadline,
                    healed: None,
                });
                let due = watch.asked.is_none_or(|asked| asked.elapsed() >= SELDOM);
                if question.waits || watch.behind.is_some() || due {
                    watch.asked = Some(Instant::now());
                    self.find_out(&question, watch).await;
                }
            }
            sleep(OFTEN).await;
        }
    }

    async fn find_out(&self, question: &Question, watch: &mut Watch) {
        let Question {
            shard, generation, ..
        } = *question;
        let answer = self.lowest(question).await;
        let now = Instant::now();
        if let Answer::Lowest(lowest) = answer {
            let news = self.with(|state| state.acknowledge(shard, lowest));
            self.tell(news);
            if lowest >= generation {
                watch.behind = None;
                watch.patience = self.settings.deadline;
                watch.healed = None;
                let news = self.with(|state| state.tell_behind(shard, None));
                self.tell(news);
                return;
            }
        }
        let lowest = match answer {
            Answer::Lowest(lowest) => lowest,
            _ => 0,
        };
        // Proxies that get on are no longer those that stay behind.
        let since = match watch.behind {
            Some((since, before)) if lowest <= before => since,
            _ => now,
        };
        watch.behind = Some((since, lowest));
        if now - since < self.settings.deadline {
            return;
        }
        let told = self.tell_of(question, &answer).await;
        tracing::debug!(told, "proxies are behind");
        let news = self.with(|state| state.tell_behind(shard, Some(told)));
        self.tell(news);
        let is_due = watch
            .healed
            .is_none_or(|healed| now - healed >= watch.patience);
        if matches!(answer, Answer::Lowest(_)) && is_due {
            tracing::info!(shard, generation, "proxies that stay behind are told anew");
            watch.healed = Some(now);
            watch.patience = (watch.patience * 2).min(LONGEST.max(self.settings.deadline));
            self.with(|state| state.heal(shard));
            self.wanted.notify_one();
        }
    }

    async fn lowest(&self, question: &Question) -> Answer {
        let query = self.settings.proxies.lowest(&question.config);
        match self.ask(&query).await {
            Ok(series) => match series.first() {
                Some((_, lowest)) => Answer::Lowest(*lowest as u64),
                None => Answer::Nobody,
            },
            Err(error) => Answer::Unknown(error),
        }
    }

    /// What is told of the proxies that are behind.
    async fn tell_of(&self, question: &Question, answer: &Answer) -> String {
        let proxies = &self.settings.proxies;
        let generation = question.generation;
        match answer {
            Answer::Nobody => format!(
                "Prometheus knows no proxy by {}, expected those that the filter is in (it must \
                 scrape them; the controller's option --proxies says what they are called)",
                proxies.0
            ),
            Answer::Unknown(error) => format!(
                "it cannot be found out which proxies run generation {generation} of the filter's \
                 configuration: {error}"
            ),
            Answer::Lowest(_) => {
                let query = proxies.behind(&question.config, generation);
                match self.ask(&query).await {
                    Ok(behind) => proxies::told(generation, &behind),
                    Err(error) => error,
                }
            }
        }
    }
}

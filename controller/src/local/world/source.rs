//! The manifests' directory over time: what was read and when comes in, and manifests come out once
//! they may be believed. An editor writes in pieces and tools put files in place one by one, so
//! only what has stayed for a while is taken.

use std::time::{Duration, Instant};

use serin_core::analysis::LocalSecrets;

use crate::local::desk;
use crate::manifest::{self, Manifests};
use crate::view::Stale;

/// File names and their texts.
pub(super) type Texts = Vec<(String, String)>;

/// How long the files must have stayed as they are.
pub(super) const SETTLED: Duration = Duration::from_millis(500);
/// How long a Rollout must have been missing until that is taken for what its owner wants: its
/// pods and the memory of its release end with it.
pub(super) const GONE: Duration = Duration::from_secs(10);

/// The manifests as text, and how long they have been so.
#[derive(Debug)]
pub(super) struct Source {
    /// Where the manifests' analyses find Secrets.
    secrets: LocalSecrets,
    /// What was read last.
    seen: Texts,
    /// Since when it reads so.
    since: Instant,
    /// What was parsed last: it is in force, or refused.
    taken: Texts,
    /// Why what was parsed last is not in force.
    refused: Option<String>,
    /// Why what was read last is not parsed although it has settled.
    waits: Option<String>,
    /// Why nothing could be read the last time.
    unreadable: Option<String>,
}

impl Source {
    /// Begins with files that are in force.
    pub(super) fn of(files: Texts, secrets: LocalSecrets, now: Instant) -> Source {
        Source {
            secrets,
            seen: files.clone(),
            since: now,
            taken: files,
            refused: None,
            waits: None,
            unreadable: None,
        }
    }

    /// Takes in one look at the directory; `known` are the Rollouts that are remembered. Manifests
    /// come back if they are to be put in force.
    pub(super) fn look(
        &mut self,
        read: Result<Texts, String>,
        known: &[String],
        now: Instant,
    ) -> Option<Manifests> {
        let files = match read {
            Ok(files) => files,
            Err(why) => {
                self.cannot_read(why, now);
                return None;
            }
        };
        if self.unreadable.take().is_some() {
            tracing::info!("manifests can be read again");
            self.since = now;
        }
        if files != self.seen {
            self.seen = files;
            self.since = now;
            self.waits = None;
        }
        let quiet = now.saturating_duration_since(self.since);
        if self.seen == self.taken || quiet < SETTLED {
            return None;
        }
        self.parse(known, quiet)
    }

    /// Why the files as they are now are not in force, if they are not.
    pub(super) fn stale(&self, now: Instant) -> Option<Stale> {
        if let Some(why) = &self.unreadable {
            let lasts = now.saturating_duration_since(self.since) >= SETTLED;
            // A file that is being replaced is not there for a moment.
            let stale = if lasts {
                Stale::Refused
            } else {
                Stale::Changed
            };
            return Some(stale(format!("they cannot be read: {why}")));
        }
        if self.seen != self.taken {
            let why = self.waits.as_deref().unwrap_or("they are being read");
            return Some(Stale::Changed(why.to_string()));
        }
        self.refused.clone().map(Stale::Refused)
    }

    /// Of what was parsed last.
    pub(super) fn fingerprint(&self) -> u64 {
        desk::fingerprint(&self.taken)
    }

    fn cannot_read(&mut self, why: String, now: Instant) {
        if self.unreadable.is_none() {
            self.since = now;
        }
        if self.unreadable.as_ref() != Some(&why) {
            tracing::error!(
                why,
                "manifests cannot be read, the last good ones stay in force"
            );
            self.unreadable = Some(why);
        }
    }

    fn parse(&mut self, known: &[String], quiet: Duration) -> Option<Manifests> {
        let parsed = match manifest::parse(&self.seen, self.secrets) {
            Ok(parsed) if parsed.rollouts.is_empty() => {
                Err("no Rollout is left, expected at least one in *.yaml or *.yml".to_string())
            }
            Ok(parsed) => Ok(parsed),
            Err(errors) => Err(errors.to_string()),
        };
        if let Ok(manifests) = &parsed
            && let Some(missing) = missing(manifests, known)
            && quiet < GONE
        {
            if self.waits.is_none() {
                let waits =
                    format!("{missing} is missing, and ends unless it is back within {GONE:?}");
                tracing::warn!(waits, "manifests wait");
                self.waits = Some(waits);
            }
            return None;
        }
        self.taken = self.seen.clone();
        self.waits = None;
        match parsed {
            Ok(manifests) => {
                tracing::info!("manifests read");
                self.refused = None;
                Some(manifests)
            }
            Err(errors) => {
                tracing::error!(
                    errors,
                    "manifests refused, the last good ones stay in force"
                );
                self.refused = Some(errors);
                None
            }
        }
    }
}

/// The Rollouts that are remembered and no longer asked for.
fn missing(manifests: &Manifests, known: &[String]) -> Option<String> {
    let asked = |name: &String| {
        let mut rollouts = manifests.rollouts.iter();
        rollouts.any(|rollout| rollout.key.to_string() == *name)
    };
    let missing: Vec<&str> = known
        .iter()
        .filter(|name| !asked(name))
        .map(String::as_str)
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

#[cfg(test)]
mod tests;

//! What is remembered of a Rollout beside its manifest: enough to go on after any crash.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_core::plan::Plan;
use serin_core::revision;
use serin_core::step::State;
use serin_core::time::Timestamp;
use serin_core::verb::{self, Verb, VerbRefusal};

use crate::runs::Run;

/// The memory of one Rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Since when the Rollout exists.
    pub created: Timestamp,
    /// Where its release stands.
    pub state: State,
    /// Its revisions, oldest first.
    pub revisions: Vec<Revision>,
    /// Its analysis runs, oldest first.
    pub runs: Vec<Run>,
    /// Someone paused it, or went on although the manifest pauses it.
    #[serde(default)]
    pub paused: Option<Pausing>,
    /// Someone went back to an older template.
    #[serde(default)]
    pub undo: Option<Undoing>,
    /// How many revisions without pods are kept (`spec.revisionHistoryLimit`).
    pub history_limit: usize,
}

/// A version of the template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number, 1 for the first.
    pub number: u64,
    /// Its hash.
    pub hash: String,
    /// The template.
    pub template: Value,
    /// Since when it exists.
    pub created: Timestamp,
    /// Pods asked for.
    pub desired: u32,
}

/// `spec.paused` as someone wants it, for as long as the manifest says what it said then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pausing {
    /// What the manifest said.
    pub manifest: bool,
    /// What is wanted.
    pub wanted: bool,
}

/// A template in place of the manifest's, for as long as the manifest's stays what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undoing {
    /// The hash of the manifest's template then.
    pub manifest: String,
    /// The template in its place.
    pub template: Value,
}

impl Record {
    /// Of a Rollout that is new.
    pub fn begin(now: Timestamp) -> Record {
        Record {
            created: now,
            state: State::default(),
            revisions: Vec::new(),
            runs: Vec::new(),
            paused: None,
            undo: None,
            history_limit: 10,
        }
    }

    /// The manifest's plan with what people want instead; what the manifest has changed since is
    /// forgotten.
    pub fn effective(&mut self, plan: &Plan) -> Plan {
        let manifest = revision::hash(&plan.template);
        self.paused
            .take_if(|pausing| pausing.manifest != plan.paused);
        self.undo.take_if(|undoing| undoing.manifest != manifest);
        let mut plan = plan.clone();
        if let Some(pausing) = self.paused {
            plan.paused = pausing.wanted;
        }
        if let Some(undoing) = &self.undo {
            plan.template = undoing.template.clone();
        }
        plan
    }

    /// Makes the template the newest revision. One that is there already keeps its pods and gets
    /// the next number, as Deployments do it.
    pub fn take_up(&mut self, hash: &str, template: &Value, now: Timestamp) {
        if self
            .revisions
            .last()
            .is_some_and(|newest| newest.hash == hash)
        {
            return;
        }
        let number = self.revisions.last().map_or(1, |newest| newest.number + 1);
        let known = self.revisions.iter().position(|known| known.hash == hash);
        let revision = match known {
            Some(at) => Revision {
                number,
                ..self.revisions.remove(at)
            },
            None => Revision {
                number,
                hash: hash.to_string(),
                template: template.clone(),
                created: now,
                desired: 0,
            },
        };
        self.revisions.push(revision);
    }

    /// Forgets the oldest revisions without pods beyond the limit, and their runs.
    pub fn prune(&mut self) {
        let idle = |revision: &&Revision| {
            revision.desired == 0
                && revision.hash != self.state.stable
                && revision.hash != self.state.current
        };
        let all: Vec<String> = self
            .revisions
            .iter()
            .filter(idle)
            .map(|revision| revision.hash.clone())
            .collect();
        let surplus = all.len().saturating_sub(self.history_limit);
        let gone = &all[..surplus];
        self.revisions
            .retain(|revision| !gone.contains(&revision.hash));
        self.runs.retain(|run| !gone.contains(&run.revision));
    }

    /// Carries out a verb and says what was done. `plan` is what the manifest says.
    ///
    /// # Errors
    /// If the release does not allow it now.
    pub fn heed(
        &mut self,
        verb: Verb,
        manifest: &Plan,
        now: Timestamp,
    ) -> Result<String, VerbRefusal> {
        let plan = self.effective(manifest);
        match verb {
            Verb::Promote { full } => self.promote(&plan, manifest, full),
            Verb::Abort => {
                self.state = verb::abort(&self.state, now)?;
                Ok("aborted".to_string())
            }
            Verb::Retry => {
                self.state = verb::retry(&self.state, now)?;
                Ok("started again from the first step".to_string())
            }
            Verb::Pause => {
                self.want_paused(manifest, true);
                Ok("paused (promote goes on)".to_string())
            }
            Verb::Undo { to_revision } => self.undo(manifest, to_revision),
        }
    }

    /// Someone's own pause ends first; a pause of the steps ends with it, but no step is skipped.
    fn promote(&mut self, plan: &Plan, manifest: &Plan, full: bool) -> Result<String, VerbRefusal> {
        let done = if full { "promoted in full" } else { "promoted" };
        let only_unpause = plan.paused && !full && self.state.pause.is_none();
        if !only_unpause {
            self.state = verb::promote(plan, &self.state, full)?;
        }
        if plan.paused {
            self.want_paused(manifest, false);
        }
        Ok(done.to_string())
    }

    fn want_paused(&mut self, manifest: &Plan, wanted: bool) {
        self.paused = (wanted != manifest.paused).then_some(Pausing {
            manifest: manifest.paused,
            wanted,
        });
    }

    fn undo(&mut self, manifest: &Plan, to: Option<u64>) -> Result<String, VerbRefusal> {
        let current = self.revisions.last().map_or(0, |newest| newest.number);
        let target = match to {
            Some(asked) => self
                .revisions
                .iter()
                .find(|revision| revision.number == asked)
                .ok_or_else(|| VerbRefusal::UnknownRevision {
                    asked,
                    known: self.known(),
                })?,
            None => self
                .revisions
                .iter()
                .rev()
                .nth(1)
                .ok_or(VerbRefusal::NoOlderRevision)?,
        };
        if target.number == current {
            return Err(VerbRefusal::SameRevision(current));
        }
        let done = format!("went back to revision {}", target.number);
        let written = revision::hash(&manifest.template);
        self.undo = (target.hash != written).then(|| Undoing {
            manifest: written,
            template: target.template.clone(),
        });
        Ok(done)
    }

    fn known(&self) -> String {
        let numbers: Vec<String> = self
            .revisions
            .iter()
            .map(|r| r.number.to_string())
            .collect();
        numbers.join(", ")
    }
}

#[cfg(test)]
mod tests;

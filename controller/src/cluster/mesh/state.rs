//! What is wanted, what is written and who runs it, without anybody being asked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serin_core::field::FieldErrors;
use serin_core::wire::Rule;
use tokio::time::Instant;

use crate::manifest::Key;
use crate::mesh::objects::{self, CONFIGURATION, Owner, PLACE, SOURCE, Wanted};
use crate::mesh::shards::{self, MAX_SHARDS, Wants};

/// How long a release that has ended stays in the configuration: the filter tells what it counted
/// once a second, and what a VM counted since ends with it.
const LINGERS: Duration = Duration::from_secs(10);

/// Everything that is known of the mesh.
#[derive(Debug, Default)]
pub(in crate::cluster) struct State {
    /// Whether all that is held is known, and which Rollouts there are.
    begun: bool,
    /// Why it is not for a long time, or why nothing can be written.
    trouble: Option<String>,
    wants: Wants,
    /// When a release that has ended may go.
    ends: BTreeMap<Key, Instant>,
    /// What proxies may run of each Rollout, since it was first written.
    known: BTreeMap<Key, Known>,
    /// Why a Rollout has no place in the configuration.
    refused: BTreeMap<Key, String>,
    shards: Vec<Shard>,
}

/// What was written last of a Rollout.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    rule: Rule,
    shard: usize,
    /// The generation that it came with.
    since: u64,
}

/// One configuration object and the filters that run it.
#[derive(Clone, Debug, Default)]
struct Shard {
    /// Whether the filter has its place.
    is_placed: bool,
    /// The object; none if there is none.
    held: Option<Held>,
    /// The highest generation that was ever seen.
    highest: u64,
    /// The generation that all proxies are known to run.
    acknowledged: u64,
    /// What is told of those that are behind.
    behind: Option<String>,
    /// Whether a new generation is to be written although nothing else changes.
    heals: bool,
}

#[derive(Clone, Debug)]
struct Held {
    /// Its resource version.
    version: String,
    /// Where it says the module is, if a controller wrote that.
    code: Option<Value>,
    wanted: Wanted,
    spec: Value,
}

/// A configuration that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Due {
    pub shard: usize,
    /// The whole object.
    pub object: Value,
    /// The resource version of the one it replaces; none if there is none.
    pub replaces: Option<String>,
}

/// Who writes, with what.
pub(super) struct Writer<'a> {
    pub owner: &'a Owner,
    /// Where the module is.
    pub code: &'a Value,
    /// The time in seconds.
    pub seconds: u64,
}

/// What is to be done to a shard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    /// The filter is to be given its place.
    Place(usize),
    /// It is to be written.
    Write(Due),
}

/// A shard whose proxies are to be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub shard: usize,
    /// The name of the filter's configuration.
    pub config: String,
    /// The generation that they should run.
    pub generation: u64,
    /// Whether a Rollout waits for it.
    pub waits: bool,
}

impl State {
    /// What is held is known from now on.
    pub(super) fn begin(&mut self) {
        self.begun = true;
        self.trouble = None;
    }

    /// What keeps everything from being written.
    pub(super) fn is_in_trouble(&mut self, told: String) {
        self.trouble = Some(told);
    }

    /// What a Rollout's requests are to be; whether that is news. `ran` says that proxies may run
    /// something else of it, as far as its own status tells.
    pub(super) fn want(&mut self, key: &Key, rule: Rule, ran: bool, now: Instant) -> bool {
        let in_force = self.known.contains_key(key) || ran;
        let rests =
            rule.canary.is_none() && self.known.contains_key(key) && self.shown(key, &rule, ran);
        let ends = rests.then(|| *self.ends.get(key).unwrap_or(&(now + LINGERS)));
        let news_of_end = ends != self.ends.get(key).copied();
        match ends {
            Some(ends) => self.ends.insert(key.clone(), ends),
            None => self.ends.remove(key),
        };
        // Without a rule everybody gets stable too, and without any there is no filter.
        let rule = (rule.canary.is_some() || in_force).then_some(rule);
        let news = self.wants.get(key) != Some(&rule);
        if news {
            self.wants.insert(key.clone(), rule);
        }
        news || news_of_end
    }

    /// Nothing is wanted any more of a Rollout that had something; whether that is news.
    pub(super) fn let_go(&mut self, key: &Key) -> bool {
        let had = self.wants.get(key).is_some_and(Option::is_some) || self.known.contains_key(key);
        if !had {
            return false;
        }
        self.ends.remove(key);
        self.wants.insert(key.clone(), None) != Some(None)
    }

    /// Whether all proxies are known to run a rule; `ran` as in [`State::want`].
    pub(super) fn shown(&self, key: &Key, rule: &Rule, ran: bool) -> bool {
        if !self.begun {
            return false;
        }
        match self.known.get(key) {
            // Whoever is told nothing sends everybody to stable.
            None => rule.canary.is_none() && !ran,
            Some(known) if known.rule == *rule => {
                let shard = self.shards.get(known.shard);
                let shard = shard.filter(|shard| shard.held.is_some());
                shard.is_some_and(|shard| shard.acknowledged >= known.since)
            }
            Some(_) => false,
        }
    }

    /// What keeps proxies from running what was asked for, or from running it still.
    pub(super) fn behind(&self, key: &Key) -> Option<String> {
        if self.trouble.is_some() {
            return self.trouble.clone();
        }
        let shard = self.known.get(key).map(|known| known.shard);
        let shard = shard.and_then(|shard| self.shards.get(shard));
        let behind = shard.and_then(|shard| shard.behind.clone());
        self.refused.get(key).cloned().or(behind)
    }

    /// The Rollouts that have something in flight, or want to.
    pub(super) fn keys(&self) -> Vec<Key> {
        let wanted = self.wants.iter().filter(|(_, rule)| rule.is_some());
        let mut keys: Vec<Key> = wanted.map(|(key, _)| key.clone()).collect();
        keys.extend(self.known.keys().cloned());
        keys.sort();
        keys.dedup();
        keys
    }

    /// Takes in all of the controller's EnvoyFilters as the API server has them.
    pub(super) fn see_all(&mut self, owner: &Owner, objects: &[Value]) {
        let named = |name: String| {
            let mut objects = objects.iter();
            objects.find(|object| object["metadata"]["name"] == *name)
        };
        for shard in 0..MAX_SHARDS {
            let placed = named(owner.name(PLACE, shard)).is_some();
            let object = named(owner.name(CONFIGURATION, shard));
            if !placed && object.is_none() && shard >= self.shards.len() {
                break;
            }
            self.shard(shard).is_placed = placed;
            match object {
                Some(object) => self.see(shard, object),
                // Proxies go on with what they had.
                None => self.shard(shard).held = None,
            }
        }
    }

    /// Takes in a configuration, unless it is older than the one that is known.
    fn see(&mut self, number: usize, object: &Value) {
        let order = |version: &str| version.parse::<u64>().unwrap_or(0);
        let version = version_of(object);
        let held = self.shard(number).held.as_ref();
        if held.is_none_or(|held| order(&held.version) < order(&version)) {
            self.take(number, object);
        }
    }

    /// Takes in a configuration as it is now, whatever was known of it.
    pub(super) fn take(&mut self, number: usize, object: &Value) {
        let wanted = objects::read(object);
        let generation = wanted.generation;
        let shard = self.shard(number);
        shard.highest = shard.highest.max(generation);
        self.enter(number, &wanted);
        self.shard(number).held = Some(Held {
            version: version_of(object),
            code: objects::code_of(object),
            wanted,
            spec: object["spec"].clone(),
        });
    }

    /// Proxies may run this from now on.
    pub(super) fn enter(&mut self, number: usize, wanted: &Wanted) {
        for rule in &wanted.rules {
            let known = Known {
                rule: rule.clone(),
                shard: number,
                since: wanted.generation,
            };
            let key = shards::key(rule);
            let same = |before: &Known| before.shard == number && before.rule == *rule;
            if !self.known.get(&key).is_some_and(same) {
                self.known.insert(key, known);
            }
        }
    }

    /// Takes in a configuration that was written here: what it leaves out is over.
    pub(super) fn wrote(&mut self, number: usize, object: &Value) {
        self.see(number, object);
        let rules = objects::read(object).rules;
        let left = |key: &Key| rules.iter().any(|rule| shards::key(rule) == *key);
        self.known
            .retain(|key, known| known.shard != number || left(key));
        let known = &self.known;
        self.wants
            .retain(|key, rule| rule.is_some() || known.contains_key(key));
        let shard = self.shard(number);
        shard.heals = false;
        if rules.is_empty() {
            shard.behind = None;
        }
        self.trouble = None;
    }

    /// The filter has its place.
    pub(super) fn placed(&mut self, shard: usize) {
        self.shard(shard).is_placed = true;
    }

    /// What is to be done now, by what is wanted; and when to look again although nothing changes.
    ///
    /// # Errors
    /// If the configuration as a whole is beyond the filter's limits.
    pub(super) fn due(
        &mut self,
        writer: &Writer<'_>,
        stays: impl Fn(&Key) -> bool,
        now: Instant,
    ) -> Result<(Vec<Task>, Option<Instant>), FieldErrors> {
        if !self.begun {
            return Ok((Vec::new(), None));
        }
        let mut wants = self.wants.clone();
        for (key, _) in self.ends.iter().filter(|(_, ends)| **ends <= now) {
            wants.insert(key.clone(), None);
        }
        let later = self
            .ends
            .values()
            .filter(|ends| **ends > now)
            .min()
            .copied();
        let held: Vec<Vec<Rule>> = self.shards.iter().map(Shard::rules).collect();
        let placed = shards::place(&held, &wants, stays);
        self.refused = placed.refused;
        let mut tasks = Vec::new();
        for (number, rules) in placed.shards.into_iter().enumerate() {
            tasks.extend(self.shard(number).due(number, writer, rules)?);
        }
        Ok((tasks, later))
    }

    /// The shards that proxies are to be asked about.
    pub(super) fn questions(&self, owner: &Owner) -> Vec<Question> {
        let shards = self.shards.iter().enumerate();
        let asked = shards.filter_map(|(shard, state)| {
            let held = state.held.as_ref()?;
            let waits = |known: &Known| known.shard == shard && known.since > state.acknowledged;
            (!held.wanted.rules.is_empty()).then(|| Question {
                shard,
                config: owner.name(SOURCE, shard),
                generation: held.wanted.generation,
                waits: self.known.values().any(waits),
            })
        });
        asked.collect()
    }

    /// All proxies are known to run this generation; the Rollouts for which that is news. One that
    /// was never written here says nothing, but that proxies would not heed a lower one.
    pub(super) fn acknowledge(&mut self, number: usize, generation: u64) -> Vec<Key> {
        let shard = self.shard(number);
        if generation > shard.highest {
            shard.highest = generation;
            shard.heals = true;
            return Vec::new();
        }
        let before = shard.acknowledged;
        shard.acknowledged = generation.max(before);
        let news = |known: &&Known| {
            known.shard == number && known.since > before && known.since <= generation
        };
        let news = self.known.iter().filter(|(_, known)| news(known));
        news.map(|(key, _)| key.clone()).collect()
    }

    /// What is told of the proxies that are behind; the Rollouts for which that is news.
    pub(super) fn tell_behind(&mut self, number: usize, behind: Option<String>) -> Vec<Key> {
        let shard = self.shard(number);
        if shard.behind == behind {
            return Vec::new();
        }
        shard.behind = behind;
        let told = self.known.iter().filter(|(_, known)| known.shard == number);
        told.map(|(key, _)| key.clone()).collect()
    }

    /// Has a new generation written.
    pub(super) fn heal(&mut self, shard: usize) {
        self.shard(shard).heals = true;
    }

    fn shard(&mut self, number: usize) -> &mut Shard {
        if self.shards.len() <= number {
            self.shards.resize(number + 1, Shard::default());
        }
        &mut self.shards[number]
    }
}

impl Shard {
    fn rules(&self) -> Vec<Rule> {
        let held = self.held.as_ref();
        held.map(|held| held.wanted.rules.clone())
            .unwrap_or_default()
    }

    /// What is to be done so that it holds these rules.
    fn due(
        &self,
        number: usize,
        writer: &Writer<'_>,
        rules: Vec<Rule>,
    ) -> Result<Vec<Task>, FieldErrors> {
        if rules.is_empty() && self.held.is_none() {
            return Ok(Vec::new());
        }
        let mut tasks = Vec::new();
        if !self.is_placed && !rules.is_empty() {
            tasks.push(Task::Place(number));
        }
        let with = |generation: u64, rules: Vec<Rule>, code: &Value| {
            let wanted = Wanted { generation, rules };
            objects::configuration(writer.owner, number, &wanted, code)
        };
        let held = self.held.as_ref();
        if let Some(held) = held.filter(|_| !self.heals) {
            // Another version of the filter comes with the next change, not in the middle of a step.
            let code = held.code.as_ref().unwrap_or(writer.code);
            let same = with(held.wanted.generation, rules.clone(), code)?;
            if same["spec"] == held.spec {
                return Ok(tasks);
            }
        }
        // Proxies may have been shown one by an object that is gone, at most one a second.
        let generation = (self.highest + 1).max(writer.seconds);
        tasks.push(Task::Write(Due {
            shard: number,
            object: with(generation, rules, writer.code)?,
            replaces: held.map(|held| held.version.clone()),
        }));
        Ok(tasks)
    }
}

fn version_of(object: &Value) -> String {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;

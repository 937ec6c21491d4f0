//! What is wanted, what is written and who runs it, without anybody being asked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serin_core::field::FieldErrors;
use serin_core::wire::Rule;
use tokio::time::Instant;

use crate::manifest::Key;
use crate::mesh::objects::{self, CONFIGURATION, PLACE, SOURCE, Wanted, of_shard};
use crate::mesh::shards::{self, MAX_SHARDS, Wants};

/// How long a release that has ended stays in the configuration: the filter tells what it counted
/// once a second, and what a VM counted since ends with it.
const LINGERS: Duration = Duration::from_secs(10);

/// Everything that is known of the mesh.
#[derive(Debug, Default)]
pub(in crate::cluster) struct State {
    /// Whether all that is held is known, and which Rollouts there are.
    begun: bool,
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
    /// The highest generation that was ever seen; none if that is not known.
    highest: Option<u64>,
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
    wanted: Wanted,
    spec: Value,
}

/// Whether proxies run what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Shown {
    /// All do.
    ByAll,
    /// Not all do, or it is not written yet; and what is told of that.
    NotYet(Option<String>),
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

/// What is to be done to a shard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    /// The filter is to be given its place.
    Place(usize),
    /// Nobody knows which generation was the last.
    FindGeneration(usize),
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
    }

    /// What a Rollout's requests are to be; whether that is news.
    pub(super) fn want(&mut self, key: &Key, rule: Rule, rests: bool, now: Instant) -> bool {
        let is_known = self.known.contains_key(key);
        let ends = match rests && is_known {
            true => Some(*self.ends.get(key).unwrap_or(&(now + LINGERS))),
            false => None,
        };
        let news_of_end = ends != self.ends.get(key).copied();
        match ends {
            Some(ends) => self.ends.insert(key.clone(), ends),
            None => self.ends.remove(key),
        };
        // Without a rule everybody gets stable too, and without any there is no filter.
        let rule = (rule.canary.is_some() || is_known).then_some(rule);
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

    /// Whether all proxies are known to run a rule.
    pub(super) fn shown(&self, key: &Key, rule: &Rule) -> Shown {
        if !self.begun {
            return Shown::NotYet(None);
        }
        match self.known.get(key) {
            // Whoever is told nothing sends everybody to stable.
            None if rule.canary.is_none() => Shown::ByAll,
            Some(known) if known.rule == *rule => {
                let shard = self.shards.get(known.shard);
                let shard = shard.filter(|shard| shard.held.is_some());
                match shard.is_some_and(|shard| shard.acknowledged >= known.since) {
                    true => Shown::ByAll,
                    false => Shown::NotYet(shard.and_then(|shard| shard.behind.clone())),
                }
            }
            _ => Shown::NotYet(self.refused.get(key).cloned()),
        }
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
    pub(super) fn see_all(&mut self, objects: &[Value]) {
        let named = |name: String| {
            let mut objects = objects.iter();
            objects.find(|object| object["metadata"]["name"] == *name)
        };
        for shard in 0..MAX_SHARDS {
            let placed = named(of_shard(PLACE, shard)).is_some();
            let object = named(of_shard(CONFIGURATION, shard));
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
    pub(super) fn see(&mut self, number: usize, object: &Value) {
        let version = object["metadata"]["resourceVersion"].as_str();
        let version = version.unwrap_or_default().to_string();
        let shard = self.shard(number);
        let order = |version: &str| version.parse::<u64>().unwrap_or(0);
        if let Some(held) = &shard.held
            && order(&held.version) > order(&version)
        {
            return;
        }
        let wanted = objects::read(object);
        let generation = wanted.generation;
        shard.highest = Some(shard.highest.unwrap_or(0).max(generation));
        for rule in &wanted.rules {
            let known = Known {
                rule: rule.clone(),
                shard: number,
                since: generation,
            };
            let key = shards::key(rule);
            let same = |before: &Known| before.shard == number && before.rule == *rule;
            if !self.known.get(&key).is_some_and(same) {
                self.known.insert(key, known);
            }
        }
        self.shard(number).held = Some(Held {
            version,
            wanted,
            spec: object["spec"].clone(),
        });
    }

    /// Takes in a configuration that was written here: what it leaves out is over.
    pub(super) fn wrote(&mut self, number: usize, object: &Value) {
        self.see(number, object);
        let rules = objects::read(object).rules;
        let left = |key: &Key| rules.iter().any(|rule| shards::key(rule) == *key);
        self.known
            .retain(|key, known| known.shard != number || left(key));
        self.shard(number).heals = false;
    }

    /// The filter has its place.
    pub(super) fn placed(&mut self, shard: usize) {
        self.shard(shard).is_placed = true;
    }

    /// The highest generation that proxies have shown.
    pub(super) fn found_generation(&mut self, shard: usize, highest: u64) {
        self.shard(shard).highest = Some(highest);
    }

    /// What is to be done now, by what is wanted; and when to look again although nothing changes.
    ///
    /// # Errors
    /// If the configuration as a whole is beyond the filter's limits.
    pub(super) fn due(
        &mut self,
        namespace: &str,
        code: &Value,
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
            tasks.extend(self.shard(number).due(number, namespace, rules, code)?);
        }
        Ok((tasks, later))
    }

    /// The shards that proxies are to be asked about.
    pub(super) fn questions(&self) -> Vec<Question> {
        let shards = self.shards.iter().enumerate();
        let asked = shards.filter_map(|(shard, state)| {
            let held = state.held.as_ref()?;
            let waits = |known: &Known| known.shard == shard && known.since > state.acknowledged;
            (!held.wanted.rules.is_empty()).then(|| Question {
                shard,
                config: of_shard(SOURCE, shard),
                generation: held.wanted.generation,
                waits: self.known.values().any(waits),
            })
        });
        asked.collect()
    }

    /// All proxies are known to run this generation; the Rollouts for which that is news.
    pub(super) fn acknowledge(&mut self, shard: usize, generation: u64) -> Vec<Key> {
        let before = self.shard(shard).acknowledged;
        self.shard(shard).acknowledged = generation.max(before);
        let news = |known: &&Known| {
            known.shard == shard && known.since > before && known.since <= generation
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
        let acknowledged = shard.acknowledged;
        let waits = |known: &Known| known.shard == number && known.since > acknowledged;
        let waiting = self.known.iter().filter(|(_, known)| waits(known));
        waiting.map(|(key, _)| key.clone()).collect()
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
        namespace: &str,
        rules: Vec<Rule>,
        code: &Value,
    ) -> Result<Vec<Task>, FieldErrors> {
        if rules.is_empty() && self.held.is_none() {
            return Ok(Vec::new());
        }
        let mut tasks = Vec::new();
        if !self.is_placed && !rules.is_empty() {
            tasks.push(Task::Place(number));
        }
        let with = |generation: u64, rules: Vec<Rule>| {
            let wanted = Wanted { generation, rules };
            objects::configuration(namespace, number, &wanted, code)
        };
        let held = self.held.as_ref();
        if let Some(held) = held.filter(|_| !self.heals) {
            let same = with(held.wanted.generation, rules.clone())?;
            if same["spec"] == held.spec {
                return Ok(tasks);
            }
        }
        let Some(highest) = self.highest else {
            tasks.push(Task::FindGeneration(number));
            return Ok(tasks);
        };
        tasks.push(Task::Write(Due {
            shard: number,
            object: with(highest + 1, rules)?,
            replaces: held.map(|held| held.version.clone()),
        }));
        Ok(tasks)
    }
}

#[cfg(test)]
mod tests;

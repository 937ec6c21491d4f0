//! Which releases are in which shard: what the shards hold and what Rollouts want comes in, what the
//! shards are to hold goes out. A release stays where it is, for proxies take up the shards one by
//! one, and while it moved it would be in none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serin_core::wire::{
    MAX_CONDITIONS, MAX_CONFIG, MAX_HOSTS, MAX_REGEXES, MAX_RULES, Role, Rule, Test, dns_forms,
};

use super::objects::{self, Owner, Wanted, versions};
use crate::manifest::Key;

/// The most shards: a filter more in every proxy each.
pub const MAX_SHARDS: usize = 8;

/// What an object has beside its releases.
const FRAME: usize = 8 * 1024;

/// What Rollouts want: a rule, or none any more. Those that have not said anything yet are missing.
pub type Wants = BTreeMap<Key, Option<Rule>>;

/// What the shards are to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placed {
    /// The rules of each, in the order of their Rollouts.
    pub shards: Vec<Vec<Rule>>,
    /// Why a Rollout has no place.
    pub refused: BTreeMap<Key, String>,
}

/// The Rollout of a rule.
pub fn key(rule: &Rule) -> Key {
    Key {
        namespace: rule.namespace.clone(),
        name: rule.rollout.clone(),
    }
}

/// Places what Rollouts want. What `held` has of Rollouts that have not said anything stays if
/// `stays` says so, as does what is to become something that has no place.
pub fn place(held: &[Vec<Rule>], wants: &Wants, stays: impl Fn(&Key) -> bool) -> Placed {
    let mut placing = Placing {
        shards: vec![Shard::default(); held.len()],
        ..Placing::default()
    };
    let all = held.iter().enumerate();
    let all = all.flat_map(|(shard, rules)| rules.iter().map(move |rule| (shard, rule)));
    let left = all.filter_map(|(shard, before)| {
        let key = key(before);
        let wanted = match wants.get(&key) {
            Some(wanted) => wanted.as_ref(),
            None => stays(&key).then_some(before),
        };
        Some((shard, before, wanted?))
    });
    // Who asks for other hosts gets them after those who had them.
    let (same, other): (Vec<_>, Vec<_>) =
        left.partition(|(_, before, wanted)| hosts(before) == hosts(wanted));
    let mut moved = Vec::new();
    for (shard, before, wanted) in same.into_iter().chain(other) {
        let is_sound = wanted == before || placing.is_sound(wanted);
        match is_sound && placing.fits(shard, wanted) {
            true => placing.add(shard, wanted),
            false => moved.push((shard, before, wanted)),
        }
    }
    for (shard, before, wanted) in moved {
        placing.find_place(wanted);
        if !placing.placed.contains(&key(wanted)) && placing.fits(shard, before) {
            placing.add(shard, before);
        }
    }
    for rule in wants.values().flatten() {
        placing.find_place(rule);
    }
    placing.placed()
}

#[derive(Default)]
struct Placing {
    shards: Vec<Shard>,
    hosts: HashMap<String, Key>,
    placed: BTreeSet<Key>,
    refused: BTreeMap<Key, String>,
}

#[derive(Clone, Default)]
struct Shard {
    size: Size,
    rules: BTreeMap<Key, Rule>,
}

impl Placing {
    fn find_place(&mut self, rule: &Rule) {
        let key = key(rule);
        if self.placed.contains(&key) || self.refused.contains_key(&key) || !self.is_sound(rule) {
            return;
        }
        let taken = hosts(rule).into_iter().find_map(|host| {
            let other = self.hosts.get(&host)?;
            Some(format!(
                "host {host:?} is one of Rollout {other}'s already, expected hosts that no other \
                 release in flight has"
            ))
        });
        if let Some(why) = taken {
            self.refused.insert(key, why);
            return;
        }
        let mut all = 0..=self.shards.len();
        let shard = all.find(|shard| self.fits(*shard, rule));
        match shard.filter(|shard| *shard < MAX_SHARDS) {
            Some(shard) => {
                if shard == self.shards.len() {
                    self.shards.push(Shard::default());
                }
                self.add(shard, rule);
            }
            None => {
                let why = format!(
                    "there are too many releases in flight for {MAX_SHARDS} configurations of \
                     {MAX_CONFIG} bytes, expected some of them to end first"
                );
                self.refused.insert(key, why);
            }
        }
    }

    /// Whether the filter takes a rule; what it refuses would keep all others from being written.
    fn is_sound(&mut self, rule: &Rule) -> bool {
        let alone = Wanted {
            generation: 0,
            rules: vec![rule.clone()],
        };
        let filters = [Role::Source, Role::Destination]
            .map(|role| objects::filter(&Owner::of_all(""), 0, role, &alone));
        let refused = filters.iter().find_map(|filter| filter.to_json().err());
        match refused {
            Some(errors) => {
                self.refused.insert(key(rule), errors.to_string());
                false
            }
            None => true,
        }
    }

    /// Whether a rule has room in a shard, and none of its hosts is another's.
    fn fits(&self, shard: usize, rule: &Rule) -> bool {
        let size = self.shards.get(shard).map(|shard| shard.size);
        let fits = (size.unwrap_or_default() + Size::of(rule)).is_within_limits();
        fits && !hosts(rule).iter().any(|host| self.hosts.contains_key(host))
    }

    fn add(&mut self, shard: usize, rule: &Rule) {
        let key = key(rule);
        let Some(place) = self.shards.get_mut(shard) else {
            return;
        };
        place.size = place.size + Size::of(rule);
        place.rules.insert(key.clone(), rule.clone());
        let hosts = hosts(rule).into_iter();
        self.hosts.extend(hosts.map(|host| (host, key.clone())));
        self.placed.insert(key);
    }

    fn placed(self) -> Placed {
        let shards = self.shards.into_iter();
        Placed {
            shards: shards
                .map(|shard| shard.rules.into_values().collect())
                .collect(),
            refused: self.refused,
        }
    }
}

/// The hosts that must be one rule's alone: a Service's name alone is within its namespace.
fn hosts(rule: &Rule) -> Vec<String> {
    let names = rule.names.iter().flat_map(|name| {
        let [short, long @ ..] = dns_forms(name, &rule.namespace);
        // No host has a slash.
        std::iter::once(format!("{}/{short}", rule.namespace)).chain(long)
    });
    rule.hosts.iter().cloned().chain(names).collect()
}

/// What the filter and the API server limit.
#[derive(Clone, Copy, Default)]
struct Size {
    bytes: usize,
    rules: usize,
    hosts: usize,
    conditions: usize,
    regexes: usize,
}

impl Size {
    fn of(rule: &Rule) -> Size {
        // Both texts are quoted once more where they stand.
        let quoted = |text: String| serde_json::Value::from(text).to_string().len();
        let rules = std::slice::from_ref(rule);
        let texts = [
            serde_json::to_string(rule),
            serde_json::to_string(&versions(rules)),
        ];
        let routes = rule.canary.iter().flat_map(|canary| &canary.routes);
        let conditions: Vec<_> = routes
            .flat_map(|route| &route.any)
            .flat_map(|alternative| &alternative.all)
            .collect();
        let regex = |is: &Test| matches!(is, Test::Regex(_));
        Size {
            bytes: texts.into_iter().flatten().map(quoted).sum(),
            rules: 1,
            hosts: rule.hosts.len() + 4 * rule.names.len(),
            regexes: conditions.iter().filter(|one| regex(&one.is)).count(),
            conditions: conditions.len(),
        }
    }

    fn is_within_limits(&self) -> bool {
        FRAME + self.bytes <= MAX_CONFIG
            && self.rules <= MAX_RULES
            && self.hosts <= MAX_HOSTS
            && self.conditions <= MAX_CONDITIONS
            && self.regexes <= MAX_REGEXES
    }
}

impl std::ops::Add for Size {
    type Output = Size;

    fn add(self, other: Size) -> Size {
        Size {
            bytes: self.bytes + other.bytes,
            rules: self.rules + other.rules,
            hosts: self.hosts + other.hosts,
            conditions: self.conditions + other.conditions,
            regexes: self.regexes + other.regexes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::ops::Add as _;

    fn rule(name: &str, weight: u16, hosts: &[&str]) -> Rule {
        let rule = json!({
            "rollout": name, "namespace": "web", "service": name, "hosts": hosts,
            "names": [name], "stable": "aaa",
            "canary": {"revision": "bbb", "weightBp": weight, "salt": format!("web/{name}/bbb")},
        });
        serde_json::from_value(rule).expect("a rule")
    }

    fn wants(rules: &[Rule]) -> Wants {
        let rules = rules.iter().cloned();
        rules.map(|rule| (key(&rule), Some(rule))).collect()
    }

    fn names(placed: &Placed) -> Vec<Vec<&str>> {
        let shards = placed.shards.iter();
        shards
            .map(|rules| rules.iter().map(|rule| &*rule.rollout).collect())
            .collect()
    }

    #[test]
    fn who_has_said_nothing_keeps_what_it_has_for_as_long_as_it_may() {
        let held = [vec![rule("a", 100, &[]), rule("gone", 100, &[])]];
        let wanted = wants(&[rule("b", 100, &[])]);
        let placed = place(&held, &wanted, |key| key.name != "gone");
        assert_eq!(names(&placed), [["a", "b"]]);
        let mut wanted = wants(&[rule("a", 200, &[])]);
        wanted.insert(key(&rule("gone", 0, &[])), None);
        let placed = place(&held, &wanted, |_| true);
        assert_eq!(names(&placed), [["a"]]);
        let canary = placed.shards[0][0].canary.as_ref().expect("a canary");
        assert_eq!(canary.weight_bp, 200);
    }

    #[test]
    fn what_the_filter_would_refuse_keeps_nobody_else_from_being_told() {
        let held = [vec![rule("a", 100, &[]), rule("b", 100, &[])]];
        let mut bad = rule("a", 200, &[]);
        bad.stable = "not a label".into();
        let placed = place(&held, &wants(&[bad, rule("b", 300, &[])]), |_| true);
        assert_eq!(names(&placed), [["a", "b"]]);
        let weights = placed.shards[0]
            .iter()
            .filter_map(|rule| rule.canary.as_ref());
        let weights: Vec<u16> = weights.map(|canary| canary.weight_bp).collect();
        assert_eq!(weights, [100, 300], "the one stays as it was");
        let why = placed.refused.values().next().expect("a refusal");
        assert!(why.contains("not a label"), "{why}");
    }

    #[test]
    fn a_change_that_has_no_place_leaves_what_was_there() {
        let held = [vec![
            rule("a", 100, &[]),
            rule("b", 100, &["shop.example.com"]),
        ]];
        let changed = wants(&[rule("a", 200, &["shop.example.com"])]);
        let placed = place(&held, &changed, |_| true);
        assert_eq!(placed.shards[0], held[0]);
        assert_eq!(placed.refused.len(), 1);
    }

    #[test]
    fn a_host_leads_to_the_release_that_had_it_first() {
        let held = [vec![rule("z", 100, &["shop.example.com"])]];
        let wanted = wants(&[
            rule("a", 100, &["shop.example.com"]),
            rule("z", 200, &["shop.example.com"]),
        ]);
        let placed = place(&held, &wanted, |_| true);
        assert_eq!(names(&placed), [["z"]]);
        let why = placed.refused.values().next().expect("a refusal");
        assert!(
            why.contains("shop.example.com") && why.contains("web/z"),
            "{why}"
        );
    }

    /// A rule of about 100 kB as it is quoted.
    fn large(number: usize) -> Rule {
        let mut rule = rule(&format!("rollout-{number:05}"), 100, &[]);
        let all = json!([{"on": {"header": "x-a"}, "is": {"exact": "v".repeat(1_024)}}]);
        let any: Vec<_> = (0..48).map(|_| json!({"all": all})).collect();
        let routes = json!([{"name": "beta", "any": any}, {"name": "gamma", "any": any}]);
        let canary = rule.canary.as_mut().expect("a canary");
        canary.routes = serde_json::from_value(routes).expect("routes");
        rule
    }

    #[test]
    fn what_has_no_room_goes_to_the_next_shard_and_stays_there() {
        let many: Vec<Rule> = (0..30).map(large).collect();
        let placed = place(&[], &wants(&many), |_| true);
        assert!(placed.refused.is_empty());
        assert_eq!(placed.shards.len(), 3);
        let all: usize = placed.shards.iter().map(Vec::len).sum();
        assert_eq!(all, many.len());
        for (shard, rules) in placed.shards.iter().enumerate() {
            let wanted = Wanted {
                generation: 1,
                rules: rules.clone(),
            };
            let code = objects::code_at("http://serin.serin:8090");
            let object =
                objects::configuration(&Owner::of_all("istio-system"), shard, &wanted, &code);
            object.expect("is within limits");
        }
        // One ends and another begins: nobody moves.
        let mut wanted = wants(&many);
        wanted.insert(key(&many[0]), None);
        let new = rule("a-new-one", 100, &[]);
        wanted.insert(key(&new), Some(new));
        let again = place(&placed.shards, &wanted, |_| true);
        assert_eq!(again.shards[0].len(), placed.shards[0].len());
        assert_eq!(again.shards[1..], placed.shards[1..]);
    }

    #[test]
    fn as_many_as_are_measured_have_room_as_they_are_counted() {
        let many: Vec<Rule> = (0..2_500)
            .map(|number| rule(&format!("rollout-{number:05}"), 100, &[]))
            .collect();
        let placed = place(&[], &wants(&many), |_| true);
        for (shard, rules) in placed.shards.iter().enumerate() {
            let wanted = Wanted {
                generation: 1,
                rules: rules.clone(),
            };
            let object =
                objects::configuration(&Owner::of_all("istio-system"), shard, &wanted, &json!({}));
            let bytes = object.expect("is within limits").to_string().len();
            let counted: Size = rules.iter().map(Size::of).fold(Size::default(), Size::add);
            let frame = bytes.saturating_sub(counted.bytes);
            assert!(
                counted.bytes <= bytes + rules.len() * 8 && frame < FRAME,
                "{frame}"
            );
        }
    }

    #[test]
    fn what_has_no_room_anywhere_is_refused() {
        let many: Vec<Rule> = (0..14 * MAX_SHARDS).map(large).collect();
        let placed = place(&[], &wants(&many), |_| true);
        assert_eq!(placed.shards.len(), MAX_SHARDS);
        let why = placed.refused.values().next().expect("a refusal");
        assert!(why.contains("too many releases"), "{why}");
    }
}

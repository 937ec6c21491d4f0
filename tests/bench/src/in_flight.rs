//! Releases in flight by the number of their hosts: in goes a number, out come the objects that the
//! controller would write for them, in as many shards as they take.

use serde_json::Value;
use serin::mesh::objects::{self, Owner, Wanted};
use serin::mesh::shards;
use serin_core::field::FieldErrors;
use serin_core::wire::{Canary, Rule, StickyKey};

/// The host that the load calls. Its release is always the first of the first shard.
pub const HOST: &str = "shop.default.svc.cluster.local";

/// The header that carries the user.
pub const USER_HEADER: &str = "x-user-id";

/// The canary's share, in percent.
pub const CANARY_PERCENT: u16 = 10;

/// A mesh with a release of every Service.
pub const MANY: usize = 10_000;

/// How many hosts the name of a Service stands for.
pub const FORMS: usize = 4;

/// Spreads the releases as large meshes are: a namespace per team.
const NAMESPACES: usize = 50;

/// The rules of each shard.
#[derive(Clone, Debug)]
pub struct Releases {
    shards: Vec<Vec<Rule>>,
}

/// As a release that has ended leaves it: a shard without rules.
impl Default for Releases {
    fn default() -> Self {
        Releases {
            shards: vec![Vec::new()],
        }
    }
}

impl Releases {
    /// One release with one host.
    pub fn one() -> Releases {
        let rule = Rule {
            hosts: vec![HOST.to_string()],
            names: Vec::new(),
            ..rule("shop", "default", 0)
        };
        Releases {
            shards: vec![vec![rule]],
        }
    }

    /// Releases with so many hosts in all, each the name of one Service.
    pub fn with_hosts(hosts: usize) -> Releases {
        let others = (1..hosts / FORMS).map(|number| {
            let namespace = format!("team-{:02}", number % NAMESPACES);
            rule(&format!("service-{number:04}"), &namespace, number)
        });
        let all = std::iter::once(rule("shop", "default", 0)).chain(others);
        let wants = all.map(|rule| (shards::key(&rule), Some(rule))).collect();
        let placed = shards::place(&[], &wants, |_| true);
        Releases {
            shards: placed.shards,
        }
    }

    /// The objects in a namespace, with the module at `code`. From one generation to the next one
    /// weight changes, in the first shard.
    ///
    /// # Errors
    /// Every limit of the filter's that is passed.
    pub fn objects(
        &self,
        namespace: &str,
        generation: u64,
        code: &Value,
    ) -> Result<Vec<Value>, FieldErrors> {
        let shards = self.shards.iter().enumerate();
        let objects = shards.map(|(shard, rules)| {
            let mut rules = rules.clone();
            let last = rules.last_mut().and_then(|rule| rule.canary.as_mut());
            if let Some(canary) = last.filter(|_| shard == 0) {
                canary.weight_bp += (generation % 100) as u16;
            }
            let wanted = Wanted { generation, rules };
            objects::configuration(&Owner::of_all(namespace), shard, &wanted, code)
        });
        objects.collect()
    }
}

fn rule(name: &str, namespace: &str, number: usize) -> Rule {
    // As long as the hashes of pod templates, and no two alike.
    let hash = |version: usize| format!("{:010x}", (2 * number + version + 1) * 0xb5_26e9_4d31);
    let hash = |version| hash(version).chars().take(10).collect::<String>();
    let revision = hash(1);
    Rule {
        rollout: name.to_string(),
        namespace: namespace.to_string(),
        service: name.to_string(),
        hosts: Vec::new(),
        names: vec![name.to_string()],
        stable: hash(0),
        canary: Some(Canary {
            weight_bp: CANARY_PERCENT * 100,
            salt: format!("{namespace}/{name}/{revision}"),
            revision,
            sticky: vec![StickyKey::Header(USER_HEADER.to_string())],
            routes: Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn every_host_is_some_releases() {
        let many = Releases::with_hosts(MANY);
        let rules: Vec<&Rule> = many.shards.iter().flatten().collect();
        assert_eq!(rules.len() * FORMS, MANY);
        let hashes: HashSet<&str> = rules.iter().map(|rule| &*rule.stable).collect();
        assert_eq!(hashes.len(), rules.len());
        assert_eq!(many.shards[0][0].rollout, "shop");
    }

    #[test]
    fn a_generation_changes_the_first_shard_alone() {
        let many = Releases::with_hosts(MANY);
        let specs = |generation| {
            let objects = many.objects("istio-system", generation, &json!({}));
            let objects = objects.expect("are within the limits");
            let shards = objects.iter().map(objects::read);
            shards.map(|wanted| wanted.rules).collect::<Vec<_>>()
        };
        let (before, after) = (specs(1), specs(2));
        assert_ne!(before[0], after[0]);
        assert_eq!(before[1..], after[1..]);
    }
}

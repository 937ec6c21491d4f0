//! A validated configuration in, a table out that answers which rule a host has and where a
//! request of that rule goes.

use super::condition::{Condition, cookies, values};
use super::sticky::scale;
use super::{Headers, Request, bucket, seed};
use crate::field::{FieldError, FieldErrors};
use crate::wire::{self, FilterConfig, MAX_HOST, StickyKey, Variant};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The rules of a configuration, found by host.
#[derive(Debug, Default)]
pub struct Table {
    rules: Vec<Rule>,
    hosts: HashMap<Box<[u8]>, usize, BuildHasherDefault<OneShot>>,
}

/// How the requests to one Rollout are split, compiled.
#[derive(Debug, Default)]
pub struct Rule {
    canary: Option<Canary>,
}

#[derive(Debug)]
struct Canary {
    weight_bp: u16,
    seed: u64,
    sticky: Vec<StickyKey>,
    /// The routes' alternatives one after the other: every route leads to the canary, so which
    /// of them matched makes no difference.
    any: Vec<Vec<Condition>>,
}

impl Table {
    /// Compiles a configuration. Fails only for what [`FilterConfig::validate`] refuses too.
    pub fn compile(config: &FilterConfig) -> Result<Self, FieldErrors> {
        let mut table = Table::default();
        for (i, rule) in config.rules.iter().enumerate() {
            for host in &rule.hosts {
                table.hosts.insert(host.as_bytes().into(), i);
            }
            let compiled = Rule::compile(rule).map_err(|message| {
                let path = format!("rules[{i}].canary.routes");
                FieldErrors(vec![FieldError { path, message }])
            })?;
            table.rules.push(compiled);
        }
        Ok(table)
    }

    /// The rule for an `:authority`, and its index in the configuration.
    pub fn find(&self, authority: &[u8]) -> Option<(usize, &Rule)> {
        let mut lower = [0; MAX_HOST];
        let host = without_port(authority);
        let lower = lower.get_mut(..host.len())?;
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        let index = *self.hosts.get(&*lower)?;
        Some((index, self.rules.get(index)?))
    }
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn without_port(authority: &[u8]) -> &[u8] {
    let end = match authority.first() {
        Some(b'[') => authority
            .iter()
            .position(|byte| *byte == b']')
            .map(|at| at + 1),
        _ => authority.iter().position(|byte| *byte == b':'),
    };
    end.and_then(|end| authority.get(..end))
        .unwrap_or(authority)
}

impl Rule {
    fn compile(rule: &wire::Rule) -> Result<Self, String> {
        let canary = rule.canary.as_ref().map(Canary::compile).transpose()?;
        Ok(Rule { canary })
    }

    /// The side that a request goes to. `draw` gives any number of the whole range of `u64` for a
    /// request that has no sticky key.
    pub fn choose<'a>(
        &self,
        request: &Request<'a>,
        headers: impl Headers<'a>,
        draw: impl FnOnce() -> u64,
    ) -> Variant {
        match &self.canary {
            Some(canary) if canary.takes(request, headers, draw) => Variant::Canary,
            _ => Variant::Stable,
        }
    }
}

impl Canary {
    fn compile(canary: &wire::Canary) -> Result<Self, String> {
        let alternatives = canary.routes.iter().flat_map(|route| &route.any);
        let any = alternatives
            .map(|alternative| alternative.all.iter().map(Condition::compile).collect())
            .collect::<Result<_, String>>()?;
        Ok(Canary {
            weight_bp: canary.weight_bp,
            seed: seed(canary.salt.as_bytes()),
            sticky: canary.sticky.clone(),
            any,
        })
    }

    fn takes<'a>(
        &self,
        request: &Request<'a>,
        headers: impl Headers<'a>,
        draw: impl FnOnce() -> u64,
    ) -> bool {
        let holds = |all: &Vec<Condition>| {
            let mut conditions = all.iter();
            conditions.all(|condition| condition.holds(request, headers.clone()))
        };
        if self.any.iter().any(holds) {
            return true;
        }
        if self.weight_bp == 0 {
            return false;
        }
        let bucket = match self.key(headers) {
            Some(key) => bucket(self.seed, key),
            None => scale(draw()),
        };
        bucket < self.weight_bp
    }

    /// The first sticky key that the request has. An empty value identifies nobody.
    fn key<'a>(&self, headers: impl Headers<'a>) -> Option<&'a [u8]> {
        self.sticky.iter().find_map(|key| match key {
            StickyKey::Header(name) => values(headers.clone(), name).find(|key| !key.is_empty()),
            StickyKey::Cookie(name) => cookies(headers.clone(), name).find(|key| !key.is_empty()),
        })
    }
}

/// Hashes a host in one step. The keys are the controller's, so nobody can make them collide.
#[derive(Debug, Default)]
struct OneShot(u64);

impl Hasher for OneShot {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The length that slices write before their bytes.
    fn write_usize(&mut self, length: usize) {
        self.0 = length as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

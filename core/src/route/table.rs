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
    /// The routes' alternatives one after the other: every route leads to the canary.
    any: Vec<Vec<Condition>>,
}

/// Why a request goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No release is in flight.
    NoCanary,
    /// An alternative of a managed route holds: this one of all routes' alternatives, in order.
    Route(usize),
    /// No managed route holds, and the canary has no share beside them.
    NoShare,
    /// The user's place in the split.
    Sticky {
        /// Which of the sticky keys told who it is.
        key: usize,
        /// The user's bucket; the canary has those below its weight in basis points.
        bucket: u16,
        /// Whether it is below.
        is_in: bool,
    },
    /// Nothing tells who it is: a draw.
    Drawn {
        /// The bucket that was drawn.
        bucket: u16,
        /// Whether it is below the weight.
        is_in: bool,
    },
}

impl Reason {
    /// The side that it leads to.
    pub fn variant(self) -> Variant {
        let is_canary = match self {
            Reason::NoCanary | Reason::NoShare => false,
            Reason::Route(_) => true,
            Reason::Sticky { is_in, .. } | Reason::Drawn { is_in, .. } => is_in,
        };
        match is_canary {
            true => Variant::Canary,
            false => Variant::Stable,
        }
    }
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
        self.decide(request, headers, draw).variant()
    }

    /// The same with the reason.
    pub fn decide<'a>(
        &self,
        request: &Request<'a>,
        headers: impl Headers<'a>,
        draw: impl FnOnce() -> u64,
    ) -> Reason {
        match &self.canary {
            Some(canary) => canary.decide(request, headers, draw),
            None => Reason::NoCanary,
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

    fn decide<'a>(
        &self,
        request: &Request<'a>,
        headers: impl Headers<'a>,
        draw: impl FnOnce() -> u64,
    ) -> Reason {
        let holds = |all: &Vec<Condition>| {
            let mut conditions = all.iter();
            conditions.all(|condition| condition.holds(request, headers.clone()))
        };
        if let Some(alternative) = self.any.iter().position(holds) {
            return Reason::Route(alternative);
        }
        if self.weight_bp == 0 {
            return Reason::NoShare;
        }
        match self.key(headers) {
            Some((key, value)) => {
                let bucket = bucket(self.seed, value);
                let is_in = bucket < self.weight_bp;
                Reason::Sticky { key, bucket, is_in }
            }
            None => {
                let bucket = scale(draw());
                let is_in = bucket < self.weight_bp;
                Reason::Drawn { bucket, is_in }
            }
        }
    }

    /// The first sticky key that the request has. An empty value identifies nobody.
    fn key<'a>(&self, headers: impl Headers<'a>) -> Option<(usize, &'a [u8])> {
        let mut keys = self.sticky.iter().enumerate();
        keys.find_map(|(index, key)| {
            let value = match key {
                StickyKey::Header(name) => {
                    values(headers.clone(), name).find(|key| !key.is_empty())
                }
                StickyKey::Cookie(name) => {
                    cookies(headers.clone(), name).find(|key| !key.is_empty())
                }
            };
            Some((index, value?))
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

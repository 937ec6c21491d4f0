//! What the controller tells the filter: one JSON document. Both sides use these types, these
//! limits and this validation, so the filter accepts whatever the controller sends.

mod names;
mod node;
mod validate;

pub use names::dns_forms;
pub use node::Node;

use crate::field::{FieldError, FieldErrors};
use serde::{Deserialize, Serialize};

/// The version of this document; the filter takes no other.
pub const VERSION: u32 = 1;

/// Bytes of the document. An API server takes objects of about 1.5 MB, and every proxy parses it.
pub const MAX_CONFIG: usize = 1_400_000;
/// Rules: one per release in flight, so already a very large mesh.
pub const MAX_RULES: usize = 10_000;
/// Rollouts by whose versions proxies find out whose pod is theirs.
pub const MAX_PODS: usize = MAX_RULES;
/// Hosts of all rules; a Service has at most six DNS forms.
pub const MAX_HOSTS: usize = 60_000;
/// Characters of a host: the most that DNS allows.
pub const MAX_HOST: usize = 253;
/// Characters of names that Kubernetes keeps to a DNS label, of header and cookie names.
pub const MAX_NAME: usize = 63;
/// Characters of the longest label value: an object's name.
pub const MAX_LABEL: usize = 253;
/// Bytes of a salt: namespace, name and hash with their separators.
pub const MAX_SALT: usize = 512;
/// Sticky keys of a canary.
pub const MAX_STICKY: usize = 8;
/// Managed routes of a canary.
pub const MAX_ROUTES: usize = 64;
/// Alternatives of a managed route.
pub const MAX_ANY: usize = 64;
/// Conditions of an alternative.
pub const MAX_ALL: usize = 16;
/// Conditions of all rules.
pub const MAX_CONDITIONS: usize = 20_000;
/// Bytes that a value is compared with.
pub const MAX_VALUE: usize = 1_024;
/// Bytes of a regular expression.
pub const MAX_REGEX: usize = 512;
/// Regular expressions of all rules: with [`REGEX_PROGRAM`], 8 MiB of a proxy's memory at most.
pub const MAX_REGEXES: usize = 256;
/// Bytes of a compiled regular expression.
pub const REGEX_PROGRAM: usize = 32 * 1_024;
/// Bytes of the longest value that a regular expression is tried on; a longer one matches none.
/// Its cost is at worst program times value, and the client chooses the value.
pub const REGEX_SUBJECT: usize = 2_048;
/// The weight that is every request.
pub const WEIGHT_ALL: u16 = 10_000;
/// Label sets that one proxy thread counts apart; Envoy keeps the stats of each for ever.
pub const MAX_LABEL_SETS: usize = 2_048;
/// Response codes told apart of one version; the rest are counted as `other`.
pub const MAX_CODES: usize = 24;
/// Requests in flight that one proxy thread keeps account of.
pub const MAX_STREAMS: usize = 65_536;

/// What one filter instance does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FilterConfig {
    /// Always [`VERSION`].
    pub version: u32,
    /// Grows with every change; the filter shows it as `serin_config_generation`.
    pub generation: u64,
    /// Which configuration this is; the label `config` of `serin_config_generation`.
    pub name: String,
    /// Where the filter stands.
    pub role: Role,
    /// Whose proxy this is. Where it names nobody, one configuration is for many proxies, and each
    /// finds out by itself ([`FilterConfig::at`]).
    #[serde(default, skip_serializing_if = "Proxy::is_unnamed")]
    pub proxy: Proxy,
    /// The Rollouts whose pods are told apart; none where `proxy` names one, or where `rules` tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<Versions>,
    /// Whether another filter of Serin's stands before this one: the routing header of a request
    /// that no rule here is about is that filter's then, and stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_another: bool,
    /// Whether to report Istio's standard metrics too, for an Envoy that has none of its own.
    #[serde(default)]
    pub istio_metrics: bool,
    /// Role source: one rule per Rollout that callers of this proxy may reach. Role destination:
    /// none, `proxy` says all.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl FilterConfig {
    /// Reads and validates the document.
    pub fn from_json(json: &[u8]) -> Result<FilterConfig, FieldErrors> {
        check_size(json.len())?;
        let config: FilterConfig =
            serde_json::from_slice(json).map_err(|error| refusal(error.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    /// The document, checked as [`FilterConfig::from_json`] checks it: what this gives out the
    /// filter takes.
    ///
    /// # Errors
    /// Every limit that is passed.
    pub fn to_json(&self) -> Result<String, FieldErrors> {
        let json = serde_json::to_string(self).map_err(|error| refusal(error.to_string()))?;
        check_size(json.len())?;
        self.validate()?;
        Ok(json)
    }

    /// Whether this asks for nothing, of any request.
    pub fn is_idle(&self) -> bool {
        let counts_here = match self.role {
            Role::Source => !self.rules.is_empty(),
            Role::Destination => self.proxy.pod.is_some() || !self.pods.is_empty(),
        };
        !counts_here && !self.istio_metrics
    }

    /// Checks every limit; the filter takes whatever this accepts.
    pub fn validate(&self) -> Result<(), FieldErrors> {
        validate::validate(self)
    }
}

fn check_size(bytes: usize) -> Result<(), FieldErrors> {
    match bytes {
        0..=MAX_CONFIG => Ok(()),
        _ => Err(refusal(format!(
            "has {bytes} bytes, expected at most {MAX_CONFIG}"
        ))),
    }
}

fn refusal(message: String) -> FieldErrors {
    let path = "config".to_string();
    FieldErrors(vec![FieldError { path, message }])
}

/// Where a filter stands: at the caller (or gateway), or in front of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Routes and counts, at the caller or the gateway.
    Source,
    /// Counts in front of the pod.
    Destination,
}

impl Role {
    /// The value of the label `reporter`, as Istio writes it.
    pub fn reporter(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Destination => "destination",
        }
    }
}

/// Whose proxy a filter runs in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Proxy {
    /// Istio's workload name: `source_workload` or `destination_workload` of what it counts.
    pub workload: String,
    /// The namespace it runs in.
    pub namespace: String,
    /// The Rollout whose pod it serves; none at a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
}

impl Proxy {
    /// Whether the proxy is to find out by itself.
    pub fn is_unnamed(&self) -> bool {
        *self == Proxy::default()
    }
}

/// The versions of one Rollout that have pods. Thousands of them are in one object, so each says
/// what it must and nothing twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Versions {
    /// The namespace.
    pub namespace: String,
    /// The Rollout's name.
    pub rollout: String,
    /// The Service that callers name, without namespace; none if it is called as the Rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The stable template hash.
    pub stable: String,
    /// The canary's template hash, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

/// The version that a pod is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pod {
    /// The Rollout's name.
    pub rollout: String,
    /// Its template hash.
    pub revision: String,
    /// What it is now.
    pub variant: Variant,
    /// The Service that callers name, without namespace.
    pub service: String,
}

/// A side of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// The version that serves everybody else.
    Stable,
    /// The version on trial.
    Canary,
}

impl Variant {
    /// The label value and the value of the routing header.
    pub fn as_str(self) -> &'static str {
        match self {
            Variant::Stable => "stable",
            Variant::Canary => "canary",
        }
    }
}

/// The request header that says `canary`; absent means stable.
pub const VARIANT_HEADER: &str = "x-serin-variant";

/// Istio's workload name of a Rollout's pods: the canary has one of its own.
pub fn istio_workload(rollout: &str, variant: Variant) -> String {
    match variant {
        Variant::Stable => rollout.to_string(),
        Variant::Canary => format!("{rollout}-canary"),
    }
}

/// Under this name the filter leaves [`istio_workload`] of the canary that a request goes to, for
/// Istio's own metrics.
pub const DESTINATION_WORKLOAD: &str = "serin_destination_workload";
/// The same of the canary that a request comes from.
pub const SOURCE_WORKLOAD: &str = "serin_source_workload";

/// How the requests to one Rollout are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// The Rollout's name.
    pub rollout: String,
    /// Its namespace.
    pub namespace: String,
    /// The Service that callers name, without namespace.
    pub service: String,
    /// The host names that callers use, lower case, without port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The Services in its namespace that callers use, in every form that DNS has of them
    /// ([`dns_forms`]); a name alone is for callers in that namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The stable template hash.
    pub stable: String,
    /// The canary's template hash while a release is in flight; without it all goes to stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// What of a Rollout's requests goes to the canary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Canary {
    /// Its template hash.
    pub revision: String,
    /// Its share in basis points (hundredths of a percent), 0 to 10,000.
    pub weight_bp: u16,
    /// What makes the sticky buckets of this release differ from another's.
    pub salt: String,
    /// What identifies a user, first present first; none present: a random draw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sticky: Vec<StickyKey>,
    /// Matches that go to the canary whatever the weight, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<HeaderRoute>,
}

/// Where a user's identity is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StickyKey {
    /// The value of a request header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
}

/// A managed route: the requests that match any of `any` go to the canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderRoute {
    /// The managed route's name.
    pub name: String,
    /// The alternatives.
    pub any: Vec<AllOf>,
}

/// Conditions that must hold together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AllOf {
    /// The conditions.
    pub all: Vec<Match>,
}

/// One condition on a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Match {
    /// What of the request is looked at.
    pub on: Subject,
    /// What it must be.
    pub is: Test,
    /// Whether the test must fail instead. An absent subject fails every test.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A header by its lower-case name.
    Header(String),
    /// A cookie by its name.
    Cookie(String),
    /// The path without query.
    Path,
    /// The method, upper case.
    Method,
    /// A query parameter by its name, percent-decoded.
    Query(String),
}

/// What a part of a request must be. Values are bytes; a regular expression must match all of
/// the value and matches no value that is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    /// Equal to this.
    Exact(String),
    /// Starts with this.
    Prefix(String),
    /// Ends with this.
    Suffix(String),
    /// Matched whole by this (RE2's syntax as `regex-lite` knows it).
    Regex(String),
    /// There at all.
    Present,
}

#[cfg(test)]
mod tests;

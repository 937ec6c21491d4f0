//! A DestinationRule whose subsets are the versions.

use serde_json::{Value, json};
use serin_core::plan::DestinationRuleRef;
use serin_core::revision::HASH_LABEL;

use super::Refusal;
use crate::cluster::services::MANAGED_BY;

/// The DestinationRule as it is to be: its two subsets have these template hashes. An empty hash
/// leaves a subset as it is.
///
/// # Errors
/// If a subset is missing, or another Rollout writes to it.
pub fn destination_rule(
    object: &Value,
    rule: &DestinationRuleRef,
    rollout: &str,
    stable: &str,
    canary: &str,
) -> Result<Value, Refusal> {
    let managed = object["metadata"]["annotations"][MANAGED_BY].as_str();
    if let Some(other) = managed.filter(|other| *other != rollout) {
        return Err(Refusal::OfAnother {
            rule: rule.name.clone(),
            other: other.to_string(),
        });
    }
    let mut after = object.clone();
    for (name, hash) in [(&rule.stable_subset, stable), (&rule.canary_subset, canary)] {
        let subset = subset_of(&mut after, name).ok_or_else(|| Refusal::NoSubset {
            rule: rule.name.clone(),
            subset: name.clone(),
            accepted: "a subset for each version".to_string(),
        })?;
        if !hash.is_empty() {
            subset["labels"][HASH_LABEL] = json!(hash);
        }
    }
    if !stable.is_empty() || !canary.is_empty() {
        after["metadata"]["annotations"][MANAGED_BY] = json!(rollout);
    }
    Ok(after)
}

fn subset_of<'v>(object: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let subsets = object.pointer_mut("/spec/subsets")?.as_array_mut()?;
    subsets.iter_mut().find(|subset| subset["name"] == *name)
}

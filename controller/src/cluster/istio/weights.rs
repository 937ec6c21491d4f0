//! The weights of a route.

use serde_json::Value;
use serin_core::wire::{Variant, WEIGHT_ALL};

use super::Split;
use super::place::Place;
use super::refusal::Cause;

/// Gives the canary its weight, and stable what is left of everything. What other destinations
/// send is theirs: stable gets the less, so that the canary's share is what it is to be.
pub(super) fn set(object: &mut Value, place: Place, split: &Split<'_>) -> Result<(), Cause> {
    for variant in [Variant::Canary, Variant::Stable] {
        entry(object, place, split, variant)?;
    }
    let entries = place.destinations_mut(object);
    let others = entries.iter().filter(|entry| role(entry, split).is_none());
    let others: u64 = others.map(weight).sum();
    let canary = split.canary();
    // Istio takes no weight below 0.
    let left = u64::from(split.max_weight).saturating_sub(canary + others);
    for entry in entries {
        let wanted = match role(entry, split) {
            Some(Variant::Canary) => canary,
            Some(Variant::Stable) => left,
            None => continue,
        };
        // Absent is 0 beside another destination, so it may stay absent.
        if weight(entry) != wanted {
            entry["weight"] = wanted.into();
        }
    }
    Ok(())
}

/// The one entry whose destination is this version. With several, each would need a part of the weight,
/// and nobody says which.
pub(super) fn entry<'o>(
    object: &'o Value,
    place: Place,
    split: &Split<'_>,
    variant: Variant,
) -> Result<&'o Value, Cause> {
    let entries = place.destinations(object).iter();
    let found: Vec<&Value> = entries
        .filter(|entry| role(entry, split) == Some(variant))
        .collect();
    match found[..] {
        [entry] => Ok(entry),
        _ => Err(Cause::NotOneDestination {
            place,
            count: found.len(),
            sought: sought(split, variant),
        }),
    }
}

/// The canary's share of what a route sends, in basis points.
pub(super) fn share(object: &Value, place: Place, split: &Split<'_>) -> Option<u16> {
    let entries = place.destinations(object);
    let is_canary = |entry: &&Value| role(entry, split) == Some(Variant::Canary);
    let canary: u64 = entries.iter().filter(is_canary).map(weight).sum();
    let all: u64 = entries.iter().map(weight).sum();
    let share = (canary * u64::from(WEIGHT_ALL)).checked_div(all)?;
    u16::try_from(share).ok()
}

/// Which version a destination is; none: somebody else's. With a DestinationRule the subset tells,
/// for the host is the same; otherwise the Service's name, which a host in full begins with.
fn role(entry: &Value, split: &Split<'_>) -> Option<Variant> {
    let destination = &entry["destination"];
    let (name, [canary, stable]) = match split.rule {
        Some(rule) => (
            destination["subset"].as_str()?,
            [Some(&*rule.canary_subset), Some(&*rule.stable_subset)],
        ),
        None => (
            destination["host"].as_str()?.split('.').next()?,
            [split.canary_service, split.stable_service],
        ),
    };
    match Some(name) {
        name if name == canary => Some(Variant::Canary),
        name if name == stable => Some(Variant::Stable),
        _ => None,
    }
}

fn sought(split: &Split<'_>, variant: Variant) -> String {
    let (subset, service) = match variant {
        Variant::Canary => (
            split.rule.map(|rule| &rule.canary_subset),
            split.canary_service,
        ),
        Variant::Stable => (
            split.rule.map(|rule| &rule.stable_subset),
            split.stable_service,
        ),
    };
    match (subset, service) {
        (Some(subset), _) => format!("subset {subset:?}"),
        (None, Some(service)) => format!("host {service:?}"),
        (None, None) => format!(
            "the host of {}Service, which the Rollout does not name",
            variant.as_str()
        ),
    }
}

/// A destination's weight; what was written with a decimal point is read so too.
fn weight(entry: &Value) -> u64 {
    let weight = &entry["weight"];
    let weight = weight.as_u64().or_else(|| Some(weight.as_f64()? as u64));
    // Istio's weights are 32 bits wide, so sums of them fit.
    weight.unwrap_or(0).min(u64::from(u32::MAX))
}

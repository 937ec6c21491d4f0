//! What the router `istio` writes: the user's objects and the wanted traffic in, the objects as they
//! are to be out. Only what belongs to a Rollout changes: weights, managed routes, and the template
//! hashes of subsets.

mod destinations;
mod managed;
mod rule;
mod select;

use serde_json::Value;
use serin_core::plan::{DestinationRuleRef, VirtualServiceRef};
use serin_core::step::Traffic;

pub use rule::destination_rule;

use destinations::Versions;

/// What the objects are to say.
#[derive(Clone, Copy, Debug)]
pub struct Split<'a> {
    /// The Service that leads to the stable version, as routes name it.
    pub stable_service: Option<&'a str>,
    /// The Service that leads to the canary.
    pub canary_service: Option<&'a str>,
    /// The subsets, where they are the versions.
    pub rule: Option<&'a DestinationRuleRef>,
    /// Names of managed routes in their order.
    pub managed_routes: &'a [String],
    /// What a weight of everything is called.
    pub max_weight: u32,
    /// Who gets which requests.
    pub traffic: &'a Traffic,
}

/// Why an object cannot say what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to write weights to.
    #[error("VirtualService {service:?} has no {what}, expected {accepted}")]
    NoRoute {
        /// The VirtualService.
        service: String,
        /// What was looked for.
        what: String,
        /// What would do.
        accepted: String,
    },
    /// A route does not lead to a version.
    #[error(
        "VirtualService {service:?} has {route} without a destination of the {version} version, \
         expected {accepted}"
    )]
    NoDestination {
        /// The VirtualService.
        service: String,
        /// The route.
        route: String,
        /// stable or canary.
        version: &'static str,
        /// What would do.
        accepted: String,
    },
    /// The DestinationRule lacks a subset.
    #[error(
        "DestinationRule {rule:?} has no subset {subset:?} in spec.subsets, expected {accepted}"
    )]
    NoSubset {
        /// The DestinationRule.
        rule: String,
        /// The subset.
        subset: String,
        /// Those that it has.
        accepted: String,
    },
    /// Another Rollout writes to it.
    #[error("DestinationRule {rule:?} is managed by Rollout {other:?}, expected one of its own")]
    OfAnother {
        /// The DestinationRule.
        rule: String,
        /// The other Rollout.
        other: String,
    },
}

/// The VirtualService as it is to be; equal to `object` where nothing is to change.
///
/// # Errors
/// If a route is missing, or does not lead to both versions.
pub fn virtual_service(
    object: &Value,
    reference: &VirtualServiceRef,
    split: &Split<'_>,
) -> Result<Value, Refusal> {
    let versions = Versions::of(split);
    let mut after = object.clone();
    managed::remove(&mut after, split.managed_routes);
    for at in select::routes(&after, reference)? {
        let route = &mut after["spec"][at.protocol][at.index];
        versions.weigh(route, &reference.name, &at)?;
    }
    managed::add(&mut after, reference, split, &versions);
    Ok(after)
}

/// The canary's weight in basis points that a VirtualService sends now: the largest of its routes.
pub fn canary_weight(
    object: &Value,
    reference: &VirtualServiceRef,
    split: &Split<'_>,
) -> Option<u16> {
    let versions = Versions::of(split);
    let mut without = object.clone();
    managed::remove(&mut without, split.managed_routes);
    let routes = select::routes(&without, reference).ok()?;
    let weights = routes
        .iter()
        .filter_map(|at| versions.weight(&without["spec"][at.protocol][at.index]));
    let weight = weights.max()? * 10_000 / u64::from(split.max_weight.max(1));
    u16::try_from(weight.min(10_000)).ok()
}

/// What makes one object of the other, refused by the API server if the object is another by then;
/// none if they are the same.
pub fn patch(before: &Value, after: &Value) -> Option<json_patch::Patch> {
    let mut patch = json_patch::diff(before, after);
    if patch.0.is_empty() {
        return None;
    }
    let version = json_patch::TestOperation {
        path: json_patch::jsonptr::PointerBuf::from_tokens(["metadata", "resourceVersion"]),
        value: before["metadata"]["resourceVersion"].clone(),
    };
    patch.0.insert(0, json_patch::PatchOperation::Test(version));
    Some(patch)
}

#[cfg(test)]
mod tests;

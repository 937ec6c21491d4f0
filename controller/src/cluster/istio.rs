//! What the router `istio` writes: the user's objects and the wanted traffic in, the objects as they
//! are to be out. What is not Serin's stays as it is, known or unknown.

mod managed;
mod place;
mod refusal;
mod rule;
mod select;
mod weights;

pub use refusal::{Cause, Refusal};
pub use rule::{destination_rule, given_back};

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch, PatchOperation, TestOperation};
use serde_json::Value;
use serin_core::plan::{DestinationRuleRef, MirrorRoute, VirtualServiceRef};
use serin_core::step::Traffic;
use serin_core::wire::WEIGHT_ALL;

/// What a VirtualService is to say.
#[derive(Clone, Copy, Debug)]
pub struct Split<'a> {
    /// The Service that is stable's, as it is routed to.
    pub stable_service: Option<&'a str>,
    /// The canary's.
    pub canary_service: Option<&'a str>,
    /// Where the versions are subsets: what they are called.
    pub rule: Option<&'a DestinationRuleRef>,
    /// The Rollout's namespace, which is the VirtualService's where its reference names none.
    pub namespace: &'a str,
    /// The names of managed routes in their order; those of `traffic` are among them.
    pub managed_routes: &'a [String],
    /// What a weight of everything is called.
    pub max_weight: u32,
    /// Who is to get which requests; without a canary there are neither its weight nor its routes.
    pub traffic: &'a Traffic,
}

/// The VirtualService as it is to be; equal to `object` where nothing is to change.
///
/// # Errors
/// Where a route or a destination that the Rollout means is missing or ambiguous.
pub fn virtual_service(
    object: &Value,
    reference: &VirtualServiceRef,
    split: &Split<'_>,
) -> Result<Value, Refusal> {
    written(object, reference, split).map_err(|cause| {
        let namespace = reference.namespace.as_deref().unwrap_or(split.namespace);
        Refusal {
            object: format!("VirtualService {namespace}/{}", reference.name),
            cause,
        }
    })
}

fn written(
    object: &Value,
    reference: &VirtualServiceRef,
    split: &Split<'_>,
) -> Result<Value, Cause> {
    let places = select::routes(object, reference, split.managed_routes)?;
    let mut after = object.clone();
    for place in &places {
        weights::set(&mut after, *place, split)?;
    }
    managed::set(&mut after, &places, split)?;
    Ok(after)
}

/// The controller's own VirtualService with the mirrors that are in force, each directly before the
/// route of this name, whose requests they copy to the canary Service.
pub fn mirrored(
    own: &Value,
    before: &str,
    managed_routes: &[String],
    mirrors: &[MirrorRoute],
    canary: &str,
) -> Value {
    let mut after = own.clone();
    let Some(routes) = after["spec"]["http"].as_array_mut() else {
        return after;
    };
    let Some(at) = routes.iter().position(|route| route["name"] == *before) else {
        return after;
    };
    let user = routes[at].clone();
    let canary = serde_json::json!({"destination": {"host": canary}});
    let in_force = managed_routes
        .iter()
        .filter_map(|name| mirrors.iter().find(|mirror| mirror.name == *name));
    let wanted = in_force.map(|mirror| managed::mirror_route(mirror, &user, &canary));
    routes.splice(at..at, wanted.collect::<Vec<_>>());
    after
}

/// The canary's share in basis points that the object sends now, the largest of its routes; none
/// where it cannot be told.
pub fn canary_weight(
    object: &Value,
    reference: &VirtualServiceRef,
    split: &Split<'_>,
) -> Option<u16> {
    let places = select::routes(object, reference, split.managed_routes).ok()?;
    let shares = places
        .iter()
        .map(|place| weights::share(object, *place, split));
    shares.flatten().max()
}

/// What makes `after` of `before`, and of no other version of it; none if they are equal.
pub fn patch(before: &Value, after: &Value) -> Option<Patch> {
    let Patch(changes) = json_patch::diff(before, after);
    if changes.is_empty() {
        return None;
    }
    // A change counts the items of lists, so it fits the object that was read only. Without a
    // version in it, as no API server answers, the test fails.
    let unchanged = PatchOperation::Test(TestOperation {
        path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
        value: before["metadata"]["resourceVersion"].clone(),
    });
    Some(Patch([vec![unchanged], changes].concat()))
}

impl Split<'_> {
    /// The canary's weight as the object says it. Rounded, since a third in basis points is a
    /// little less than a third.
    fn canary(&self) -> u64 {
        let weight_bp = self.traffic.canary.as_ref();
        let weight_bp = weight_bp.map_or(0, |canary| canary.weight_bp);
        let all = u64::from(WEIGHT_ALL);
        (u64::from(weight_bp) * u64::from(self.max_weight) + all / 2) / all
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

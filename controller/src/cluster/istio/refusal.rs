//! Why an object is left as it is.

use serde_json::Value;

use super::place::{Kind, Place};
use crate::cluster::services::MANAGED_BY;

/// An object that is not as the Rollout says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {cause}")]
pub struct Refusal {
    /// Its kind, namespace and name.
    pub object: String,
    /// What is wrong with it.
    pub cause: Cause,
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// There is nothing to write to.
    #[error("spec has no routes, expected http, tls or tcp")]
    NoRoutes,
    /// A managed route needs a route whose requests it takes.
    #[error("spec.http has no routes, expected one beside managed route {route:?}")]
    NoHttpRoutes {
        /// The managed route's name.
        route: String,
    },
    /// A route that the Rollout names is not there.
    #[error("spec.http has routes {found:?}, expected {route:?} among them")]
    NoSuchRoute {
        /// The name.
        route: String,
        /// The names that there are.
        found: Vec<String>,
    },
    /// A route cannot be the user's and managed.
    #[error(
        "spec.http has route {route:?}, which managedRoutes names too, expected it in routes only \
         (managed routes are removed)"
    )]
    RouteIsManaged {
        /// The name.
        route: String,
    },
    /// No route is named, and there is not just one.
    #[error(
        "{kind} has {count} routes that are not managed, expected one, or those meant in {names}"
    )]
    NotOneRoute {
        /// The list.
        kind: Kind,
        /// How many there are.
        count: usize,
        /// The field of the Rollout that names routes of the kind.
        names: &'static str,
    },
    /// No route matches so.
    #[error("{kind} has no route whose matches have {sought}, expected one")]
    NoRouteMatches {
        /// The list.
        kind: Kind,
        /// Port and hosts.
        sought: String,
    },
    /// A version is not among the destinations, or is so several times.
    #[error("{place} has {count} destinations with {sought}, expected one")]
    NotOneDestination {
        /// The route.
        place: Place,
        /// How many there are.
        count: usize,
        /// What names the version.
        sought: String,
    },
    /// A header route asks for what a VirtualService cannot say.
    #[error(
        "managed route {route:?} has a condition that is not possible with router istio, expected \
         headers, each once, with exact, prefix or regex"
    )]
    NoSuchMatch {
        /// The managed route's name.
        route: String,
    },
    /// A version's subset is not there.
    #[error("spec.subsets has {found:?}, expected {subset:?} among them")]
    NoSubset {
        /// Its name.
        subset: String,
        /// The names that there are.
        found: Vec<String>,
    },
    /// The DestinationRule is another Rollout's.
    #[error(
        "metadata.annotations[{MANAGED_BY:?}] is {owner:?}, expected {rollout:?} (another Rollout \
         manages it; if that one is gone, remove the annotation)"
    )]
    Managed {
        /// Whose it is.
        owner: String,
        /// Who asks for it.
        rollout: String,
    },
}

/// The names of what is in a list; of what has none, an empty one.
pub(super) fn names_in(list: &[Value]) -> Vec<String> {
    let name = |item: &Value| item["name"].as_str().unwrap_or_default().to_string();
    list.iter().map(name).collect()
}

//! The hard trip: a canary that fails most of its requests, which needs no statistics.

use super::count::Pair;
use super::recent::Recent;

/// So many requests are enough to see it.
const ENOUGH: u64 = 20;
/// So many failures without one success are enough too: few requests reach a small canary.
const ALL_BAD: u64 = 8;
/// The canary's share from which it trips.
const CANARY: f64 = 0.5;
/// Stable's share below which the canary is to blame.
const STABLE: f64 = 0.1;

/// What trips it, of the last one to four ticks.
pub(super) fn tripped(recent: &Recent) -> Option<Pair> {
    recent.runs().find(|counted| {
        let Pair { canary, stable } = counted;
        let enough =
            canary.requests >= ENOUGH || (canary.bad >= ALL_BAD && canary.bad == canary.requests);
        enough && canary.share() >= CANARY && stable.share() < STABLE
    })
}

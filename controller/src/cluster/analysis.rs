//! AnalysisRuns as objects, and the loop that measures them. Who wants a run makes the object; the
//! loop asks the providers and writes what came of it; the Rollout's next pass reads the verdict.

mod earlier;
mod job;
mod life;
mod measuring;
mod object;
mod referred;
mod secrets;
mod status;
mod store;
mod templates;
mod ttl;

pub use measuring::run;

pub(super) use object::{Making, blind, object, seen, surplus};
pub(super) use referred::{Said, Unfit, ahead, look_at, templates};

use kube::Client;

use super::metrics::Metrics;
use crate::provider::Asking;

/// What every measurement has at hand.
struct Context {
    client: Client,
    asking: Asking,
    metrics: Metrics,
}

//! AnalysisRuns as objects, and the loop that measures them. Who wants a run makes the object; the
//! loop asks the providers and writes what came of it; the Rollout's next pass reads the verdict.

mod measuring;
mod object;
mod status;
mod templates;

pub use measuring::run;

pub(super) use object::{Making, object, seen, surplus};
pub(super) use templates::Templates;

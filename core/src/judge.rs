//! The sequential judge: what canary and stable answered since the last tick in, a verdict out that
//! may be asked for as often as one likes. All of it is a [`State`] of a few numbers and one pure
//! function, [`State::take`].
//!
//! The test is the conditional rate-ratio e-process of Lindon and Malek ("Anytime-Valid Inference for
//! Multinomial Count Data", NeurIPS 2022): of all errors of a tick, which share is the canary's.
//! What both versions suffer from cancels out, and by Ville's inequality a healthy canary is blamed
//! with probability alpha at most, however often it is looked at.

pub mod absolute;
pub mod baseline;
pub mod burn;
mod burst;
pub mod calibrate;
pub mod count;
pub mod evidence;
pub mod flagger;
pub mod forecast;
pub mod latency;
pub mod parameters;
pub mod recent;
pub mod state;
pub mod threshold;
pub mod trip;
pub mod verdict;

pub use calibrate::Dispersion;
pub use count::{Boundary, Count, Pair, Tick};
pub use evidence::Evidence;
pub use parameters::{LatencyParameters, OnInconclusive, Parameters, Promotion};
pub use state::State;
pub use verdict::{Reason, Verdict};

#[cfg(test)]
mod tests;

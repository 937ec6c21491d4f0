//! The decisions of Serin, without I/O: what a request reaches, what a release does next, what a
//! measurement means. In come plain values and the time; out come decisions that carry their
//! reason. The controller, the filter and the page all run this code, so they cannot disagree.

#[cfg(feature = "analysis")]
pub mod analysis;
pub mod field;
#[cfg(feature = "analysis")]
pub mod judge;
pub mod metric;
pub mod plan;
pub mod restart;
pub mod revision;
pub mod route;
pub mod step;
pub mod time;
pub mod verb;
pub mod wire;
pub mod workload;

//! Local mode: in comes a directory of manifests, out come releases on this machine, with a real
//! Envoy, the real filter and a real Prometheus.

pub mod desk;
mod options;
pub mod socket;
pub mod traffic;

pub use desk::Desk;
pub use options::{DEFAULT_GATEWAY, DEFAULT_STATE, Options};

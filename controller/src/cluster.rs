//! The controller in a cluster: Rollouts and what belongs to them in, the world that `core` decides
//! out. Each pass over a Rollout observes, decides, stores and acts, in that order; read
//! `reconcile` first.

pub mod analysis;
pub mod istio;
pub mod lease;
pub mod metrics;
pub mod serve;

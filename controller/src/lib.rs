//! The controller.

pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod draw;
pub mod ecds;
pub mod http;
pub mod kubernetes;
pub mod local;
pub mod manifest;
pub mod provider;
pub mod reconcile;
pub mod runs;
pub mod server;
pub mod traffic_report;
pub mod view;

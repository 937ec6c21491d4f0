//! The controller.

pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod draw;
pub mod ecds;
pub mod explain;
pub mod http;
pub mod kubernetes;
pub mod lint;
pub mod local;
pub mod manifest;
mod measure;
pub mod mesh;
pub mod provider;
pub mod reconcile;
pub mod record;
pub mod recording;
pub mod replay;
pub mod runs;
mod secrets;
pub mod server;
pub mod traffic_report;
pub mod view;

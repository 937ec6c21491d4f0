//! The demo's acts on the tests' cluster: a real API server, a real istiod, a caller's Envoy that it
//! configures, a real Prometheus, and `serin controller` with the account that is shipped. Out go
//! lines for a person and whether everything was as promised.

mod manifests;
mod stage;
mod story;

use serin_tests::cluster::Cluster;
use serin_tests::local::runtime;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cluster::run(|cluster| match runtime().block_on(story::tell(cluster)) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

//! Everything that needs a cluster: one for all tests of this binary, started by the first that
//! runs, in a network of its own. Each test has a Kubernetes namespace of its own.

use libtest_mimic::Arguments;
use serin_tests::cluster::network;
use std::process::ExitCode;

mod account;
mod agent;
mod analysis;
mod api_definitions;
mod harness;
mod mesh;
mod release;
mod shop;
mod tags;
mod trial;

/// How many tests run at once where `--test-threads` does not say it: they wait for the cluster
/// most of the time.
const THREADS: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    // Those that run alone run in this order: the longest outage comes last.
    let trials = [
        harness::control_plane::trials(),
        harness::pods::trials(),
        harness::traffic::trials(),
        agent::trials(),
        analysis::all(),
        api_definitions::trials(),
        mesh::trials(),
        release::trials(),
        tags::trials(),
    ];
    let mut trials: Vec<_> = trials.into_iter().flatten().collect();
    if trial::all_run(&arguments) {
        trials.extend(account::trials());
    }
    if trial::any_runs(&trials, &arguments) {
        network::enter();
    }
    let failed = trial::run(arguments, trials);
    trial::end(failed);
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

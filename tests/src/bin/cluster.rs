//! The tests' cluster for a developer: in goes a command or none, which is a shell; it runs in the
//! cluster's network, and when it ends the cluster does.

use serin_tests::cluster::{Cluster, network};
use std::env;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    Cluster::run(run)
}

fn run(cluster: &Cluster) -> ExitCode {
    let kubeconfig = cluster.kubeconfig();
    println!("KUBECONFIG={}", kubeconfig.display());
    println!("from another terminal: {}", network::entrance());

    let mut words = env::args_os().skip(1);
    let shell = || env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let program = words.next().unwrap_or_else(shell);
    let status = Command::new(&program)
        .args(words)
        .env("KUBECONFIG", kubeconfig)
        .env("PATH", cluster.path())
        // Tests that are run from it are not in their own network yet.
        .env_remove(network::INSIDE)
        .status();
    match status {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("{} does not run: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}

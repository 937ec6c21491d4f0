//! The command line: arguments come in, an exit code goes out. Each command has a file of its own.

mod controller;
mod crd;
mod explain;
mod get;
mod lint;
mod list;
mod local;
mod record;
mod render;
mod replay;
mod restart;
mod screen;
mod set;
mod status;
mod terminate;
mod verb;
mod watch;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serin_core::time::{DURATION_ACCEPTED, parse_duration};

use crate::kubernetes::config;
use crate::local::guard;
use crate::server::{Asked, Server};

/// Canary releases for Istio and Envoy, decided in the data plane.
#[derive(Debug, Parser)]
#[command(name = "serin", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the Rollouts of a directory on this machine, with a real Envoy and a real Prometheus
    Local(local::Local),
    /// Look after a cluster's Rollouts, in the place of Argo Rollouts' controller
    Controller(controller::Controller),
    /// Show a Rollout: its steps, its revisions, their pods and analysis runs
    Get(get::Get),
    /// List Rollouts
    List(list::List),
    /// Wait until a Rollout is Healthy or Degraded, and say which
    Status(status::Status),
    /// End a pause, or skip the step under way
    Promote(verb::Promote),
    /// Take a release back
    Abort(verb::Abort),
    /// Start an aborted release again from its first step
    Retry(verb::Retry),
    /// Hold a release where it is until promoted
    Pause(verb::Pause),
    /// Ask for an older revision's template again
    Undo(verb::Undo),
    /// Replace all pods, a few at a time
    Restart(restart::Restart),
    /// Change fields of a Rollout
    Set(set::Set),
    /// End an analysis run as it stands
    Terminate(terminate::Terminate),
    /// Say where a request goes at each step of a release, and why
    Explain(explain::Explain),
    /// Find in manifests what the API server cannot: queries that mix the versions, and what the filter
    /// lacks
    Lint(lint::Lint),
    /// Write the counters of a release while it runs, for `serin replay`
    Record(record::Record),
    /// Say what each judge would have said of a recorded release, tick by tick
    Replay(replay::Replay),
    /// Print the objects by which a mesh gets the filter, for kubectl apply
    Render(render::Render),
    /// Print the CustomResourceDefinitions, for kubectl apply
    Crd,
    /// Ends what local mode leaves behind
    #[command(hide = true)]
    Guard(guard::Args),
}

/// The server that a command speaks to: a local mode or a cluster.
#[derive(Args, Clone, Debug)]
struct Where {
    /// The state directory of the `serin local` to speak to [env: SERIN_STATE]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    state: Option<PathBuf>,
    /// The kubeconfig of the cluster to speak to [default: KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context [default: the one in use]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The namespace [default: the context's, in local mode `default`]
    #[arg(short, long)]
    namespace: Option<String>,
}

impl Where {
    /// The server and the namespace that are meant.
    async fn find(&self) -> anyhow::Result<(Server, String)> {
        self.find_for(false).await
    }

    async fn find_for(&self, all_namespaces: bool) -> anyhow::Result<(Server, String)> {
        let asked = Asked {
            state: self.state.clone(),
            cluster: config::Asked {
                kubeconfig: self.kubeconfig.clone(),
                context: self.context.clone(),
            },
            all_namespaces,
        };
        let server = Server::find(&asked).await?;
        let namespace = self.namespace.as_deref().unwrap_or(server.namespace());
        let namespace = namespace.to_string();
        Ok((server, namespace))
    }
}

/// A duration as an option has it.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("expected {DURATION_ACCEPTED}"))
}

/// A Rollout by its name, with or without the kind before it, as `kubectl argo rollouts` takes it.
#[derive(Args, Clone, Debug)]
struct Target {
    /// The Rollout's name; `rollout NAME` and `ro NAME` mean the same
    #[arg(required = true, num_args = 1..=2, value_name = "NAME")]
    target: Vec<String>,
}

impl Target {
    fn name(&self) -> anyhow::Result<&str> {
        match self.target.as_slice() {
            [name] => Ok(name),
            [kind, name] if ["rollout", "rollouts", "ro"].contains(&kind.as_str()) => Ok(name),
            [kind, ..] => anyhow::bail!("kind {kind:?} is unknown, expected rollout"),
            [] => anyhow::bail!("no name is given, expected a Rollout's name"),
        }
    }
}

/// Runs a command. An error is printed once, with all that led to it.
pub async fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Local(command) => command.run().await,
        Command::Controller(command) => command.run().await,
        Command::Get(command) => command.run().await,
        Command::List(command) => command.run().await,
        Command::Status(command) => command.run().await,
        Command::Promote(command) => command.run().await,
        Command::Abort(command) => command.run().await,
        Command::Retry(command) => command.run().await,
        Command::Pause(command) => command.run().await,
        Command::Undo(command) => command.run().await,
        Command::Restart(command) => command.run().await,
        Command::Set(command) => command.run().await,
        Command::Terminate(command) => command.run().await,
        Command::Explain(command) => command.run().await,
        Command::Lint(command) => command.run().await,
        Command::Record(command) => command.run().await,
        Command::Replay(command) => command.run().await,
        Command::Render(command) => command.run().await,
        Command::Crd => crd::run(),
        Command::Guard(args) => guard::run(args).await.map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        // Whoever reads the output has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serin: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;

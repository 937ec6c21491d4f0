//! `serin local`: releases on this machine, with a line for every change.

mod screen;
mod stop;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use super::screen::paint;
use crate::draw::{self, Paint};
use crate::local::traffic::Traffic;
use crate::local::{self, DEFAULT_GATEWAY, DEFAULT_STATE, Desk, Options};
use screen::Screen;
use stop::Starter;

/// `serin local`
#[derive(Args, Debug)]
pub(super) struct Local {
    /// The directory with the manifests (*.yaml, *.yml); editing them starts releases
    dir: PathBuf,
    /// Where state, logs and Prometheus' data are kept
    #[arg(long, env = "SERIN_STATE", default_value = DEFAULT_STATE)]
    state: PathBuf,
    /// Where callers reach the Rollouts, by the name of their Service; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value_t = DEFAULT_GATEWAY)]
    gateway: SocketAddr,
    /// The Envoy binary [default: .tools/bin/envoy, then the PATH]
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// The Prometheus binary [default: .tools/bin/prometheus, then the PATH]
    #[arg(long, value_name = "PATH")]
    prometheus: Option<PathBuf>,
    /// A filter module in place of the one that serin brings
    #[arg(long, value_name = "PATH")]
    filter: Option<PathBuf>,
    /// Send this many requests a second, of 1,000 users, and show what they meet
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    traffic: Option<u32>,
    /// The Rollout that gets them [default: the first]
    #[arg(long, value_name = "NAME", requires = "traffic")]
    traffic_to: Option<String>,
    /// Ask the Prometheus that a template names instead of the local one
    #[arg(long)]
    keep_prometheus_addresses: bool,
    /// A file of Secrets (YAML, kind Secret) for analyses; only its owner may read it (mode 600)
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Stop when standard input, a pipe, ends too: with the program that started this
    #[arg(long)]
    stop_with_stdin: bool,
}

impl Local {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let screen = Screen::new();
        log_to(&screen);
        let starter = match self.stop_with_stdin {
            true => Some(starter().context("read standard input, expected a pipe")?),
            false => None,
        };
        let local = local::open(Options {
            envoy: self.envoy,
            gateway: self.gateway,
            keep_prometheus_addresses: self.keep_prometheus_addresses,
            module: self.filter,
            prometheus: self.prometheus,
            secrets: self.secrets,
            state: self.state,
            traffic: self.traffic,
            traffic_to: self.traffic_to,
            ..Options::new(self.dir)
        })
        .await?;
        let shown = Shown {
            desk: local.desk(),
            traffic: local.traffic(),
            paint: paint(false),
            screen: screen.clone(),
        };
        let asked = local::asked_to_stop()?;
        let stop = async {
            match starter {
                None => asked.await,
                Some(starter) => tokio::select! {
                    () = asked => {}
                    () = starter.gone() => {}
                },
            }
        };
        let ended = tokio::select! {
            ended = local.run(stop) => ended,
            shown = shown.show() => shown,
        };
        if screen.changes() {
            screen.status("")?;
        }
        ended.map(|()| ExitCode::SUCCESS)
    }
}

fn starter() -> std::io::Result<Starter> {
    Starter::at(std::io::stdin().as_fd().try_clone_to_owned()?)
}

/// Log lines for a person; RUST_LOG chooses others.
fn log_to(screen: &Screen) {
    let screen = screen.clone();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = paint(false) == Paint::COLOUR;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_target(false)
        .with_writer(move || screen.clone())
        .init();
}

/// What is shown while local mode runs.
struct Shown {
    desk: Desk,
    traffic: Option<Traffic>,
    paint: Paint,
    screen: Screen,
}

impl Shown {
    /// Shows changes and traffic; ends only with an error.
    async fn show(mut self) -> anyhow::Result<()> {
        // Often enough to look alive in a terminal; in a pipe each look is a line.
        const IN_A_TERMINAL: Duration = Duration::from_millis(500);
        const IN_A_PIPE: Duration = Duration::from_secs(5);
        let every = match self.screen.changes() {
            true => IN_A_TERMINAL,
            false => IN_A_PIPE,
        };
        let mut said = BTreeMap::new();
        let mut looks = tokio::time::interval_at(Instant::now() + every, every);
        loop {
            tokio::select! {
                () = self.desk.changed() => {}
                _ = looks.tick() => self.show_traffic()?,
            }
            for view in self.desk.views() {
                let line = draw::change(&view, self.paint);
                let key = (view.namespace, view.name);
                if said.get(&key) != Some(&line) {
                    self.screen.line(&line)?;
                    said.insert(key, line);
                }
            }
        }
    }

    fn show_traffic(&self) -> anyhow::Result<()> {
        let Some(traffic) = &self.traffic else {
            return Ok(());
        };
        let text = draw::traffic(&traffic.report(), &self.desk.views(), self.paint);
        match self.screen.changes() {
            true => self.screen.status(&text)?,
            false => self.screen.line(&text)?,
        }
        Ok(())
    }
}

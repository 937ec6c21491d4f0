//! `serin record`: the counters of a release as it runs, to be judged again.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{Target, Where, duration};
use crate::provider::{Asking, Environment, Tokens, prometheus};
use crate::record::{RecordError, Recording};
use crate::server::Server;

/// `serin record`
#[derive(Args, Debug)]
pub(super) struct Record {
    /// The Rollout's name, if there are several
    #[arg(num_args = 0..=2, value_name = "NAME")]
    target: Vec<String>,
    #[command(flatten)]
    place: Where,
    /// The Prometheus that scrapes the proxies [default: in local mode its own]
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// The time from one line to the next
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    interval: Duration,
    /// Stop after this time; without it, when the release ends
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Record {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (server, namespace) = self.place.find().await?;
        let recording = Recording {
            name: self.name(&server, &namespace).await?,
            asking: Asking {
                http: prometheus::client().context("set up an HTTP client")?,
                prometheus: Some(self.prometheus_of(&server).await?),
                instead: true,
                tokens: Tokens::default(),
                aws: Environment::default(),
            },
            server,
            namespace,
            interval: self.interval,
        };
        tokio::select! {
            done = self.record(&recording) => done?,
            () = enough(self.length) => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn record(&self, recording: &Recording) -> anyhow::Result<()> {
        let tell = |told: &str| eprintln!("{told}");
        let release = recording.release(&tell).await?;
        // No file is replaced before there is something to write.
        let out: Box<dyn Write> = match &self.output {
            Some(path) => {
                let file = File::create(path);
                Box::new(file.with_context(|| format!("write {}", path.display()))?)
            }
            None => Box::new(io::stdout()),
        };
        match recording.follow(&release, out, &tell).await {
            Err(RecordError::Write(why)) => Err(why).context("write the recording"),
            done => Ok(done?),
        }
    }

    /// The Rollout that is meant: the one named, or the only one.
    async fn name(&self, server: &Server, namespace: &str) -> anyhow::Result<String> {
        if !self.target.is_empty() {
            let target = Target {
                target: self.target.clone(),
            };
            return Ok(target.name()?.to_string());
        }
        let mut rollouts = server.rollouts(Some(namespace)).await?;
        match (rollouts.pop(), rollouts.is_empty()) {
            (Some(only), true) => Ok(only.name),
            (Some(_), false) => bail!(
                "namespace {namespace} has {} Rollouts, expected the name of one",
                rollouts.len() + 1
            ),
            (None, _) => bail!("namespace {namespace} has no Rollout"),
        }
    }

    async fn prometheus_of(&self, server: &Server) -> anyhow::Result<String> {
        match (&self.prometheus, server) {
            (Some(url), _) => Ok(url.clone()),
            (None, Server::Local { client, .. }) => {
                let doors = client.doors().await?;
                Ok(format!("http://{}", doors.prometheus))
            }
            (None, Server::Cluster(_)) => {
                bail!(
                    "no Prometheus is given (--prometheus names the one that scrapes the proxies)"
                )
            }
        }
    }
}

/// Until somebody interrupts, or the time is over.
async fn enough(length: Option<Duration>) {
    let over = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = over => {}
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    // Prometheus scrapes no faster.
    const SHORTEST: Duration = Duration::from_secs(1);
    let interval = duration(text)?;
    match interval >= SHORTEST {
        true => Ok(interval),
        false => Err("expected 1s or more".to_string()),
    }
}

//! Many Rollouts updated at once: what the controller takes of memory and processor time, and how
//! long it is until each has its first weight, beside Argo Rollouts' controller on the same API
//! server. In go the number of Rollouts and the program; out comes a table.

mod contender;
mod field;
mod usage;

use contender::Contender;
use field::Field;
use serin_tests::cluster::Cluster;
use serin_tests::local::runtime;
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use usage::Usage;

/// How long a controller is watched after the last weight: it may have things to settle.
const SETTLES: Duration = Duration::from_secs(30);

/// How many are updated one after the other, before all others at once.
const ALONE: usize = 10;

/// How far apart.
const APART: Duration = Duration::from_secs(3);

/// What came of one controller.
struct Outcome {
    contender: Contender,
    /// What one update alone took.
    alone: Updates,
    /// What all at once took.
    at_once: Updates,
    usage: Usage,
}

/// What updates took.
struct Updates {
    /// Requests to the API server.
    requests: f64,
    /// From the change of a template to its first weight, in order.
    delays: Vec<Duration>,
}

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let (count, serin) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let serin = PathBuf::from(serin);
    let count = match count.parse() {
        Ok(count) if count > 0 && serin.is_file() => count,
        _ => {
            eprintln!("expected a number of Rollouts, 1 or more, and the path of serin");
            return ExitCode::FAILURE;
        }
    };
    Cluster::run(|cluster| {
        let outcomes = runtime().block_on(async {
            let mut outcomes = Vec::new();
            for contender in [Contender::Argo, Contender::Serin] {
                if wanted(contender) {
                    outcomes.push(run(cluster, contender, &serin, count).await);
                }
            }
            outcomes
        });
        print(count, &outcomes);
        ExitCode::SUCCESS
    })
}

/// Whether `BENCH_ONLY` leaves it in: names, by commas.
fn wanted(contender: Contender) -> bool {
    let only = env::var("BENCH_ONLY").unwrap_or_default();
    only.is_empty() || only.split(',').any(|name| name == contender.name())
}

async fn run(cluster: &Cluster, contender: Contender, serin: &Path, count: usize) -> Outcome {
    let namespace = cluster.namespace(contender.name()).await;
    let process = contender.start(cluster, &namespace, serin).await;
    eprintln!(
        "{}: {count} Rollouts and {ALONE} are made",
        contender.name()
    );
    let field = Field::make(cluster, &namespace, count + ALONE).await;
    let (alone, all) = field.names.split_at(ALONE);
    settled(contender).await;

    eprintln!(
        "{}: all are healthy, and {ALONE} are updated",
        contender.name()
    );
    let counted = contender.requests();
    let mut delays = Vec::new();
    for one in alone {
        delays.extend(field.update(std::slice::from_ref(one)).await);
        tokio::time::sleep(APART).await;
    }
    delays.sort();
    let alone = Updates {
        requests: since(contender, &counted) / ALONE as f64,
        delays,
    };

    eprintln!("{}: all others are updated", contender.name());
    let (before, counted) = (Usage::of(process.id()), contender.requests());
    let delays = field.update(all).await;
    eprintln!("{}: all have their weight", contender.name());
    tokio::time::sleep(SETTLES).await;
    let usage = Usage::of(process.id()).since(&before);
    let requests = since(contender, &counted);
    drop(process);
    Outcome {
        contender,
        alone,
        at_once: Updates { requests, delays },
        usage,
    }
}

/// Waits until it has nothing more to ask for.
async fn settled(contender: Contender) {
    let mut before = contender.requests();
    loop {
        tokio::time::sleep(APART).await;
        let now = contender.requests();
        if now == before {
            return;
        }
        before = now;
    }
}

/// How many requests it sent since so many were counted.
fn since(contender: Contender, counted: &BTreeMap<String, f64>) -> f64 {
    let mut requests = contender.requests();
    for (key, before) in counted {
        *requests.entry(key.clone()).or_default() -= before;
    }
    let mut verbs: BTreeMap<&str, f64> = BTreeMap::new();
    for (key, count) in &requests {
        *verbs
            .entry(key.split(' ').next().unwrap_or_default())
            .or_default() += count;
    }
    eprintln!("{}: {verbs:?}", contender.name());
    requests.values().sum()
}

/// What is compared: its name, and its number.
type Row = (&'static str, fn(&Outcome) -> f64);

const ROWS: [Row; 7] = [
    ("peak memory, MB", |outcome| outcome.usage.peak_mb),
    ("processor time, s", |outcome| {
        outcome.usage.cpu.as_secs_f64()
    }),
    ("requests to the API server", |outcome| {
        outcome.at_once.requests
    }),
    ("to the first weight, median, s", |outcome| {
        outcome.at_once.part(0.5)
    }),
    ("to the first weight, p99, s", |outcome| {
        outcome.at_once.part(0.99)
    }),
    ("requests of one update alone", |outcome| {
        outcome.alone.requests
    }),
    ("its first weight, median, s", |outcome| {
        outcome.alone.part(0.5)
    }),
];

impl Updates {
    /// The delay that this share of all did not exceed, in seconds.
    fn part(&self, share: f64) -> f64 {
        let last = self.delays.len().saturating_sub(1);
        let index = (share * last as f64).round() as usize;
        self.delays.get(index).map_or(0.0, Duration::as_secs_f64)
    }
}

fn print(count: usize, outcomes: &[Outcome]) {
    let names = outcomes.iter().map(|outcome| outcome.contender.name());
    let names: Vec<String> = names.map(|name| format!("{name:>10}")).collect();
    println!("{count} Rollouts updated at once");
    println!("{:32}{}{:>10}", "", names.concat(), "ratio");
    for (name, value) in ROWS {
        let values: Vec<f64> = outcomes.iter().map(value).collect();
        let shown: Vec<String> = values
            .iter()
            .map(|value| format!("{value:>10.3}"))
            .collect();
        let ratio = match values[..] {
            [theirs, ours] if theirs > 0.0 => format!("{:>9.2}x", ours / theirs),
            _ => String::new(),
        };
        println!("{name:32}{}{ratio}", shown.concat());
    }
}

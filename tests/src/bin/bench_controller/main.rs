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
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use usage::Usage;

/// How long a controller is watched after the last weight: it may have things to settle.
const SETTLES: Duration = Duration::from_secs(30);

/// What came of one controller.
struct Outcome {
    contender: Contender,
    usage: Usage,
    /// To the API server.
    requests: f64,
    /// From the change of its template to its first weight, in order.
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
                outcomes.push(run(cluster, contender, &serin, count).await);
            }
            outcomes
        });
        print(count, &outcomes);
        ExitCode::SUCCESS
    })
}

async fn run(cluster: &Cluster, contender: Contender, serin: &Path, count: usize) -> Outcome {
    let namespace = cluster.namespace(contender.name()).await;
    let process = contender.start(cluster, &namespace, serin).await;
    eprintln!("{}: {count} Rollouts are made", contender.name());
    let field = Field::make(cluster, &namespace, count).await;
    eprintln!("{}: all are healthy, and all are updated", contender.name());
    let (before, counted) = (Usage::of(process.id()), contender.requests());
    let delays = field.update().await;
    eprintln!("{}: all have their weight", contender.name());
    tokio::time::sleep(SETTLES).await;
    let usage = Usage::of(process.id()).since(&before);
    let mut requests = contender.requests();
    for (key, before) in counted {
        *requests.entry(key).or_default() -= before;
    }
    drop(process);
    eprintln!("{}: {requests:?}", contender.name());
    Outcome {
        contender,
        requests: requests.values().sum(),
        usage,
        delays,
    }
}

/// What is compared: its name, and its number.
type Row = (&'static str, fn(&Outcome) -> f64);

const ROWS: [Row; 5] = [
    ("peak memory, MB", |outcome| outcome.usage.peak_mb),
    ("processor time, s", |outcome| {
        outcome.usage.cpu.as_secs_f64()
    }),
    ("requests to the API server", |outcome| outcome.requests),
    ("to the first weight, median, s", |outcome| {
        outcome.part(0.5)
    }),
    ("to the first weight, p99, s", |outcome| outcome.part(0.99)),
];

impl Outcome {
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
            .map(|value| format!("{value:>10.2}"))
            .collect();
        let ratio = match values[..] {
            [theirs, ours] if theirs > 0.0 => format!("{:>9.2}x", ours / theirs),
            _ => String::new(),
        };
        println!("{name:32}{}{ratio}", shown.concat());
    }
}

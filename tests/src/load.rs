//! Many requests over a few connections, and what came of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::client::Client;

/// What came of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers by the ReplicaSet that gave them and their status.
    pub answers: BTreeMap<(String, u16), usize>,
    /// Requests without an answer, by error text: closed and drained connections are here.
    pub failures: BTreeMap<String, usize>,
}

impl Tally {
    /// All answers.
    pub fn total(&self) -> usize {
        self.answers.values().sum()
    }

    /// The answers of one ReplicaSet.
    pub fn of(&self, replica_set: &str) -> usize {
        self.answers
            .iter()
            .filter(|((set, _), _)| set == replica_set)
            .map(|(_, n)| n)
            .sum()
    }

    /// The answers with an error or from no ReplicaSet, and the requests without an answer.
    pub fn bad(&self) -> usize {
        let bad = |set: &str, status: u16| status >= 400 || !set.contains('-');
        let answers = self.answers.iter();
        let answers = answers.filter(|((set, status), _)| bad(set, *status));
        answers.map(|(_, n)| n).chain(self.failures.values()).sum()
    }

    fn add(&mut self, other: Tally) {
        for (key, n) in other.answers {
            *self.answers.entry(key).or_default() += n;
        }
        for (key, n) in other.failures {
            *self.failures.entry(key).or_default() += n;
        }
    }
}

/// Headers of the request with this number.
pub type Headers<'a> = &'a (dyn Fn(usize) -> Vec<(&'static str, String)> + Sync);

/// Sends `count` requests over `connections` connections.
pub fn send(
    gateway: SocketAddr,
    host: &str,
    connections: usize,
    count: usize,
    headers: Headers<'_>,
) -> Tally {
    let share = count.div_ceil(connections);
    on_connections(connections, |connection| {
        run(
            gateway,
            host,
            headers,
            connection * share..count.min((connection + 1) * share),
        )
    })
}

/// Sends requests over `connections` connections until `stop` is set.
pub fn send_until(
    gateway: SocketAddr,
    host: &str,
    connections: usize,
    stop: &AtomicBool,
    headers: Headers<'_>,
) -> Tally {
    on_connections(connections, |connection| {
        let numbers = (connection..).step_by(connections);
        run(
            gateway,
            host,
            headers,
            numbers.take_while(|_| !stop.load(Ordering::Relaxed)),
        )
    })
}

/// Ends a load when it is dropped, so also when the test fails.
#[derive(Debug)]
pub struct Ends<'a>(pub &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn on_connections(connections: usize, run: impl Fn(usize) -> Tally + Sync) -> Tally {
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..connections)
            .map(|connection| scope.spawn(move || run(connection)))
            .collect();
        let mut all = Tally::default();
        for thread in threads {
            all.add(thread.join().expect("a connection's thread ends"));
        }
        all
    })
}

/// One connection's requests; it ends with its first failure, since it is not opened again.
fn run(
    gateway: SocketAddr,
    host: &str,
    headers: Headers<'_>,
    numbers: impl Iterator<Item = usize>,
) -> Tally {
    let mut tally = Tally::default();
    let mut client = match Client::connect(gateway) {
        Ok(client) => client,
        Err(error) => {
            tally.failures.insert(format!("connect: {error}"), 1);
            return tally;
        }
    };
    for number in numbers {
        let own = headers(number);
        let own: Vec<(&str, &str)> = own.iter().map(|(n, v)| (*n, v.as_str())).collect();
        match client.get(host, "/", &own) {
            Ok(answer) => {
                let key = (answer.replica_set().to_string(), answer.status);
                *tally.answers.entry(key).or_default() += 1;
            }
            Err(error) => {
                *tally.failures.entry(error.to_string()).or_default() += 1;
                return tally;
            }
        }
    }
    tally
}

/// Whether `hits` of `total` fits a share of `weight_bp` basis points: within 4.5 standard
/// errors, which a right share leaves once in 150,000 times.
pub fn fits(hits: usize, total: usize, weight_bp: u16) -> bool {
    const WIDTH: f64 = 4.5;
    let (n, p) = (total as f64, f64::from(weight_bp) / 10_000.0);
    let (expected, spread) = (n * p, (n * p * (1.0 - p)).sqrt());
    (hits as f64 - expected).abs() <= WIDTH * spread
}

//! A modest, steady stream of requests, and what came of each.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::proxy::Proxy;
use crate::client::{Client, Response};

/// How many connections share the rate, so that a slow answer does not hold up all.
const CONNECTIONS: u32 = 4;
/// No traffic is sent for longer, whatever becomes of its owner.
const LIMIT: Duration = Duration::from_secs(300);

/// The headers of the request with this number.
pub type Headers = Arc<dyn Fn(u64) -> Vec<(String, String)> + Send + Sync>;

/// What to send: GETs of `/` with these headers.
#[derive(Clone)]
pub struct Traffic {
    /// The host that is asked for.
    pub host: String,
    /// The port of the proxy.
    pub port: u16,
    /// Requests a second.
    pub rate: u32,
    /// Further headers.
    pub headers: Headers,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When its request was sent.
    pub at: Instant,
    /// Its status.
    pub status: u16,
    /// What its body is: the version, where the demo's app answered.
    pub version: String,
}

/// What came of the requests so far.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The answers, by and large in order.
    pub answers: Vec<Answer>,
    /// The requests without an answer, and connections that were not made: when and why.
    pub failures: Vec<(Instant, String)>,
}

/// Traffic on its way. Dropped, it stops.
#[derive(Debug)]
pub struct Sending {
    outcome: Arc<Mutex<Outcome>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// A hundred requests a second to port 80, without further headers.
    pub fn to(host: &str) -> Traffic {
        Traffic {
            host: host.to_string(),
            port: 80,
            rate: 100,
            headers: Arc::new(|_| Vec::new()),
        }
    }

    /// Sends through this proxy until told to stop.
    pub fn through(self, proxy: &Arc<Proxy>) -> Sending {
        let outcome = Arc::<Mutex<Outcome>>::default();
        let stop = Arc::<AtomicBool>::default();
        let threads = (0..CONNECTIONS).map(|index| {
            let connection = Connection {
                traffic: self.clone(),
                proxy: proxy.clone(),
                client: None,
                outcome: outcome.clone(),
            };
            let stop = stop.clone();
            thread::spawn(move || connection.run(index, &stop))
        });
        let threads = threads.collect();
        Sending {
            outcome,
            stop,
            threads,
        }
    }

    /// Sends for this long.
    pub async fn through_for(self, proxy: &Arc<Proxy>, duration: Duration) -> Outcome {
        let sending = self.through(proxy);
        tokio::time::sleep(duration).await;
        sending.stop()
    }
}

impl Sending {
    /// What came of the requests so far.
    pub fn so_far(&self) -> Outcome {
        // An outcome is whole after each statement.
        let outcome = self.outcome.lock();
        outcome.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops, and waits for the answers that are due.
    pub fn stop(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a connection's thread ends");
        }
        self.so_far()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Outcome {
    /// The part of it from this moment on.
    pub fn since(&self, moment: Instant) -> Outcome {
        let answers = self.answers.iter().filter(|answer| answer.at >= moment);
        let failures = self.failures.iter().filter(|(at, _)| *at >= moment);
        Outcome {
            answers: answers.cloned().collect(),
            failures: failures.cloned().collect(),
        }
    }

    /// The answers of a version.
    pub fn of(&self, version: &str) -> usize {
        let answers = self.answers.iter();
        answers.filter(|answer| answer.version == version).count()
    }

    /// The share of a version among all answers, from 0 to 1.
    pub fn share_of(&self, version: &str) -> f64 {
        self.of(version) as f64 / self.answers.len().max(1) as f64
    }

    /// What went wrong and how often: requests without an answer, and answers of 500 and above.
    pub fn failed(&self) -> BTreeMap<String, usize> {
        let mut failed = BTreeMap::new();
        let errors = self.answers.iter().filter(|answer| answer.status >= 500);
        let errors = errors.map(|answer| format!("{} {}", answer.status, answer.version));
        for failure in errors.chain(self.failures.iter().map(|(_, why)| why.clone())) {
            *failed.entry(failure).or_default() += 1;
        }
        failed
    }

    /// When they went wrong, by the clock that logs have.
    pub fn failed_at(&self) -> Vec<SystemTime> {
        let errors = self.answers.iter().filter(|answer| answer.status >= 500);
        let errors = errors.map(|answer| answer.at);
        let all = errors.chain(self.failures.iter().map(|(at, _)| *at));
        all.map(|at| SystemTime::now() - at.elapsed()).collect()
    }
}

/// One of the connections that share the traffic.
struct Connection {
    traffic: Traffic,
    proxy: Arc<Proxy>,
    client: Option<Client>,
    outcome: Arc<Mutex<Outcome>>,
}

impl Connection {
    /// Requests that are late are left out rather than sent at once.
    fn run(mut self, index: u32, stop: &AtomicBool) {
        let period = Duration::from_secs(1) * CONNECTIONS / self.traffic.rate;
        let started = Instant::now();
        let mut due = started + period * index / CONNECTIONS;
        let mut number = u64::from(index);
        while !stop.load(Ordering::Relaxed) && started.elapsed() < LIMIT {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let at = Instant::now();
            let result = self.send(number);
            self.record(at, result);
            number += u64::from(CONNECTIONS);
            due = (due + period).max(Instant::now() - period);
        }
    }

    fn send(&mut self, number: u64) -> io::Result<Response> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.proxy.connect(self.traffic.port)?,
        };
        let headers = (self.traffic.headers)(number);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        let response = client.exchange(&self.traffic.host, "/", &headers)?;
        // A proxy that says so closes the connection in order, and no request is lost by it.
        if !response.is_last() {
            self.client = Some(client);
        }
        Ok(response)
    }

    fn record(&self, at: Instant, result: io::Result<Response>) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(response) => outcome.answers.push(Answer {
                at,
                status: response.status,
                version: response.body.trim().to_string(),
            }),
            Err(error) => outcome.failures.push((at, error.to_string())),
        }
    }
}

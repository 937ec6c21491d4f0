//! The load: connections that stay open, each with one request on its way at any time.
//!
//! One thread sends, serves the upstreams and reads. It does all that has come together and then
//! sleeps on a timer: Envoy never has to wake it, finds a batch of the same size each time, and
//! works while the other core rests, which may be half of the same piece of silicon.

use anyhow::{Context, Result, bail, ensure};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serin_bench::in_flight::{HOST, USER_HEADER};

use crate::upstream::{Arrived, BODY, Upstream, arrived};

/// Enough to keep Envoy at work while the load sleeps.
const CONNECTIONS: usize = 64;

/// About as long as Envoy needs for half of what a batch starts: requests out or answers back.
const REST: Duration = Duration::from_micros(1_500);

/// Requests are prepared before the measurement and sent in turn.
const PREPARED: usize = 4_096;

/// An answer that takes longer means that something is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// The requests, the same for every variant.
pub(crate) struct Requests {
    prepared: Vec<Vec<u8>>,
    next: usize,
}

impl Requests {
    /// To the host that the rules under test know, with four headers, and the user's as a fifth on
    /// half of them.
    pub(crate) fn prepare(random: &mut fastrand::Rng) -> Self {
        let prepared = (0..PREPARED)
            .map(|i| {
                let user = match i % 2 {
                    0 => format!("{USER_HEADER}: user-{:04}\r\n", random.u32(0..1_000)),
                    _ => String::new(),
                };
                format!(
                    "GET /api/items/{}?page=2 HTTP/1.1\r\nhost: {HOST}:8080\r\n\
                     user-agent: serin-bench/1\r\naccept: application/json\r\n\
                     accept-language: en\r\n{user}\r\n",
                    random.u32(0..10_000)
                )
                .into_bytes()
            })
            .collect();
        Requests { prepared, next: 0 }
    }

    fn next(&mut self) -> &[u8] {
        self.next = (self.next + 1) % self.prepared.len().max(1);
        self.prepared.get(self.next).map_or(&[], Vec::as_slice)
    }
}

/// Connections to one listener.
pub(crate) struct Client(Vec<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let open = || {
            let connection = TcpStream::connect(address)?;
            connection.set_nodelay(true)?;
            connection.set_nonblocking(true)?;
            Ok(connection)
        };
        let all: std::io::Result<Vec<_>> = (0..CONNECTIONS).map(|_| open()).collect();
        all.map(Client)
            .with_context(|| format!("connect to {address}"))
    }

    /// Sends until `slot` is over and waits for the last answers. Says how many there were.
    pub(crate) fn send(
        &mut self,
        requests: &mut Requests,
        upstreams: &mut [Upstream],
        slot: Duration,
    ) -> Result<u64> {
        let start = Instant::now();
        for connection in &mut self.0 {
            connection.write_all(requests.next())?;
        }
        let mut sent = self.0.len() as u64;
        let mut waiting = self.0.len();
        let mut took = start.elapsed();
        while waiting > 0 {
            ensure!(took < slot + PATIENCE, "no answer in {PATIENCE:?}");
            thread::sleep(REST);
            upstreams.iter_mut().try_for_each(Upstream::serve)?;
            for connection in &mut self.0 {
                match arrived(connection, BODY.as_bytes())? {
                    Arrived::Nothing => continue,
                    Arrived::End => bail!("Envoy closed a connection"),
                    Arrived::Whole if took < slot => {
                        connection.write_all(requests.next())?;
                        sent += 1;
                    }
                    Arrived::Whole => waiting -= 1,
                }
            }
            took = start.elapsed();
        }
        Ok(sent)
    }
}

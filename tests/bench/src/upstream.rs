//! The versions behind Envoy: each answers every request alike and counts it.
//!
//! Nobody waits for a request in a blocking read: waking a sleeper on another core costs Envoy
//! more or less time depending on what that core does, which would drown what is measured.

use anyhow::{Result, ensure};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// What ends each answer.
pub(crate) const BODY: &str = "served\n";

/// One version.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// How many requests it has answered.
    pub(crate) served: u64,
    accepted: Receiver<TcpStream>,
    connections: Vec<TcpStream>,
    reply: Vec<u8>,
}

impl Upstream {
    /// Takes connections on a free loopback port until this process ends.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, accepted) = mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if sender.send(connection).is_err() {
                    return;
                }
            }
        });
        let length = BODY.len();
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{BODY}"
        );
        Ok(Upstream {
            address,
            served: 0,
            accepted,
            connections: Vec::new(),
            reply: reply.into_bytes(),
        })
    }

    /// Answers what has arrived, and returns at once.
    pub(crate) fn serve(&mut self) -> Result<()> {
        while let Ok(connection) = self.accepted.try_recv() {
            connection.set_nodelay(true)?;
            connection.set_nonblocking(true)?;
            self.connections.push(connection);
        }
        let mut closed = false;
        for connection in &mut self.connections {
            match arrived(connection, b"\r\n\r\n")? {
                Arrived::Whole => {
                    connection.write_all(&self.reply)?;
                    self.served += 1;
                }
                Arrived::Nothing => {}
                Arrived::End => closed = true,
            }
        }
        ensure!(!closed, "Envoy closed a connection to its upstream");
        Ok(())
    }
}

/// What a look at a connection found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    Nothing,
    Whole,
    End,
}

/// Reads a message that ends with `mark`, if one is there. Messages here are far smaller than a
/// segment on loopback, so one that is there in part is an error.
pub(crate) fn arrived(connection: &mut TcpStream, mark: &[u8]) -> Result<Arrived> {
    let mut buffer = [0; 4096];
    let length = match connection.read(&mut buffer) {
        Ok(length) => length,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Arrived::Nothing),
        Err(error) => return Err(error.into()),
    };
    let seen = buffer.get(..length).unwrap_or_default();
    if length == 0 {
        return Ok(Arrived::End);
    }
    ensure!(
        seen.ends_with(mark) && !seen.starts_with(b"HTTP/1.1 5"),
        "a message is {:?}, expected a whole request or a good answer",
        String::from_utf8_lossy(seen)
    );
    Ok(Arrived::Whole)
}

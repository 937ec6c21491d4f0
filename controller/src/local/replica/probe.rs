//! Asks a replica whether it is ready, again and again. In comes a probe, out goes an answer.

mod listeners;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::manifest::pod::{Ask, Probe};

/// Until it is ready for the first time a replica is asked this often, whatever its period: people
/// wait for it.
const EAGER: Duration = Duration::from_millis(100);

/// What a replica answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is ready.
    Ready,
    /// It is not.
    NotReady,
    /// Something answers, and it listens on all addresses: it may be another replica.
    Everywhere(SocketAddr),
}

/// Asks for as long as it is polled, and tells each answer after the thresholds.
pub(super) async fn watch<T>(probe: &Probe, address: IpAddr, tell: impl Fn(Answer)) -> T {
    match forever(probe, address, tell).await {}
}

async fn forever(probe: &Probe, address: IpAddr, tell: impl Fn(Answer)) -> Infallible {
    sleep(probe.initial_delay).await;
    let client = client();
    let mut ready = false;
    let mut in_a_row = 0;
    loop {
        let answer = timeout(probe.timeout, ask(&probe.ask, address, client.as_ref()));
        let answer = match answer.await {
            Ok(true) => who_answers(&probe.ask, address),
            Ok(false) | Err(_) => Answer::NotReady,
        };
        let good = answer == Answer::Ready;
        in_a_row = if good == ready { 0 } else { in_a_row + 1 };
        let needed = if ready {
            probe.failures
        } else {
            probe.successes
        };
        if in_a_row >= needed {
            ready = good;
            in_a_row = 0;
        }
        tell(match (ready, answer) {
            (true, _) => Answer::Ready,
            (false, Answer::Ready) => Answer::NotReady,
            (false, answer) => answer,
        });
        sleep(if ready {
            probe.period
        } else {
            probe.period.min(EAGER)
        })
        .await;
    }
}

/// A good answer counts if it comes from the replica's own address. All replicas are on one
/// machine: where one listens on all addresses, it answers for every other one.
fn who_answers(ask: &Ask, address: IpAddr) -> Answer {
    let port = match ask {
        Ask::Nothing => return Answer::Ready,
        Ask::Tcp(port) | Ask::Http { port, .. } => *port,
    };
    let all = listeners::on(port);
    if all.contains(&address) {
        return Answer::Ready;
    }
    match all.iter().find(|other| other.is_unspecified()) {
        Some(everywhere) => Answer::Everywhere(SocketAddr::new(*everywhere, port)),
        None => Answer::NotReady,
    }
}

/// Follows no redirect (a redirect is an answer) and knows no proxy.
fn client() -> Option<reqwest::Client> {
    crate::http::plain()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .ok()
}

async fn ask(ask: &Ask, address: IpAddr, client: Option<&reqwest::Client>) -> bool {
    match ask {
        Ask::Nothing => true,
        Ask::Tcp(port) => TcpStream::connect((address, *port)).await.is_ok(),
        Ask::Http {
            port,
            path,
            headers,
        } => {
            let Some(client) = client else { return false };
            let slash = if path.starts_with('/') { "" } else { "/" };
            let mut request = client.get(format!("http://{address}:{port}{slash}{path}"));
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.send().await;
            answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_replica_on_all_addresses_does_not_answer_for_another() {
        let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
        let at = everywhere.local_addr().unwrap();
        let other: IpAddr = "127.231.1.1".parse().unwrap();
        assert!(std::net::TcpStream::connect((other, at.port())).is_ok());

        let answer = who_answers(&Ask::Tcp(at.port()), other);

        assert_eq!(answer, Answer::Everywhere(at));
    }

    #[test]
    fn a_replica_on_its_own_address_answers_for_itself() {
        let own: IpAddr = "127.231.1.2".parse().unwrap();
        let listener = TcpListener::bind((own, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(who_answers(&Ask::Tcp(port), own), Answer::Ready);
    }
}

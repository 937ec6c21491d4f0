//! Asks a replica whether it is ready, again and again. In comes a probe, out goes a yes or no.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::manifest::pod::{Ask, Probe};

/// Until it is ready for the first time a replica is asked this often, whatever its period: people
/// wait for it.
const EAGER: Duration = Duration::from_millis(100);

/// Asks for as long as it is polled, and tells each answer after the thresholds.
pub(super) async fn watch<T>(probe: &Probe, address: IpAddr, tell: impl Fn(bool)) -> T {
    match forever(probe, address, tell).await {}
}

async fn forever(probe: &Probe, address: IpAddr, tell: impl Fn(bool)) -> Infallible {
    sleep(probe.initial_delay).await;
    let client = client();
    let mut ready = false;
    let mut in_a_row = 0;
    loop {
        let good = timeout(probe.timeout, ask(&probe.ask, address, client.as_ref()))
            .await
            .unwrap_or(false);
        in_a_row = if good == ready { 0 } else { in_a_row + 1 };
        let needed = if ready {
            probe.failures
        } else {
            probe.successes
        };
        if in_a_row >= needed {
            ready = good;
            in_a_row = 0;
            tell(ready);
        }
        sleep(if ready {
            probe.period
        } else {
            probe.period.min(EAGER)
        })
        .await;
    }
}

/// Follows no redirect (a redirect is an answer) and knows no proxy.
fn client() -> Option<reqwest::Client> {
    reqwest::Client::builder()
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

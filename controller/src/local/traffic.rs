//! Requests at a constant rate: an aim comes in, counts by version go out.
//!
//! The rate is kept whatever the answers do (an open loop): a slow version meets as many requests
//! as a fast one, as it would with real users. It begins once a version has answered well: what is
//! not there yet cannot fail anybody.

mod tally;
mod users;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock;
use crate::traffic_report::TrafficReport;

pub use tally::{Answer, Tally};
pub use users::Users;

/// The header that says who a request's user is.
pub const USER_HEADER: &str = "x-user-id";

/// The response header in which the gateway names the ReplicaSet that answered.
pub const REPLICA_SET_HEADER: &str = "x-serin-replica-set";

/// Where requests go, and how many.
#[derive(Clone, Debug)]
pub struct Aim {
    /// The gateway.
    pub gateway: SocketAddr,
    /// The host that requests name.
    pub host: String,
    /// Requests a second.
    pub rate: u32,
    /// Where the sequence of users begins; the same seed gives the same users.
    pub seed: u64,
}

/// Traffic under way. Clones share it; the last one gone ends it.
#[derive(Clone, Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    aim: Aim,
    tally: Mutex<Tally>,
}

impl Traffic {
    /// Starts sending as soon as the gateway answers.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn start(aim: Aim) -> Result<Traffic, reqwest::Error> {
        // An answer later than this is none: no one waits longer for a page.
        const PATIENCE: Duration = Duration::from_secs(15);
        let http = crate::http::plain()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()?;
        let shared = Arc::new(Shared {
            tally: Mutex::new(Tally::default()),
            aim,
        });
        tokio::spawn(send(Arc::downgrade(&shared), http));
        Ok(Traffic { shared })
    }

    /// The counts so far.
    pub fn report(&self) -> TrafficReport {
        self.shared.tally().report(&self.shared.aim)
    }
}

impl Aim {
    /// The address that requests are sent to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.gateway)
    }
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        // A count is whole after each statement, so one who died holding it left nothing half.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what is due every few milliseconds until nobody holds the traffic any more.
async fn send(shared: std::sync::Weak<Shared>, http: reqwest::Client) {
    // Short enough that requests come evenly, long enough to cost nothing.
    const TICK: Duration = Duration::from_millis(5);
    let Some(aim) = shared.upgrade().map(|shared| shared.aim.clone()) else {
        return;
    };
    while !answers(&http, &aim).await {
        if shared.strong_count() == 0 {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let room = Arc::new(Semaphore::new(most_in_flight(aim.rate)));
    let mut users = Users::new(aim.seed);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (began, mut handled) = (Instant::now(), 0);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let due = due(began.elapsed(), aim.rate);
        for user in users.by_ref().take(due.saturating_sub(handled)) {
            match Arc::clone(&room).try_acquire_owned() {
                Ok(place) => {
                    shared.tally().sent += 1;
                    let request = http
                        .get(aim.url())
                        .header(reqwest::header::HOST, &aim.host)
                        .header(USER_HEADER, Users::name(user));
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        let answer = ask(request).await;
                        shared.tally().record(user, answer, clock::now());
                        drop(place);
                    });
                }
                Err(_) => shared.tally().skipped += 1,
            }
        }
        handled = handled.max(due);
    }
}

/// How many requests may wait for an answer. What is due beyond that is counted as skipped: memory
/// stays bounded, and a machine that was too busy for a moment gets over it. With more waiting
/// than can be answered in time, every answer would come too late for ever.
fn most_in_flight(rate: u32) -> usize {
    const SECONDS_OF_TRAFFIC: usize = 2;
    usize::try_from(rate)
        .unwrap_or(usize::MAX)
        .saturating_mul(SECONDS_OF_TRAFFIC)
        .clamp(100, 20_000)
}

/// How often the gateway is asked until it answers.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whether some version answers well.
async fn answers(http: &reqwest::Client, aim: &Aim) -> bool {
    let answer = ask(http.get(aim.url()).header(reqwest::header::HOST, &aim.host)).await;
    matches!(answer, Answer::Status { replica_set, status } if status < 500 && !replica_set.is_empty())
}

/// How many requests are due after this long.
fn due(elapsed: Duration, rate: u32) -> usize {
    let due = elapsed.as_micros().saturating_mul(u128::from(rate)) / 1_000_000;
    usize::try_from(due).unwrap_or(usize::MAX)
}

/// Sends one request and reads its answer to the end, so that the connection serves again.
async fn ask(request: reqwest::RequestBuilder) -> Answer {
    let answer = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let named = response.headers().get(REPLICA_SET_HEADER);
        let replica_set = named.and_then(|name| name.to_str().ok());
        let replica_set = replica_set.unwrap_or_default().to_string();
        response.bytes().await?;
        Ok(Answer::Status {
            replica_set,
            status,
        })
    };
    answer.await.unwrap_or_else(|error: reqwest::Error| {
        Answer::None(format!("{:#}", anyhow::Error::from(error)))
    })
}

#[cfg(test)]
mod tests;

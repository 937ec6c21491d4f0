//! For how long istiod may be blind after the API server was away. Failures of watches come in, the
//! time from which proxies can be taken to be told of changes again goes out.
//!
//! istiod's own watches wait before they are begun again, twice as long each time, from 0.8 s to 30 s,
//! with up to as much again by chance, and once more when the first is refused for its old version
//! (client-go's reflector). So they see again within about three times as long as the outage took.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::watcher;
use tokio::time::Instant;

/// The longest that a watch of istiod's takes: two of its longest waits.
const LONGEST: Duration = Duration::from_secs(120);
/// Failures that are further apart belong to two outages.
const APART: Duration = Duration::from_secs(30);

/// What is known of outages.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// The first failure of the last outage, and the last.
    seen: Mutex<Option<(Instant, Instant)>>,
}

impl Outage {
    /// Takes note of a watch's failure, if it says that the API server was not reached.
    pub(super) fn note(&self, error: &watcher::Error) {
        let cause = match error {
            watcher::Error::InitialListFailed(cause)
            | watcher::Error::WatchStartFailed(cause)
            | watcher::Error::WatchFailed(cause) => cause,
            _ => return,
        };
        if !matches!(cause, kube::Error::Api(_)) {
            self.failed(Instant::now());
        }
    }

    fn failed(&self, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = match *seen {
            Some((first, last)) if now - last < APART => Some((first, now)),
            _ => Some((now, now)),
        };
    }

    /// How long from `now` until proxies can be taken to be told of changes.
    pub(super) fn blind_for(&self, now: Instant) -> Duration {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.map_or(Duration::ZERO, |(first, last)| {
            let until = last + (3 * (last - first)).min(LONGEST);
            until.saturating_duration_since(now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn istiod_is_taken_to_be_blind_for_three_times_the_outage() {
        let (outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.blind_for(start), Duration::ZERO);
        for second in [0, 1, 3, 7, 15] {
            outage.failed(start + SECOND * second);
        }
        assert_eq!(outage.blind_for(start + SECOND * 15), SECOND * 45);
        assert_eq!(outage.blind_for(start + SECOND * 50), SECOND * 10);
        assert_eq!(outage.blind_for(start + SECOND * 60), Duration::ZERO);
    }

    #[test]
    fn one_lost_connection_is_no_outage_and_two_far_apart_are_none() {
        let (outage, start) = (Outage::default(), Instant::now());
        for second in [0, 3600] {
            outage.failed(start + SECOND * second);
            assert_eq!(outage.blind_for(start + SECOND * second), Duration::ZERO);
        }
    }

    #[test]
    fn an_hour_without_an_api_server_is_waited_for_two_minutes() {
        let (outage, start) = (Outage::default(), Instant::now());
        for second in (0..3600).step_by(8) {
            outage.failed(start + SECOND * second);
        }
        assert_eq!(outage.blind_for(start + SECOND * 3592), LONGEST);
    }
}

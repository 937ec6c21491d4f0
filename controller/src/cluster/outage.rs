//! For how long istiod may be blind after the API server was away. Failures of watches come in, the
//! time from which proxies can be taken to be told of changes again goes out.
//!
//! istiod's own watches wait before they are begun again, twice as long each time, from 0.8 s to 30 s,
//! with up to as much again by chance, and once more when the first is refused for its old version
//! (client-go's reflector). After a moment they see again within about three times as long. After
//! more than that, or where an earlier outage had made the waits long already, nothing better is
//! known than two of the longest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::watcher;
use tokio::time::Instant;

/// The longest that a watch of istiod's takes: two of its longest waits.
const LONGEST: Duration = Duration::from_secs(120);
/// Outages that are shorter leave short waits.
const MOMENT: Duration = Duration::from_secs(5);
/// Failures that are further apart belong to two outages.
const APART: Duration = Duration::from_secs(30);

/// What is known of outages.
#[derive(Debug, Default)]
pub(super) struct Outage {
    seen: Mutex<Option<Seen>>,
}

/// The last outage: its first failure, its last, and whether anything was told since.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: Instant,
    last: Instant,
    over: bool,
}

impl Outage {
    /// Takes note of a watch's failure, if it says that the API server was not reached.
    pub(super) fn note(&self, error: &watcher::Error) {
        match error {
            watcher::Error::InitialListFailed(cause)
            | watcher::Error::WatchStartFailed(cause)
            | watcher::Error::WatchFailed(cause) => self.note_request(cause),
            _ => {}
        }
    }

    /// Takes note of a request's failure, likewise.
    pub(super) fn note_request(&self, error: &kube::Error) {
        const TOO_MANY_REQUESTS: u16 = 429;
        let away = match error {
            kube::Error::Api(status) => status.code >= 500 || status.code == TOO_MANY_REQUESTS,
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                true
            }
            // The server answered, and what it said was not understood.
            _ => false,
        };
        if away {
            self.failed(Instant::now());
        }
    }

    /// Takes note that it could not be reached now.
    pub(super) fn failed(&self, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = seen.filter(|seen| !seen.over && now - seen.last < APART);
        *seen = Some(Seen {
            first: goes_on.map_or(now, |seen| seen.first),
            last: now,
            over: false,
        });
    }

    /// Takes note that a watch tells something: what fails from now on is another outage.
    pub(super) fn told(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = &mut *seen {
            seen.over = true;
        }
    }

    /// How long from `now` until proxies can be taken to be told of changes.
    pub(super) fn blind_for(&self, now: Instant) -> Duration {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.map_or(Duration::ZERO, |Seen { first, last, .. }| {
            let lasted = last - first;
            let blind = if lasted < MOMENT { 3 * lasted } else { LONGEST };
            let until = last + blind;
            until.saturating_duration_since(now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn istiod_is_taken_to_be_blind_for_three_times_a_moment() {
        let (outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.blind_for(start), Duration::ZERO);
        for second in [0, 1, 3] {
            outage.failed(start + SECOND * second);
        }
        assert_eq!(outage.blind_for(start + SECOND * 3), SECOND * 9);
        assert_eq!(outage.blind_for(start + SECOND * 10), SECOND * 2);
        assert_eq!(outage.blind_for(start + SECOND * 12), Duration::ZERO);
    }

    #[test]
    fn more_than_a_moment_is_waited_for_as_long_as_istiod_may_be_blind() {
        let (outage, start) = (Outage::default(), Instant::now());
        for second in [0, 1, 3, 7, 15] {
            outage.failed(start + SECOND * second);
        }
        assert_eq!(outage.blind_for(start + SECOND * 15), LONGEST);
        assert_eq!(outage.blind_for(start + SECOND * 135), Duration::ZERO);
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
    fn connections_that_are_lost_in_turn_are_no_outage_while_others_tell_something() {
        let (outage, start) = (Outage::default(), Instant::now());
        for second in (0..600).step_by(20) {
            outage.failed(start + SECOND * second);
            outage.told();
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

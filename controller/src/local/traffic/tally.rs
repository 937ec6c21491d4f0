//! Counting answers: who asked, what came back and when come in, a report goes out.

use serin_core::time::Timestamp;

use super::Aim;
use super::users::USERS;
use crate::traffic_report::{TrafficReport, VersionTraffic};

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Status {
        /// The ReplicaSet that gave it; empty if none is named, as in a proxy's own answers.
        replica_set: String,
        /// Its status code.
        status: u16,
    },
    /// None, and why.
    None(String),
}

/// The counts so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests sent.
    pub sent: u64,
    /// Requests that were due and not sent.
    pub skipped: u64,
    pub(super) failed: u64,
    pub(super) last_failure: Option<String>,
    pub(super) versions: Vec<Version>,
}

#[derive(Clone, Debug)]
pub(super) struct Version {
    replica_set: String,
    ok: u64,
    server_errors: u64,
    reached: Vec<bool>,
    hit: Vec<bool>,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

impl Tally {
    /// Counts what came of `user`'s request.
    pub fn record(&mut self, user: usize, answer: Answer, now: Timestamp) {
        let (replica_set, status) = match answer {
            // A user who meets the proxy alone, whatever it says, was not served.
            Answer::Status {
                replica_set,
                status,
            } if replica_set.is_empty() => {
                return self.fail(format!("status {status}, from no version"));
            }
            Answer::Status {
                replica_set,
                status,
            } => (replica_set, status),
            Answer::None(why) => return self.fail(why),
        };
        let version = self.version(replica_set, now);
        version.last_seen = version.last_seen.max(now);
        mark(&mut version.reached, user);
        if status < 500 {
            version.ok += 1;
        } else {
            version.server_errors += 1;
            mark(&mut version.hit, user);
        }
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.last_failure = Some(why);
    }

    fn version(&mut self, replica_set: String, now: Timestamp) -> &mut Version {
        let known = self.versions.iter();
        let known = known
            .enumerate()
            .find_map(|(i, version)| (version.replica_set == replica_set).then_some(i));
        let at = known.unwrap_or_else(|| {
            self.versions.push(Version {
                replica_set,
                ok: 0,
                server_errors: 0,
                reached: vec![false; USERS],
                hit: vec![false; USERS],
                first_seen: now,
                last_seen: now,
            });
            self.versions.len() - 1
        });
        &mut self.versions[at]
    }

    /// The counts as they are shown.
    pub fn report(&self, aim: &Aim) -> TrafficReport {
        let ok = self.versions.iter().map(|version| version.ok).sum();
        let server_errors = self.versions.iter().map(|v| v.server_errors).sum();
        TrafficReport {
            url: aim.url(),
            host: aim.host.clone(),
            rate: aim.rate,
            users: USERS,
            sent: self.sent,
            ok,
            server_errors,
            failed: self.failed,
            in_flight: self.sent.saturating_sub(ok + server_errors + self.failed),
            skipped: self.skipped,
            last_failure: self.last_failure.clone(),
            versions: self.versions.iter().map(Version::report).collect(),
        }
    }
}

impl Version {
    fn report(&self) -> VersionTraffic {
        let count = |users: &[bool]| users.iter().filter(|user| **user).count();
        VersionTraffic {
            replica_set: self.replica_set.clone(),
            ok: self.ok,
            server_errors: self.server_errors,
            users: count(&self.reached),
            users_with_errors: count(&self.hit),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }
}

fn mark(users: &mut [bool], user: usize) {
    if let Some(user) = users.get_mut(user) {
        *user = true;
    }
}

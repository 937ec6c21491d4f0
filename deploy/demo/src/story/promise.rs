//! What the demo promises, whether it was so, and what it came to in numbers.

use serin::draw::Colour;
use serin::traffic_report::TrafficReport;

use super::good::Version;
use super::teller::Teller;

/// Promises and whether they were kept, in the order of the story.
#[derive(Debug, Default)]
pub struct Promises {
    checked: Vec<(bool, String)>,
}

impl Promises {
    /// Takes note of one.
    pub fn check(&mut self, kept: bool, what: impl Into<String>) {
        self.checked.push((kept, what.into()));
    }

    /// Whether all were kept.
    pub fn all_kept(&self) -> bool {
        self.checked.iter().all(|(kept, _)| *kept)
    }

    /// Lists them.
    pub fn list(&self, teller: &Teller) {
        for (kept, what) in &self.checked {
            let (sign, colour) = match kept {
                true => ("✔", Colour::Green),
                false => ("✖ not so:", Colour::Red),
            };
            teller.line(&format!("  {} {what}", teller.paint().colour(colour, sign)));
        }
    }
}

/// The numbers at the end.
pub(super) fn sum_up(teller: &Teller, report: &TrafficReport, versions: &[&Version]) {
    teller.line(&format!(
        "  {} requests sent for {} users, {} without an answer",
        report.sent, report.users, report.failed
    ));
    if report.skipped > 0 {
        teller.line(&format!(
            "  {} more were not sent: this machine was too busy to answer those before them",
            report.skipped
        ));
    }
    for version in versions {
        let Some(seen) = report.version(&version.replica_set) else {
            continue;
        };
        let all = seen.ok + seen.server_errors;
        let (name, users, errors) = (version.name, seen.users, seen.server_errors);
        let hit = seen.users_with_errors;
        teller.line(&format!(
            "  {name} answered {all:>6} requests of {users:>4} users, {errors:>3} with an error ({hit} users)"
        ));
    }
}

/// The share of requests that the good versions answer with an error.
const ERRORS: f64 = 0.002;

/// What must be true of all requests together.
pub(super) fn about_traffic(promises: &mut Promises, report: &TrafficReport, bad: &[&Version]) {
    let failed = match &report.last_failure {
        None => "no request was left without an answer".to_string(),
        Some(why) => format!("{} requests got no answer, the last: {why}", report.failed),
    };
    promises.check(report.failed == 0, failed);
    promises.check(
        report.skipped == 0,
        format!(
            "{} requests were not sent when they were due",
            report.skipped
        ),
    );
    let is_good = |set: &str| bad.iter().all(|bad| bad.replica_set != set);
    let good = report.versions.iter().filter(|v| is_good(&v.replica_set));
    let (errors, answered) = good.fold((0, 0), |(errors, answered), version| {
        let of_version = version.server_errors;
        (errors + of_version, answered + version.ok + of_version)
    });
    // Their errors are spread evenly, so no part of their requests has more.
    let most = (answered as f64 * ERRORS).ceil();
    promises.check(
        errors as f64 <= most,
        format!("{errors} errors in {answered} requests came from the good versions, one in 500"),
    );
    // Each user is on the canary's side with a chance of 10 %: four standard deviations of that
    // above it happen in three of a hundred thousand demos.
    let users = report.users as f64;
    let most = users * 0.1 + 4.0 * (users * 0.1 * 0.9).sqrt();
    for version in bad {
        let seen = report.version(&version.replica_set);
        let saw = seen.map_or(0, |seen| seen.users);
        promises.check(
            saw > 0 && saw as f64 <= most,
            format!(
                "{saw} of {} users saw {}, all others none of it",
                report.users, version.name
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use serin::traffic_report::VersionTraffic;
    use serin_core::time::Timestamp;

    use super::*;

    #[test]
    fn requests_that_were_not_sent_break_a_promise() {
        let version = VersionTraffic {
            replica_set: "shop-v3".into(),
            ok: 8,
            server_errors: 2,
            users: 9,
            users_with_errors: 2,
            first_seen: Timestamp(1),
            last_seen: Timestamp(2),
        };
        let mut report = TrafficReport {
            url: String::new(),
            host: "shop".into(),
            rate: 200,
            users: 1_000,
            sent: 10,
            ok: 8,
            server_errors: 2,
            failed: 0,
            in_flight: 0,
            skipped: 0,
            last_failure: None,
            versions: vec![version],
        };
        let bad = Version {
            name: "v3",
            replica_set: "shop-v3".into(),
        };
        let kept = |report: &TrafficReport| {
            let mut promises = Promises::default();
            about_traffic(&mut promises, report, &[&bad]);
            promises.all_kept()
        };
        assert!(kept(&report));
        report.skipped = 1;
        assert!(!kept(&report));
    }
}

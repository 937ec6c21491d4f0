//! What the traffic meets, on one line.

use super::paint::{Colour, Paint};
use crate::traffic_report::{TrafficReport, VersionTraffic};
use crate::view::RolloutView;

/// The counts so far; a version is called by its revision where a Rollout knows it.
pub fn traffic(report: &TrafficReport, views: &[RolloutView], paint: Paint) -> String {
    let failed = match report.failed {
        0 => "0 failed".to_string(),
        some => paint.colour(Colour::Red, &format!("{some} failed")),
    };
    let mut line = format!("{} sent, {failed}", report.sent);
    if report.skipped > 0 {
        line.push_str(&format!(", {} skipped", report.skipped));
    }
    for version in report.versions.iter().rev() {
        line.push_str(" │ ");
        line.push_str(&answered(version, views, paint));
    }
    line
}

fn answered(version: &VersionTraffic, views: &[RolloutView], paint: Paint) -> String {
    let bad = match version.server_errors {
        0 => "0 errors".to_string(),
        some => paint.colour(Colour::Red, &format!("{some} errors")),
    };
    let name = name(version, views, paint);
    format!("{name} {} ok, {bad}, {} users", version.ok, version.users)
}

fn name(version: &VersionTraffic, views: &[RolloutView], paint: Paint) -> String {
    let revision = views
        .iter()
        .flat_map(|view| &view.revisions)
        .find(|revision| revision.replica_set == version.replica_set);
    match revision {
        Some(revision) => {
            let role = revision.role.as_deref().unwrap_or("old");
            format!("revision {} ({})", revision.number, paint.role(role))
        }
        None => version.replica_set.clone(),
    }
}

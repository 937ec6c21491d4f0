//! A release that goes badly, and is taken back with nobody's help.

use std::time::Duration;

use serin_core::step::{Phase, RunPhase};

use super::ROLLOUT;
use super::good::{Version, stable};
use super::promise::Promises;
use super::stage::Stage;
use super::teller::Teller;
use super::watch::{Watcher, newest};

/// What makes version 3 of version 2: it errs, and the release waits for nobody.
pub(super) const EDITS: &[(&str, &str)] = &[
    ("serin-demo:v2", "serin-demo:v3"),
    ("--version=v2", "--version=v3"),
    ("--error-rate=0", "--error-rate=0.2"),
    ("pause: {}", "pause: {duration: 3s}"),
];

/// Releases version 3 and checks that it is taken back.
pub(super) async fn release(
    stage: &Stage,
    teller: &Teller,
    watcher: &mut Watcher<'_>,
    promises: &mut Promises,
    second: &Version,
) -> anyhow::Result<Version> {
    const JUDGED: Duration = Duration::from_secs(90);
    // From the first request to the weight back at 0: one interval of the analysis, its first
    // delay, and what the proxies and the analysis need.
    const TAKEN_BACK: f64 = 20.0;
    stage.edit(teller, EDITS)?;
    watcher
        .until("version 3 to begin", JUDGED, |view| {
            matches!(view.phase, Phase::Progressing | Phase::Paused)
        })
        .await?;
    // Up to here version 2 was the one asked for, with all of the traffic.
    watcher.take_weights();
    let degraded = watcher
        .until("version 3 to be taken back", JUDGED, |view| {
            view.phase == Phase::Degraded && view.actual_weight_bp == 0
        })
        .await?;
    let now = serin::clock::now();
    let revision = newest(&degraded)?;
    let third = Version {
        name: "v3",
        replica_set: revision.replica_set.clone(),
    };
    let weights = watcher.take_weights();
    promises.check(
        weights.contains(&1_000) && weights.iter().all(|weight| *weight <= 1_000),
        "version 3 got 10 % and never more",
    );
    promises.check(
        revision
            .runs
            .iter()
            .any(|run| run.phase == RunPhase::Failed),
        "the analysis failed version 3, and nobody else did anything",
    );
    promises.check(
        stable(&degraded) == Some(&second.replica_set) && degraded.header_routes.is_empty(),
        "version 2 is stable again and no header route is left",
    );
    let seen = watcher.client().traffic().await?;
    let seconds = seen
        .version(&third.replica_set)
        .map(|version| now.since(version.first_seen).as_secs_f64());
    promises.check(
        seconds.is_some_and(|seconds| seconds < TAKEN_BACK),
        match seconds {
            Some(seconds) => format!("{seconds:.1} seconds from its first request to weight 0"),
            None => "version 3 got requests".to_string(),
        },
    );
    nobody_reaches(watcher, promises, &third).await?;
    stage.serin(teller, &["get", ROLLOUT]).await?;
    Ok(third)
}

/// Once the weight is back at 0, and what was under way then is answered, not one request more.
async fn nobody_reaches(
    watcher: &Watcher<'_>,
    promises: &mut Promises,
    third: &Version,
) -> anyhow::Result<()> {
    const FURTHER: u64 = 200;
    let answered = |report: &serin::traffic_report::TrafficReport| {
        let version = report.version(&third.replica_set);
        version.map_or(0, |version| version.ok + version.server_errors)
    };
    let settled = watcher.traffic_after(0).await?;
    let later = watcher.traffic_after(FURTHER).await?;
    promises.check(
        answered(&later) == answered(&settled),
        format!("none of the next {FURTHER} requests reached version 3"),
    );
    Ok(())
}

//! A release that goes badly, and is taken back with nobody's help.

use std::time::Duration;

use serin::traffic_report::TrafficReport;
use serin::view::RolloutView;
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
    ("--error-rate=0.002", "--error-rate=0.2"),
    ("pause: {}", "pause: {duration: 3s}"),
];

/// How long it may take until a bad version is taken back.
pub(super) const JUDGED: Duration = Duration::from_secs(90);

/// Releases version 3 and checks that it is taken back.
pub(super) async fn release(
    stage: &Stage,
    teller: &Teller,
    watcher: &mut Watcher<'_>,
    promises: &mut Promises,
    second: &Version,
) -> anyhow::Result<Version> {
    // From the first request to the weight back at 0: one interval of the analysis, its first
    // delay, and what the proxies and the analysis need.
    const TAKEN_BACK: f64 = 20.0;
    stage.edit(teller, EDITS)?;
    watcher
        .until_begun("version 3", JUDGED, &second.replica_set)
        .await?;
    let degraded = taken_back(watcher, promises, "version 3").await?;
    let third = Version::newest(&degraded, "v3")?;
    promises.check(
        newest(&degraded)?
            .runs
            .iter()
            .any(|run| run.phase == RunPhase::Failed),
        "the analysis failed version 3, and nobody else did anything",
    );
    promises.check(
        stable(&degraded) == Some(&second.replica_set) && degraded.header_routes.is_empty(),
        "version 2 is stable again and no header route is left",
    );
    let seconds = in_time(watcher, &third).await?;
    promises.check(
        seconds.is_some_and(|seconds| seconds < TAKEN_BACK),
        match seconds {
            Some(seconds) => format!("{seconds:.1} seconds from its first request to weight 0"),
            None => "version 3 got requests".to_string(),
        },
    );
    nobody_reaches(watcher, promises, &third, "version 3").await?;
    stage.serin(teller, &["get", ROLLOUT]).await?;
    Ok(third)
}

/// Waits until the version is taken back, and checks how much it got until then.
pub(super) async fn taken_back(
    watcher: &mut Watcher<'_>,
    promises: &mut Promises,
    version: &str,
) -> anyhow::Result<RolloutView> {
    let degraded = watcher
        .until(&format!("{version} to be taken back"), JUDGED, |view| {
            view.phase == Phase::Degraded && view.actual_weight_bp == 0
        })
        .await?;
    let weights = watcher.take_weights();
    promises.check(
        weights.contains(&1_000) && weights.iter().all(|weight| *weight <= 1_000),
        format!("{version} got 10 % and never more"),
    );
    Ok(degraded)
}

/// Seconds from the version's first request to now; none if it had none.
pub(super) async fn in_time(
    watcher: &Watcher<'_>,
    version: &Version,
) -> anyhow::Result<Option<f64>> {
    let now = serin::clock::now();
    let report = watcher.client().traffic().await?;
    let seen = report.version(&version.replica_set);
    Ok(seen.map(|seen| now.since(seen.first_seen).as_secs_f64()))
}

/// Once the weight is back at 0, and what was under way then is answered, not one request more. What
/// was counted by then.
pub(super) async fn nobody_reaches(
    watcher: &Watcher<'_>,
    promises: &mut Promises,
    version: &Version,
    called: &str,
) -> anyhow::Result<TrafficReport> {
    const FURTHER: u64 = 200;
    let answered = |report: &TrafficReport| {
        let version = report.version(&version.replica_set);
        version.map_or(0, |version| version.ok + version.server_errors)
    };
    let settled = watcher.traffic_after(0).await?;
    let later = watcher.traffic_after(FURTHER).await?;
    promises.check(
        answered(&later) == answered(&settled),
        format!("none of the next {FURTHER} requests reached {called}"),
    );
    Ok(later)
}

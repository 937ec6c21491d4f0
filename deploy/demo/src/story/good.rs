//! The first version, and a release that goes well.

use std::time::Duration;

use serin::local::traffic::USER_HEADER;
use serin::view::RolloutView;
use serin_core::step::{Phase, RunPhase};

use super::ROLLOUT;
use super::gateway::Gateway;
use super::promise::Promises;
use super::stage::Stage;
use super::teller::Teller;
use super::watch::{Watcher, newest};

/// What makes version 2 of version 1.
pub(super) const EDITS: &[(&str, &str)] = &[
    ("serin-demo:v1", "serin-demo:v2"),
    ("--version=v1", "--version=v2"),
];

/// A version that took part.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// What the app calls itself.
    pub(super) name: &'static str,
    /// Its ReplicaSet.
    pub(super) replica_set: String,
}

impl Version {
    /// The newest one.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn newest(view: &RolloutView, name: &'static str) -> anyhow::Result<Version> {
        Ok(Version {
            name,
            replica_set: newest(view)?.replica_set.clone(),
        })
    }
}

/// Waits until the first version serves.
pub(super) async fn first_version(watcher: &mut Watcher<'_>) -> anyhow::Result<Version> {
    const START: Duration = Duration::from_secs(60);
    let healthy = watcher
        .until("version 1 to be Healthy", START, |view| {
            view.phase == Phase::Healthy
        })
        .await?;
    let first = Version::newest(&healthy, "v1")?;
    watcher
        .traffic_until("version 1 to answer", |report| {
            report
                .version(&first.replica_set)
                .is_some_and(|version| version.ok > 0)
        })
        .await?;
    Ok(first)
}

/// Releases version 2 and checks what each step promises.
pub(super) async fn release(
    stage: &Stage,
    teller: &Teller,
    watcher: &mut Watcher<'_>,
    promises: &mut Promises,
    first: &Version,
) -> anyhow::Result<Version> {
    const FURTHER: u64 = 200;
    watcher.take_weights();
    stage.edit(teller, EDITS)?;

    let waiting = watcher
        .until("version 2 to wait for a person", STEP, |view| {
            view.phase == Phase::Paused && !view.header_routes.is_empty()
        })
        .await?;
    let second = Version::newest(&waiting, "v2")?;
    let gateway = Gateway::new(&waiting.gateway)?;
    by_header(teller, &gateway, promises, first, &second).await?;
    // The traffic has no such header, and the requests above are none of it.
    let others = watcher.traffic_after(FURTHER).await?;
    promises.check(
        waiting.actual_weight_bp == 0 && others.version(&second.replica_set).is_none(),
        format!("at weight 0 nobody else reached version 2, {FURTHER} requests later neither"),
    );

    stage.serin(teller, &["promote", ROLLOUT]).await?;
    let half = watcher
        .until(
            "half of the users on version 2, without the header route",
            JUDGED,
            |view| {
                view.phase == Phase::Paused
                    && view.actual_weight_bp == 5_000
                    && view.header_routes.is_empty()
            },
        )
        .await?;
    let runs = &newest(&half)?.runs;
    // The judge goes on beside the steps.
    let good = |phase| matches!(phase, RunPhase::Running | RunPhase::Successful);
    promises.check(
        runs.iter().any(|run| run.phase == RunPhase::Successful)
            && runs.iter().all(|run| good(run.phase)),
        "the analysis of version 2 succeeded",
    );
    without_header_route(teller, &gateway, promises, first).await?;

    let replica_set = second.replica_set.clone();
    let done = watcher
        .until("version 2 to be Healthy", STEP, |view| {
            view.phase == Phase::Healthy && stable(view) == Some(&replica_set)
        })
        .await?;
    let weights = watcher.take_weights();
    let place = |weight| weights.iter().position(|seen| *seen == weight);
    promises.check(
        place(1_000).is_some() && place(1_000) < place(5_000),
        "version 2 got 10 % before it got 50 %",
    );
    let answer = gateway.show(teller, &[]).await?;
    promises.check(
        answer.replica_set == second.replica_set && done.header_routes.is_empty(),
        "in the end version 2 answers everybody",
    );
    Ok(second)
}

/// How long a step may take that waits for nothing but processes and proxies.
const STEP: Duration = Duration::from_secs(60);

/// How long the steps with an analysis may take.
const JUDGED: Duration = Duration::from_secs(90);

/// The ReplicaSet that serves everybody.
pub(super) fn stable(view: &RolloutView) -> Option<&String> {
    let mut revisions = view.revisions.iter();
    let stable = revisions.find(|revision| revision.role.as_deref() == Some("stable"));
    stable.map(|revision| &revision.replica_set)
}

/// The header decides, and nothing else.
async fn by_header(
    teller: &Teller,
    gateway: &Gateway,
    promises: &mut Promises,
    first: &Version,
    second: &Version,
) -> anyhow::Result<()> {
    let with = gateway.show(teller, &[("X-Canary", "true")]).await?;
    promises.check(
        (with.status, &with.replica_set) == (200, &second.replica_set) && with.body == "v2",
        "a request with the header X-Canary: true reached version 2",
    );
    let without = gateway.show(teller, &[]).await?;
    promises.check(
        // One request in five hundred fails, which may be this one.
        without.replica_set == first.replica_set && without.body == "v1",
        "a request without it reached version 1",
    );
    Ok(())
}

/// The header route is gone: a user of version 1 stays there, header or not.
async fn without_header_route(
    teller: &Teller,
    gateway: &Gateway,
    promises: &mut Promises,
    first: &Version,
) -> anyhow::Result<()> {
    let user = gateway.user_of(&first.replica_set).await?;
    let user = user.unwrap_or_default();
    let headers = [(USER_HEADER, user.as_str()), ("X-Canary", "true")];
    let answer = gateway.show(teller, &headers).await?;
    promises.check(
        answer.replica_set == first.replica_set,
        "without the header route a user of version 1 stays there, header or not",
    );
    Ok(())
}

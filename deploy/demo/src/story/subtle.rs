//! A release that is worse than what it replaces and still better than any threshold: it is taken back
//! by what it is compared with.

use serin::view::{RevisionView, RunView};
use serin_core::step::{Phase, RunPhase};

use super::ROLLOUT;
use super::bad::{JUDGED, in_time, nobody_reaches, taken_back};
use super::good::Version;
use super::promise::Promises;
use super::stage::Stage;
use super::teller::Teller;
use super::watch::{Watcher, newest};

/// What makes version 4 of version 3: one request in fifty fails, of version 2 one in five hundred, and
/// the threshold is one in twenty.
pub(super) const EDITS: &[(&str, &str)] = &[
    ("serin-demo:v3", "serin-demo:v4"),
    ("--version=v3", "--version=v4"),
    ("--error-rate=0.2", "--error-rate=0.02"),
];

/// What the judge says of a version that it takes back.
const WORSE: &str = "times as often as stable";

/// Releases version 4 and checks that the judge takes it back, which nobody else would.
pub(super) async fn release(
    stage: &Stage,
    teller: &Teller,
    watcher: &mut Watcher<'_>,
    promises: &mut Promises,
    third: &Version,
) -> anyhow::Result<Version> {
    const TAKEN_BACK: f64 = 60.0;
    stage.edit(teller, EDITS)?;
    watcher
        .until_begun("version 4", JUDGED, &third.replica_set)
        .await?;
    let suspect = |run: &RunView| run.message.contains("not enough yet");
    watcher
        .until("the judge to suspect version 4", JUDGED, |view| {
            let newest = view.revisions.first();
            newest.is_some_and(|newest| newest.runs.iter().any(suspect))
                || view.phase == Phase::Degraded
        })
        .await?;
    stage
        .serin_with(teller, &["get", ROLLOUT], "judge:")
        .await?;
    let degraded = taken_back(watcher, promises, "version 4").await?;
    let fourth = Version::newest(&degraded, "v4")?;
    let seconds = in_time(watcher, &fourth).await?;
    let revision = newest(&degraded)?;
    promises.check(
        passes(revision),
        "no threshold failed version 4: success rate, latency and dependency were all good",
    );
    let judged = judged(revision).unwrap_or_default();
    promises.check(
        judged.contains(WORSE),
        format!("the judge took it back: {judged}"),
    );
    let report = nobody_reaches(watcher, promises, &fourth, "version 4").await?;
    let failed = report
        .version(&fourth.replica_set)
        .map_or(0, |seen| seen.server_errors);
    promises.check(
        seconds.is_some_and(|seconds| seconds < TAKEN_BACK),
        match seconds {
            Some(seconds) => format!(
                "{seconds:.1} seconds and {failed} failed requests from its first request to weight 0"
            ),
            None => "version 4 got requests".to_string(),
        },
    );
    Ok(fourth)
}

/// Whether the thresholds have looked and found nothing bad.
fn passes(revision: &RevisionView) -> bool {
    let mut thresholds = revision.runs.iter().filter(|run| !is_judge(run));
    thresholds.clone().any(|run| run.successful > 0)
        && thresholds.all(|run| matches!(run.phase, RunPhase::Running | RunPhase::Successful))
}

/// The judge's sentence, without what Argo Rollouts puts around it.
fn judged(revision: &RevisionView) -> Option<&str> {
    let run = revision.runs.iter().find(|run| is_judge(run))?;
    let sentence = run.message.find("canary fails")?;
    let sentence = run.message.get(sentence..)?;
    Some(sentence.trim_end_matches('"'))
}

fn is_judge(run: &RunView) -> bool {
    run.phase == RunPhase::Failed && run.message.contains(WORSE)
}

#[cfg(test)]
mod tests {
    use serin::view::SetHealth;
    use serin_core::time::Timestamp;

    use super::*;

    fn run(phase: RunPhase, message: &str) -> RunView {
        RunView {
            name: "shop-bbb-4".into(),
            phase,
            message: message.into(),
            created: Timestamp(1),
            successful: u32::from(message.is_empty()),
            failed: 0,
            inconclusive: 0,
            error: 0,
        }
    }

    fn revision(runs: [RunView; 2]) -> RevisionView {
        RevisionView {
            number: 4,
            replica_set: "shop-bbb".into(),
            hash: "bbb".into(),
            images: Vec::new(),
            role: None,
            desired: 0,
            health: SetHealth::ScaledDown,
            created: Timestamp(1),
            scale_down_at: None,
            pods: Vec::new(),
            runs: runs.into(),
        }
    }

    #[test]
    fn a_threshold_that_fails_breaks_the_promise() {
        const SAID: &str = "Metric \"judge\" assessed Failed due to failed (1) > failureLimit (0): \
                            \"Error Message: canary fails 9.1 times as often as stable (6 of 301 \
                            against 7 of 3,157); odds of this by chance below 1 in 110\"";
        let judge = run(RunPhase::Failed, SAID);
        let good = revision([judge.clone(), run(RunPhase::Successful, "")]);
        assert!(passes(&good));
        let sentence = "canary fails 9.1 times as often as stable (6 of 301 against 7 of 3,157); odds \
                        of this by chance below 1 in 110";
        assert_eq!(judged(&good), Some(sentence));
        assert!(!passes(&revision([judge, run(RunPhase::Failed, "")])));
    }
}

//! The acts: a version that serves everybody, a good release, and a bad one that nobody watches.

use serde_json::Value;
use serin_demo::story::{Promises, Teller};
use serin_tests::cluster::Cluster;
use serin_tests::cluster::traffic::Outcome;
use std::time::{Duration, Instant};

use crate::stage::Stage;

/// Tells it; whether all was as promised.
pub(crate) async fn tell(cluster: &Cluster) -> bool {
    let (teller, mut promises) = (Teller::for_stdout(), Promises::default());
    let stage = Stage::set(cluster, &teller).await;
    teller.heading("1. Version 1 serves everybody");
    stage.apply("v1", "0").await;
    stage.watch(|rollout| is(rollout, "Healthy")).await;
    stage.until_answered().await;
    let sending = stage.send();

    teller.line("");
    teller.heading("2. Version 2 is a good release");
    stage.apply("v2", "0").await;
    stage.watch(|rollout| is(rollout, "Paused")).await;
    let (with, without) = (stage.ask(true), stage.ask(false));
    promises.check(
        with == "v2",
        "a request with the header X-Canary: true reached version 2",
    );
    promises.check(without == "v1", "a request without it reached version 1");
    stage.serin(&["promote", "shop"]);
    stage.watch(|rollout| is(rollout, "Healthy")).await;
    let answer = stage.ask(false);
    promises.check(answer == "v2", "in the end version 2 answers everybody");
    let good = sending.so_far();
    let failed = good.failed();
    let what = format!("no request of {} failed: {failed:?}", good.answers.len());
    promises.check(failed.is_empty(), what);

    teller.line("");
    teller.heading("3. Version 3 answers every fifth request with an error, and nobody watches");
    stage.apply("v3", "0.2").await;
    stage.watch(|rollout| is(rollout, "Paused")).await;
    stage.serin(&["promote", "shop"]);
    let begun = Instant::now();
    let aborted = stage.watch(|rollout| is(rollout, "Degraded")).await;
    stage.serin(&["get", "shop", "--no-color"]);
    let why = aborted["status"]["message"].as_str().unwrap_or_default();
    promises.check(
        why.contains("success-rate"),
        "the analysis failed version 3",
    );
    let took = begun.elapsed();
    let what = format!(
        "{:.1} seconds from its first weight to its end",
        took.as_secs_f64()
    );
    promises.check(took < Duration::from_secs(30), what);
    stage
        .watch(|rollout| rollout["status"]["canary"]["weights"]["verified"] == true)
        .await;
    let quiet = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let outcome = sending.stop();
    let after = outcome.since(quiet);
    let what = format!(
        "{} requests afterwards, none of them to version 3",
        after.answers.len()
    );
    promises.check(
        after.of("v2") == after.answers.len() && after.of("v2") > 100,
        what,
    );

    teller.line("");
    teller.heading("What it came to");
    sum_up(&teller, &outcome);
    teller.line("");
    promises.list(&teller);
    promises.all_kept()
}

fn is(rollout: &Value, phase: &str) -> bool {
    rollout["status"]["phase"] == phase
}

fn sum_up(teller: &Teller, outcome: &Outcome) {
    let all = outcome.answers.len();
    let errors = outcome.answers.iter().filter(|answer| answer.status >= 500);
    teller.line(&format!(
        "  {all} requests answered, {} without an answer, {} of them with an error",
        outcome.failures.len(),
        errors.count()
    ));
    for version in ["v1", "v2", "v3"] {
        teller.line(&format!("  {version} answered {:>6}", outcome.of(version)));
    }
}

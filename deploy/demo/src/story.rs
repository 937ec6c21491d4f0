//! One good release and two bad ones, told while they happen. In comes a built checkout, out go
//! lines for a person and whether everything was as promised.

mod bad;
mod edit;
mod gateway;
mod good;
mod left;
mod promise;
mod stage;
mod stop;
mod subtle;
mod teller;
mod watch;

use std::time::{Duration, Instant};

use anyhow::Context;

pub use promise::Promises;
pub use teller::Teller;

use stage::Stage;
use stop::Stop;
use watch::Watcher;

/// The Rollout that is released.
const ROLLOUT: &str = "shop";

/// Its namespace.
const NAMESPACE: &str = "default";

/// Requests a second: enough that ten percent of them say something within seconds.
const RATE: u32 = 200;

/// Tells the story; returns whether all was as promised. With `keep` all is left running until
/// interrupted.
///
/// # Errors
/// If the story cannot be told to its end.
pub async fn tell(keep: bool) -> anyhow::Result<bool> {
    let teller = Teller::for_stdout();
    let mut stop = Stop::listen().context("listen to signals")?;
    let mut stage = Stage::set(&teller)?;
    let told = tokio::select! {
        told = acts(&stage, &teller) => told,
        gone = stage.gone() => Err(gone),
        () = stop.asked() => {
            teller.line("");
            teller.line("Interrupted: everything is being stopped.");
            strike(stage, &teller).await?;
            return Ok(false);
        }
    };
    let kept = match told {
        Ok(promises) => promises.all_kept(),
        Err(error) => {
            let log = stage.leave_log().await;
            return Err(error.context(format!("the story broke off (its log: {log})")));
        }
    };
    if keep {
        teller.line("");
        teller.heading("It is left running. Things to try, in another terminal:");
        stage.suggest(&teller);
        tokio::select! {
            gone = stage.gone() => return Err(gone),
            () = stop.asked() => {}
        }
        teller.line("");
    }
    Ok(strike(stage, &teller).await? && kept)
}

/// Stops everything; returns whether nothing is left, as was promised.
async fn strike(stage: Stage, teller: &Teller) -> anyhow::Result<bool> {
    let left = stage.strike().await?;
    let mut promises = Promises::default();
    let what = match left.is_empty() {
        true => "everything is stopped, and no process of it is left".to_string(),
        false => format!("no process is left, but {}", left.join(", ")),
    };
    promises.check(left.is_empty(), what);
    promises.list(teller);
    Ok(promises.all_kept())
}

/// The acts in their order. What they promise is checked as they go on and listed at the end.
async fn acts(stage: &Stage, teller: &Teller) -> anyhow::Result<Promises> {
    const PROMISED: Duration = Duration::from_secs(180);
    let began = Instant::now();
    let mut promises = Promises::default();
    let mut watcher = Watcher::new(stage, teller)?;

    teller.heading("1. Version 1 serves everybody");
    let first = good::first_version(&mut watcher).await?;

    teller.line("");
    teller.heading("2. Version 2 is a good release");
    let second = good::release(stage, teller, &mut watcher, &mut promises, &first).await?;

    teller.line("");
    teller.heading("3. Version 3 answers every fifth request with an error, and nobody watches");
    let third = bad::release(stage, teller, &mut watcher, &mut promises, &second).await?;

    teller.line("");
    teller.heading("4. Version 4 fails ten times as often as version 2, which no threshold sees");
    let fourth = subtle::release(stage, teller, &mut watcher, &mut promises, &third).await?;

    teller.line("");
    teller.heading("What it came to");
    let report = watcher
        .traffic_after(0)
        .await
        .context("ask for the traffic")?;
    promise::sum_up(teller, &report, &[&first, &second, &third, &fourth]);
    promise::about_traffic(&mut promises, &report, &[&third, &fourth]);
    let took = began.elapsed();
    promises.check(
        took < PROMISED,
        format!("all of it took {} seconds", took.as_secs()),
    );

    teller.line("");
    promises.list(teller);
    Ok(promises)
}

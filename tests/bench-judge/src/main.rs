//! `make bench-judge`: releases that are simulated, under the judge and under two rules of thresholds.
//!
//! It prints the tables as they stand in README, and then every goal that was missed, with which it
//! ends with an error. The same number of releases gives the same tables on any machine.

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result};

use report::Report;

mod latency;
mod many;
mod ramp;
mod release;
mod report;
mod rows;
mod service;

/// So many releases tell 2 in 1,000 from 1 in 1,000: their standard errors are 0.3 and 0.2.
const RELEASES: usize = 20_000;
/// One with latency takes as long as so many without, and its goals are not so close.
const LATENCY: usize = 10;

fn main() -> Result<ExitCode> {
    let releases = match env::args().nth(1) {
        Some(text) => text
            .parse()
            .with_context(|| format!("{text:?} releases, expected a number"))?,
        None => RELEASES,
    };
    let mut report = Report::default();
    let mut seeds = 0..;
    let mut seed = || seeds.next().unwrap_or_default();

    report.begin_healthy(releases);
    for row in rows::healthy() {
        let ends = many::run(releases, seed(), |random| {
            release::simulate(row.service, random)
        });
        report.healthy(&row, &ends);
    }
    report.begin_bad();
    for row in rows::bad() {
        let ends = many::run(releases, seed(), |random| {
            release::simulate(row.service, random)
        });
        report.bad(&row, &ends);
    }
    let releases = releases.div_ceil(LATENCY);
    report.begin_latency(releases);
    for row in latency::ROWS {
        let ends = latency::RATES.map(|rate| {
            many::run(releases, seed(), |random| {
                latency::simulate(rate, row.slowness, random)
            })
        });
        report.latency(&row, &ends);
    }
    Ok(match report.end() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

//! `serin replay`: what each judge would have said of a recorded release.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::screen;
use crate::recording::Reader;
use crate::replay::{self, Asked, Judge};

/// `serin replay`
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// The recording, as `serin record` writes it
    #[arg(value_name = "FILE")]
    recording: PathBuf,
    /// One judge instead of all; may be given several times
    #[arg(long = "judge", value_name = "JUDGE")]
    judges: Vec<Judge>,
    /// Draw the evidence over time into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The probability that compare blames a healthy canary
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = probability)]
    alpha: f64,
    /// The objective of all judges: the percentage of requests that succeeds
    #[arg(long, value_name = "PERCENT", default_value_t = 99.0, value_parser = percentage)]
    slo: f64,
    /// Plain text (as with NO_COLOR=1)
    #[arg(long)]
    no_color: bool,
}

impl Replay {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let asked = Asked {
            judges: match self.judges.is_empty() {
                true => Judge::ALL.to_vec(),
                false => self.judges,
            },
            alpha: self.alpha,
            objective: self.slo / 100.0,
        };
        let path = self.recording;
        let file = File::open(&path).with_context(|| format!("read {}", path.display()))?;
        let replayed =
            Reader::open(BufReader::new(file)).and_then(|reader| replay::replay(reader, &asked));
        let replayed = replayed.with_context(|| format!("read {}", path.display()))?;
        screen::write(&replay::text(&replayed, screen::paint(self.no_color)))?;
        if let Some(svg) = self.svg {
            let written = fs::write(&svg, replay::chart(&replayed));
            written.with_context(|| format!("write {}", svg.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn probability(text: &str) -> Result<f64, String> {
    // Below this the limit has more digits than evidence ever has.
    const LEAST: f64 = 1e-12;
    let number: Option<f64> = text.parse().ok();
    let number = number.filter(|number| (LEAST..1.0).contains(number));
    number.ok_or_else(|| format!("expected a number from {LEAST} to below 1"))
}

fn percentage(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim_end_matches(['%', ' ']).parse().ok();
    let number = number.filter(|number| *number > 0.0 && *number < 100.0);
    number.ok_or_else(|| "expected a percentage above 0 and below 100, such as 99.9".to_string())
}

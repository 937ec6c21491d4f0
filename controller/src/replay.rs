//! A recorded release judged again: samples in, what each judge says of them out, tick by tick.
//!
//! A judge that has taken the release back is not asked again, as it would not be in a release. The
//! recording goes on all the same, so all judges see what the others see.

mod chart;
mod judges;
mod text;

#[cfg(test)]
mod tests;

pub use chart::chart;
pub use judges::{Judge, Said};
pub use text::text;

use std::io::BufRead;

use serin_core::judge::latency::Latency;
use serin_core::judge::{Parameters, State};
use serin_core::time::Timestamp;

use crate::recording::{Header, ReadError, Reader, Sample};
use judges::Sitting;

/// How it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// By whom.
    pub judges: Vec<Judge>,
    /// The probability that compare blames a healthy canary.
    pub alpha: f64,
    /// The share of requests that is to succeed, 0 to 1, for all judges.
    pub objective: f64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Which release it is.
    pub header: Header,
    /// Those of compare.
    pub parameters: Parameters,
    /// What each judge said, in the order asked for.
    pub judged: Vec<Judged>,
    /// What compare knew at each tick.
    pub looks: Vec<Look>,
}

/// What a judge said of a release.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Who.
    pub judge: Judge,
    /// Whenever it said something else than before.
    pub changes: Vec<Change>,
    /// Requests of the canary that failed until it was taken back, or until the recording's end.
    pub failed: u64,
}

/// A judge says something else than before.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The canary's weight then.
    pub weight_bp: u16,
    /// Requests of the canary that had failed by then.
    pub failed: u64,
    /// What.
    pub said: Said,
}

/// What compare knows at a tick; evidence is a logarithm.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// The canary's weight.
    pub weight_bp: u16,
    /// That the canary fails more often.
    pub fails: f64,
    /// That it is slower; none where nobody measured it.
    pub slow: Option<f64>,
    /// That it is as good as stable.
    pub good: f64,
}

/// Judges a recording to its end.
///
/// # Errors
/// If a line of it is wrong.
pub fn replay<R: BufRead>(reader: Reader<R>, asked: &Asked) -> Result<Replay, ReadError> {
    let header = reader.header().clone();
    let parameters = parameters(asked, &header);
    let mut compare = State::begin(&parameters, header.begun, None, &[]);
    let mut courts: Vec<Court> = asked
        .judges
        .iter()
        .map(|judge| Court::open(*judge, &parameters, header.begun))
        .collect();
    let (mut looks, mut failed) = (Vec::new(), 0);
    for sample in reader {
        let sample = sample?;
        failed += sample.tick.errors.canary.bad;
        for court in &mut courts {
            court.take(&parameters, &sample, failed);
        }
        compare.take(&parameters, &sample.tick);
        looks.push(Look {
            at: sample.tick.at,
            weight_bp: sample.weight_bp,
            fails: compare.worse.ln(),
            slow: compare.latency.as_ref().map(Latency::ln),
            good: compare.ln_good(&parameters),
        });
    }
    Ok(Replay {
        header,
        parameters,
        judged: courts.into_iter().map(|court| court.judged).collect(),
        looks,
    })
}

/// Where nobody measured latency, errors have all of alpha.
fn parameters(asked: &Asked, header: &Header) -> Parameters {
    let mut parameters = Parameters {
        alpha: asked.alpha,
        allowed: 1.0 - asked.objective,
        ..Parameters::default()
    };
    parameters.promotion.tolerated = parameters.allowed;
    parameters.latency = parameters.latency.filter(|_| !header.bounds.is_empty());
    parameters
}

/// A judge, and what it has said so far.
struct Court {
    sitting: Sitting,
    judged: Judged,
}

impl Court {
    fn open(judge: Judge, parameters: &Parameters, now: Timestamp) -> Court {
        Court {
            sitting: Sitting::begin(judge, parameters, now),
            judged: Judged {
                judge,
                changes: Vec::new(),
                failed: 0,
            },
        }
    }

    fn take(&mut self, parameters: &Parameters, sample: &Sample, failed: u64) {
        let last = self.judged.changes.last();
        if last.is_some_and(|last| last.said.is_over()) {
            return;
        }
        let last = last.map(|last| last.said.kind);
        self.judged.failed = failed;
        let said = self.sitting.take(parameters, sample);
        if let Some(said) = said.filter(|said| last != Some(said.kind)) {
            self.judged.changes.push(Change {
                at: sample.tick.at,
                weight_bp: sample.weight_bp,
                failed,
                said,
            });
        }
    }
}

impl Judged {
    /// The change that it ended with: a verdict, or that there is none.
    pub fn end(&self) -> Option<&Change> {
        self.changes.last().filter(|last| last.said.is_verdict())
    }
}

impl Replay {
    /// When the last tick ended.
    fn until(&self) -> Timestamp {
        self.looks.last().map_or(self.header.begun, |last| last.at)
    }

    /// Seconds from the beginning.
    fn seconds(&self, at: Timestamp) -> f64 {
        at.since(self.header.begun).as_secs_f64()
    }
}

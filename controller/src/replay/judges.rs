//! The judges, side by side: a sample in, what each says out.

use serin_core::judge::flagger::{self, Flagger};
use serin_core::judge::threshold::{self, Threshold};
use serin_core::judge::{Parameters, Reason, State, Verdict, baseline};
use serin_core::time::Timestamp;
use std::mem::{Discriminant, discriminant};

use crate::recording::Sample;

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Judge {
    /// Serin's sequential test of canary against stable
    Compare,
    /// Argo Rollouts' rule: the fourth measurement below the objective
    Threshold,
    /// Flagger's rule: five checks below the objective
    Flagger,
}

impl Judge {
    /// All, in the order in which they are shown.
    pub const ALL: [Judge; 3] = [Judge::Compare, Judge::Threshold, Judge::Flagger];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Judge::Compare => "compare",
            Judge::Threshold => "threshold",
            Judge::Flagger => "flagger",
        }
    }
}

/// What a judge says.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// In one word.
    pub verdict: &'static str,
    /// In a sentence.
    pub sentence: String,
    /// Two of one kind differ in their numbers only.
    pub(super) kind: Kind,
}

/// What is said apart from its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Compare(&'static str, Discriminant<Reason>),
    /// So many looks have failed.
    Failed(&'static str, u32),
}

impl Said {
    /// Whether the release is taken back.
    pub fn is_over(&self) -> bool {
        self.verdict == "rollback"
    }

    /// Whether it is one of the two that a release waits for.
    pub fn is_verdict(&self) -> bool {
        self.is_over() || self.verdict == "promote"
    }
}

/// A judge at work.
pub(super) enum Sitting {
    Compare {
        state: State,
        weight_bp: u16,
    },
    Threshold {
        rule: Threshold,
        run: threshold::Run,
    },
    Flagger {
        rule: Flagger,
        analysis: flagger::Analysis,
    },
}

impl Sitting {
    pub(super) fn begin(judge: Judge, parameters: &Parameters, now: Timestamp) -> Sitting {
        let success = 1.0 - parameters.allowed;
        match judge {
            Judge::Compare => Sitting::Compare {
                state: State::begin(parameters, now, None, &[]),
                weight_bp: 0,
            },
            Judge::Threshold => {
                let rule = Threshold {
                    success,
                    ..Threshold::default()
                };
                let run = threshold::Run::begin(&rule, now);
                Sitting::Threshold { rule, run }
            }
            Judge::Flagger => {
                let rule = Flagger {
                    success,
                    ..Flagger::default()
                };
                let analysis = flagger::Analysis::begin(&rule, now);
                Sitting::Flagger { rule, analysis }
            }
        }
    }

    /// What it says of a tick; none where it does not look at it.
    pub(super) fn take(&mut self, parameters: &Parameters, sample: &Sample) -> Option<Said> {
        let tick = &sample.tick;
        match self {
            Sitting::Compare { state, weight_bp } => {
                // Another weight is another step, with a deadline of its own.
                if *weight_bp != sample.weight_bp {
                    *weight_bp = sample.weight_bp;
                    *state = state.clone().begin_step(state.at);
                }
                Some(of_compare(&state.take(parameters, tick)))
            }
            Sitting::Threshold { rule, run } => {
                of_rule(&run.take(rule, tick), |measurement| measurement.failed)
            }
            Sitting::Flagger { rule, analysis } => {
                of_rule(&analysis.take(rule, tick), |check| check.failed)
            }
        }
    }
}

fn of_compare(verdict: &Verdict) -> Said {
    Said {
        verdict: verdict.name(),
        sentence: verdict.to_string(),
        kind: Kind::Compare(verdict.name(), discriminant(verdict.reason())),
    }
}

fn of_rule<Look: std::fmt::Display>(
    verdict: &baseline::Verdict<Look>,
    failed: impl Fn(&Look) -> u32,
) -> Option<Said> {
    let (baseline::Verdict::GoOn(look) | baseline::Verdict::RollBack(look)) = verdict else {
        return None;
    };
    Some(Said {
        verdict: verdict.name(),
        sentence: verdict.to_string(),
        kind: Kind::Failed(verdict.name(), failed(look)),
    })
}

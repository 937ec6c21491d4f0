//! The steps, one a line: which are done, which is under way, which are still to come.

use serin_core::step::Phase;

use super::paint::{Colour, Paint};
use crate::view::RolloutView;

/// The step list with a mark before each step.
pub(super) fn pipeline(view: &RolloutView, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.colour(Colour::Bold, "STEPS"));
    let digits = view.steps.len().to_string().len();
    for (i, step) in view.steps.iter().enumerate() {
        let (mark, colour) = mark(view, i);
        let number = i + 1;
        let line = format!("{mark} {number:>digits$}  {}", step.text);
        text.push_str(&format!("  {}\n", paint.colour(colour, &line)));
    }
    text
}

fn mark(view: &RolloutView, step: usize) -> (&'static str, Colour) {
    if step < view.step_index {
        ("✔", Colour::Green)
    } else if step > view.step_index {
        ("•", Colour::Dim)
    } else {
        match view.phase {
            Phase::Paused => ("॥", Colour::Yellow),
            // A release that was taken back stands before its first step again; only one that is
            // stuck has a step to point at.
            Phase::Degraded if view.step_index == 0 => ("•", Colour::Dim),
            Phase::Degraded => ("✖", Colour::Red),
            Phase::Progressing | Phase::Healthy => ("▶", Colour::Cyan),
        }
    }
}

//! A lane for each judge: a mark wherever it said something else, and what it came to.

use super::canvas::{Anchor, Canvas, width};
use super::scale::Time;
use super::{LEFT, Panel, RIGHT, Replay, WIDTH};
use crate::replay::text::{NO_ROLLBACK, seconds};

const HEIGHT: f64 = 26.0;

pub(super) fn height(replay: &Replay) -> f64 {
    let lanes = u32::try_from(replay.judged.len()).unwrap_or(u32::MAX);
    HEIGHT * f64::from(lanes)
}

pub(super) fn legend(canvas: &mut Canvas, left: f64, y: f64) {
    let before = "each judge ";
    canvas.text(left, y, Anchor::Start, "quiet", before);
    let mut x = left + width(before) + 6.0;
    for (verdict, about) in [
        ("wait", "waits"),
        ("hold", "holds"),
        ("promote", "would promote"),
        ("rollback", "takes it back"),
    ] {
        mark(canvas, x + 6.0, y - 4.5, verdict, "");
        canvas.text(x + 18.0, y, Anchor::Start, "", about);
        x += 18.0 + width(about) + 18.0;
    }
}

/// Lines through all panels where a judge found its verdict.
pub(super) fn verdicts(canvas: &mut Canvas, replay: &Replay, time: &Time, top: f64, bottom: f64) {
    for end in replay.judged.iter().filter_map(|judged| judged.end()) {
        let x = time.x(replay.seconds(end.at));
        let class = if end.said.is_over() { "fails" } else { "good" };
        canvas.line((x, top), (x, bottom), &format!("verdict {class}"));
    }
}

pub(super) fn draw(canvas: &mut Canvas, replay: &Replay, time: &Time, panel: Panel) {
    let mut y = panel.top + HEIGHT / 2.0;
    for judged in &replay.judged {
        let name = judged.judge.name();
        canvas.text(LEFT - 8.0, y + 4.5, Anchor::End, "", name);
        canvas.line((LEFT, y), (RIGHT, y), "grid");
        for change in &judged.changes {
            let at = replay.seconds(change.at);
            let about = format!("{name} after {}: {}", seconds(at), change.said.sentence);
            mark(canvas, time.x(at), y, change.said.verdict, &about);
        }
        let (class, end) = match judged.end() {
            Some(end) if end.said.is_over() => ("fails", end.said.verdict),
            Some(end) => ("good", end.said.verdict),
            None => ("quiet", NO_ROLLBACK),
        };
        let at = judged.end().map(|end| replay.seconds(end.at));
        let after = at.map_or(String::new(), |at| format!(" after {at:.0} s"));
        let room = WIDTH - RIGHT - 12.0;
        canvas.cut_text(RIGHT + 8.0, y + 4.5, class, &format!("{end}{after}"), room);
        y += HEIGHT;
    }
}

/// The mark of a verdict: each has a shape of its own, for those who see no colours.
fn mark(canvas: &mut Canvas, x: f64, y: f64, verdict: &str, about: &str) {
    let at = |way: &str| format!("M{x:.1} {y:.1}{way}");
    match verdict {
        "rollback" => canvas.shape(&at("m-5 -5l10 10m0 -10l-10 10"), "bold fails", about),
        "promote" => canvas.shape(&at("m-6 5h12l-6 -11z"), "full good", about),
        "hold" => canvas.shape(&at("m-4.5 -4.5h9v9h-9z"), "full hold", about),
        "inconclusive" => canvas.shape(&at("m0 -6l6 6l-6 6l-6 -6z"), "mark open", about),
        _ => canvas.shape(
            &at("m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z"),
            "mark open",
            about,
        ),
    }
}

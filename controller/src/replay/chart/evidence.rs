//! The evidence that compare had: a line for each kind, and the limits.

use serin_core::judge::verdict::grouped;

use super::canvas::{Anchor, Canvas, Point, width};
use super::scale::{Decades, Time};
use super::{LEFT, Panel, RIGHT, Replay};
use crate::replay::Look;

/// A kind of evidence.
struct Kind {
    class: &'static str,
    about: &'static str,
    of: fn(&Look) -> Option<f64>,
}

const KINDS: [Kind; 3] = [
    Kind {
        class: "line fails",
        about: "the canary fails more often",
        of: |look| Some(look.fails),
    },
    Kind {
        class: "line slow",
        about: "it is slower",
        of: |look| look.slow,
    },
    Kind {
        class: "line good dots",
        about: "it is as good as stable",
        of: |look| Some(look.good),
    },
];

/// Those that were measured.
fn kinds(replay: &Replay) -> impl Iterator<Item = Kind> {
    let measured = replay.looks.iter().any(|look| look.slow.is_some());
    let seen = move |kind: &Kind| kind.class != "line slow" || measured;
    KINDS.into_iter().filter(seen)
}

pub(super) fn legend(canvas: &mut Canvas, replay: &Replay, left: f64, y: f64) {
    const SWATCH: f64 = 26.0;
    let before = "evidence that";
    canvas.text(left, y, Anchor::Start, "quiet", before);
    let mut x = left + width(before) + 6.0;
    for kind in kinds(replay) {
        canvas.line((x, y - 4.5), (x + SWATCH, y - 4.5), kind.class);
        canvas.text(x + SWATCH + 6.0, y, Anchor::Start, "", kind.about);
        x += SWATCH + 6.0 + width(kind.about) + 16.0;
    }
}

pub(super) fn draw(canvas: &mut Canvas, replay: &Replay, time: &Time, panel: Panel) {
    let (back, on) = limits(replay);
    let all = replay.looks.iter();
    let all = all.flat_map(|look| [look.fails, look.good].into_iter().chain(look.slow));
    let decades = Decades::of(&[back.ln, on.ln], all);
    let y = |ln: f64| panel.bottom - (panel.bottom - panel.top) * decades.share(ln);

    for (ln, label) in decades.labels() {
        canvas.line((LEFT, y(ln)), (RIGHT, y(ln)), "grid");
        canvas.text(LEFT - 8.0, y(ln) + 4.5, Anchor::End, "", &label);
    }
    canvas.upright(24.0, panel.middle(), "evidence (times as likely, log)");
    canvas.rectangle((LEFT, panel.top), (RIGHT, panel.bottom), "frame");

    let places = apart(y(back.ln), y(on.ln));
    for (limit, place) in [(&back, places.0), (&on, places.1)] {
        let (line, text) = (format!("limit {}", limit.class), limit.class);
        canvas.line((LEFT, y(limit.ln)), (RIGHT, y(limit.ln)), &line);
        canvas.text(RIGHT + 8.0, place + 4.5, Anchor::Start, text, &limit.label);
    }
    for kind in kinds(replay) {
        let points = replay.looks.iter().filter_map(|look| {
            let ln = (kind.of)(look)?;
            Some((time.x(replay.seconds(look.at)), y(ln)))
        });
        let begun = (LEFT, y(0.0));
        let points: Vec<Point> = std::iter::once(begun).chain(points).collect();
        canvas.path(&thinned(&points), kind.class);
    }
}

struct Limit {
    ln: f64,
    label: String,
    class: &'static str,
}

/// The limits of rollback and of promotion. Two tests share alpha where latency is judged.
fn limits(replay: &Replay) -> (Limit, Limit) {
    let parameters = &replay.parameters;
    let tests = if parameters.latency.is_some() { 2 } else { 1 };
    let back = parameters.limit();
    let on = 1.0 / parameters.promotion.beta;
    (
        Limit {
            ln: back.ln(),
            label: format!("rollback {tests}/α = {}", short(back)),
            class: "fails",
        },
        Limit {
            ln: on.ln(),
            label: format!("promotion 1/β = {}", short(on)),
            class: "good",
        },
    )
}

/// A limit in few characters.
fn short(limit: f64) -> String {
    const LARGE: f64 = 1e6;
    match limit < LARGE {
        true => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it lies between 1 and LARGE"
            )]
            let whole = limit.round() as u64;
            grouped(whole)
        }
        false => format!("{limit:.0e}"),
    }
}

/// Two places of labels, moved apart as far as letters are high.
fn apart(one: f64, other: f64) -> (f64, f64) {
    const HIGH: f64 = 17.0;
    let (middle, distance) = (f64::midpoint(one, other), (one - other).abs());
    let half = distance.max(HIGH) / 2.0;
    match one <= other {
        true => (middle - half, middle + half),
        false => (middle + half, middle - half),
    }
}

/// Of the points in one column, those that can be seen: the first, the highest, the lowest, the last.
fn thinned(points: &[Point]) -> Vec<Point> {
    let column = |point: &Point| point.0.round();
    let columns = points.chunk_by(|one, other| column(one) == column(other));
    let seen = columns.flat_map(|points| {
        let by_height = |one: &&Point, other: &&Point| one.1.total_cmp(&other.1);
        let seen = [
            points.first(),
            points.iter().min_by(by_height),
            points.iter().max_by(by_height),
            points.last(),
        ];
        let mut seen: Vec<Point> = seen.into_iter().flatten().copied().collect();
        seen.sort_by(|one, other| one.0.total_cmp(&other.0));
        seen.dedup();
        seen
    });
    seen.collect()
}

//! A replay as a picture: SVG that needs nothing but itself, in the reader's light or dark colours.
//!
//! From top to bottom: the evidence that compare had, a lane for each judge with a mark wherever it
//! said something else, and the canary's weight, all over the same time.

mod canvas;
mod evidence;
mod lanes;
mod scale;
mod weight;

use canvas::{Anchor, Canvas};
use scale::Time;

use super::Replay;
use super::text::seconds;
use crate::clock;

/// The picture's width; what is below it has its place from this one and from those above it.
const WIDTH: f64 = 960.0;
/// Where the time begins and ends; labels are left and right of it.
const LEFT: f64 = 92.0;
const RIGHT: f64 = 784.0;
/// Between two panels.
const GAP: f64 = 18.0;

/// The place of a panel.
#[derive(Clone, Copy, Debug)]
struct Panel {
    top: f64,
    bottom: f64,
}

impl Panel {
    fn below(top: f64, height: f64) -> Panel {
        Panel {
            top,
            bottom: top + height,
        }
    }

    fn middle(self) -> f64 {
        f64::midpoint(self.top, self.bottom)
    }
}

/// The picture.
pub fn chart(replay: &Replay) -> String {
    const HEAD: f64 = 112.0;
    let evidence = Panel::below(HEAD, 280.0);
    let lanes = Panel::below(evidence.bottom + GAP, lanes::height(replay));
    let weight = Panel::below(lanes.bottom + GAP, 80.0);
    let height = weight.bottom + 52.0;

    let time = Time::of(replay);
    let title = format!("{}/{}", replay.header.namespace, replay.header.rollout);
    let mut canvas = Canvas::new(WIDTH, height, &format!("Replay of {title}"));
    head(&mut canvas, replay, &title);
    axis(&mut canvas, &time, &[evidence, lanes, weight]);
    lanes::verdicts(&mut canvas, replay, &time, evidence.top, weight.bottom);
    evidence::draw(&mut canvas, replay, &time, evidence);
    lanes::draw(&mut canvas, replay, &time, lanes);
    weight::draw(&mut canvas, replay, &time, weight);
    canvas.finish()
}

/// Title and legends.
fn head(canvas: &mut Canvas, replay: &Replay, title: &str) {
    let header = &replay.header;
    let began = clock::text(header.begun);
    let whole = seconds(replay.seconds(replay.until()));
    let about = [
        format!("canary {} against stable {}", header.canary, header.stable),
        format!("{whole} from {began}"),
    ];
    canvas.cut_text(LEFT, 30.0, "title", title, WIDTH - 2.0 * LEFT);
    let [versions, when] = &about;
    let end = WIDTH - 16.0;
    canvas.text(end, 51.0, Anchor::End, "quiet", when);
    let room = end - LEFT - canvas::width(when) - 24.0;
    canvas.cut_text(LEFT, 51.0, "quiet", versions, room);
    evidence::legend(canvas, replay, LEFT, 74.0);
    lanes::legend(canvas, LEFT, 96.0);
}

/// What all panels share: frames, and the lines and labels of the time.
fn axis(canvas: &mut Canvas, time: &Time, panels: &[Panel]) {
    let labels = time.labels();
    for panel in panels {
        canvas.rectangle((LEFT, panel.top), (RIGHT, panel.bottom), "frame");
        for (x, _) in &labels {
            canvas.line((*x, panel.top), (*x, panel.bottom), "grid");
        }
    }
    let bottom = panels.last().map_or(0.0, |panel| panel.bottom);
    for (x, label) in &labels {
        canvas.text(*x, bottom + 18.0, Anchor::Middle, "", label);
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    canvas.text(middle, bottom + 40.0, Anchor::Middle, "", time.title());
}

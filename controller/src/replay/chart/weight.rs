//! The canary's weight, as steps.

use super::canvas::{Anchor, Canvas, Point};
use super::scale::{Time, number, step};
use super::{LEFT, Panel, RIGHT, Replay};

pub(super) fn draw(canvas: &mut Canvas, replay: &Replay, time: &Time, panel: Panel) {
    let percent = |weight_bp: u16| f64::from(weight_bp) / 100.0;
    let most = replay.looks.iter().map(|look| percent(look.weight_bp));
    let most = most.fold(0.0, f64::max);
    // Two steps or three: more labels have no room.
    let step = step(most.max(1.0), 2.0);
    let top = (most / step).ceil().max(1.0) * step;
    let y = |weight: f64| panel.bottom - (panel.bottom - panel.top) * weight / top;

    let labels = std::iter::successors(Some(0.0), |label| Some(label + step));
    for label in labels.take_while(|label| *label <= top) {
        canvas.line((LEFT, y(label)), (RIGHT, y(label)), "grid");
        canvas.text(LEFT - 8.0, y(label) + 4.5, Anchor::End, "", &number(label));
    }
    canvas.upright(24.0, panel.middle(), "weight (%)");
    canvas.rectangle((LEFT, panel.top), (RIGHT, panel.bottom), "frame");

    let mut points: Vec<Point> = Vec::new();
    for look in &replay.looks {
        let (x, y) = (time.x(replay.seconds(look.at)), y(percent(look.weight_bp)));
        // From where the last tick ended it is this tick's weight.
        if points.last().is_none_or(|last| last.1 != y) {
            points.push((points.last().map_or(LEFT, |last| last.0), y));
            points.push((x, y));
        } else if let Some(last) = points.last_mut() {
            last.0 = x;
        }
    }
    let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) else {
        return;
    };
    let mut area = vec![(first.0, panel.bottom)];
    area.extend(&points);
    area.push((last.0, panel.bottom));
    canvas.path(&area, "area");
    canvas.path(&points, "line weight");
}

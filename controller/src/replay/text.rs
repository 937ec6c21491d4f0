//! A replay for a terminal: a line for each change, and what it came to for each judge.

use serin_core::judge::verdict::grouped;

use super::{Change, Judged, Replay};
use crate::draw::{Colour, Paint};

/// The lines.
pub fn text(replay: &Replay, paint: Paint) -> String {
    let header = &replay.header;
    let mut text = format!(
        "{}/{}: canary {} against stable {}, {} ticks in {}\n\n",
        header.namespace,
        header.rollout,
        header.canary,
        header.stable,
        grouped(replay.looks.len() as u64),
        seconds(replay.seconds(replay.until())),
    );
    let heading = format!(
        "{:>8}  {:>7}  {:9}  {:12}  reason",
        "time", "weight", "judge", "verdict"
    );
    text.push_str(&paint.colour(Colour::Bold, &heading));
    text.push('\n');
    let mut changes: Vec<(&Judged, &Change)> = replay
        .judged
        .iter()
        .flat_map(|judged| judged.changes.iter().map(move |change| (judged, change)))
        .collect();
    changes.sort_by_key(|(_, change)| change.at);
    for (judged, change) in changes {
        text.push_str(&format!(
            "{:>8}  {:>7}  {:9}  {}  {}\n",
            seconds(replay.seconds(change.at)),
            weight(change.weight_bp),
            judged.judge.name(),
            word(change.said.verdict, paint),
            change.said.sentence,
        ));
    }
    text.push('\n');
    for judged in &replay.judged {
        text.push_str(&format!(
            "{:9}  {}\n",
            judged.judge.name(),
            end(replay, judged, paint)
        ));
    }
    text
}

/// What a judge came to.
fn end(replay: &Replay, judged: &Judged, paint: Paint) -> String {
    let requests = |failed: u64| match failed {
        1 => "1 canary request failed".to_string(),
        failed => format!("{} canary requests failed", grouped(failed)),
    };
    match judged.end() {
        Some(end) => format!(
            "{}  after {}; {} until then",
            word(end.said.verdict, paint),
            seconds(replay.seconds(end.at)),
            requests(end.failed),
        ),
        None => format!(
            "{}  in {}; {} in that time",
            word(NO_ROLLBACK, paint),
            seconds(replay.seconds(replay.until())),
            requests(judged.failed),
        ),
    }
}

/// What is said of a judge that never spoke.
pub(super) const NO_ROLLBACK: &str = "no rollback";

fn word(verdict: &str, paint: Paint) -> String {
    let word = format!("{verdict:12}");
    match verdict {
        "rollback" => paint.colour(Colour::Red, &word),
        "promote" => paint.colour(Colour::Green, &word),
        "hold" | "inconclusive" => paint.colour(Colour::Yellow, &word),
        _ => word,
    }
}

/// A time in seconds, with a digit of a fraction where it has one.
pub(super) fn seconds(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round();
    match tenths % 10.0 == 0.0 {
        true => format!("{:.0} s", tenths / 10.0),
        false => format!("{:.1} s", tenths / 10.0),
    }
}

/// A weight in percent.
pub(super) fn weight(weight_bp: u16) -> String {
    format!("{} %", f64::from(weight_bp) / 100.0)
}

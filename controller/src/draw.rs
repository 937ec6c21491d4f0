//! Text for people: what is known of Rollouts and the time come in, lines go out. Nothing here
//! prints or reads a clock.

mod age;
mod paint;
mod row;
mod steps;
mod symbol;
mod traffic;
mod tree;

use serin_core::time::Timestamp;
use unicode_width::UnicodeWidthStr;

use crate::view::{RevisionView, RolloutView, Strategy};

pub use age::age;
pub use paint::{Colour, Paint};
pub use row::list;
pub use traffic::traffic;

/// One Rollout in full: its facts, its steps, and the tree of what belongs to it.
pub fn rollout(view: &RolloutView, now: Timestamp, paint: Paint) -> String {
    let mut text = facts(view, paint);
    if !view.steps.is_empty() {
        text.push('\n');
        text.push_str(&steps::pipeline(view, paint));
    }
    text.push('\n');
    text.push_str(&tree::tree(view, now, paint));
    text
}

/// How a Rollout stands, on one line: `Paused - CanaryPauseStep`.
pub fn status(view: &RolloutView) -> String {
    if view.message.is_empty() {
        format!("{:?}", view.phase)
    } else {
        format!("{:?} - {}", view.phase, view.message)
    }
}

/// What a watcher in a pipe prints whenever it changes.
pub fn change(view: &RolloutView, paint: Paint) -> String {
    let (icon, colour) = symbol::phase(view.phase);
    let mut line = format!(
        "{} {}: {}, step {}, weight {}",
        paint.colour(colour, icon),
        paint.colour(Colour::Bold, &view.name),
        status(view),
        step_of(view),
        percent(view.actual_weight_bp)
    );
    if !view.header_routes.is_empty() {
        line.push_str(&format!(", header routes {}", view.header_routes.join(" ")));
    }
    for revision in view.revisions.iter().filter(|r| !r.pods.is_empty()) {
        let ready = revision.pods.iter().filter(|pod| pod.ready).count();
        line.push_str(&format!(
            ", revision {} {ready}/{} ready",
            revision.number, revision.desired
        ));
    }
    if let Some(stale) = &view.stale {
        line.push_str(&format!(", files {}", stale.state()));
    }
    line
}

/// A weight in percent, as exact as it is: `20`, `33.3`, `0.05`.
pub fn percent(basis_points: u16) -> String {
    let (whole, hundredths) = (basis_points / 100, basis_points % 100);
    match (hundredths, hundredths % 10) {
        (0, _) => whole.to_string(),
        (_, 0) => format!("{whole}.{}", hundredths / 10),
        _ => format!("{whole}.{hundredths:02}"),
    }
}

/// The step under way, counted as users of Argo Rollouts know it: steps done of all.
fn step_of(view: &RolloutView) -> String {
    format!("{}/{}", view.step_index, view.steps.len())
}

/// The strategy's name.
fn strategy(view: &RolloutView) -> &'static str {
    match view.strategy {
        Strategy::Canary => "Canary",
        Strategy::BlueGreen => "BlueGreen",
        Strategy::Unknown => "unknown",
    }
}

fn facts(view: &RolloutView, paint: Paint) -> String {
    let mut lines = Vec::new();
    let mut fact = |name: &str, value: String| lines.push(format!("{name:<17}{value}\n"));
    let (icon, colour) = symbol::phase(view.phase);

    fact("Name:", view.name.clone());
    fact("Namespace:", view.namespace.clone());
    fact(
        "Status:",
        format!("{} {:?}", paint.colour(colour, icon), view.phase),
    );
    if !view.message.is_empty() {
        fact("Message:", view.message.clone());
    }
    fact("Strategy:", strategy(view).to_string());
    if !view.steps.is_empty() {
        fact("  Step:", step_of(view));
    }
    if view.strategy == Strategy::Canary {
        fact("  SetWeight:", percent(view.set_weight_bp));
        fact("  ActualWeight:", percent(view.actual_weight_bp));
    }
    if !view.header_routes.is_empty() {
        fact("  HeaderRoutes:", view.header_routes.join(", "));
    }
    for (i, image) in images(view, paint).into_iter().enumerate() {
        fact(if i == 0 { "Images:" } else { "" }, image);
    }
    if !view.gateway.is_empty() {
        fact("Gateway:", view.gateway.clone());
    }
    if let Some(stale) = &view.stale {
        fact("Files:", format!("{}: {}", stale.state(), stale.why()));
    }
    for (i, notice) in view.notices.iter().enumerate() {
        fact(if i == 0 { "Notices:" } else { "" }, notice.clone());
    }
    let count = view.replicas;
    fact("Replicas:", String::new());
    fact("  Desired:", view.desired.to_string());
    fact("  Current:", count.current.to_string());
    fact("  Updated:", count.updated.to_string());
    fact("  Ready:", count.ready.to_string());
    fact("  Available:", count.available.to_string());
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// The images in use, newest first, each with the roles it has.
fn images(view: &RolloutView, paint: Paint) -> Vec<String> {
    let mut seen: Vec<(&str, Vec<&str>)> = Vec::new();
    let in_use = |r: &&RevisionView| r.role.is_some() || !r.pods.is_empty();
    for revision in view.revisions.iter().filter(in_use) {
        for image in &revision.images {
            let known = seen.iter().position(|(other, _)| other == image);
            let at = known.unwrap_or_else(|| {
                seen.push((image, Vec::new()));
                seen.len() - 1
            });
            let roles = &mut seen[at].1;
            roles.extend(revision.role.as_deref());
            // Two containers may share an image.
            roles.dedup();
        }
    }
    seen.into_iter()
        .map(|(image, roles)| {
            let roles: Vec<String> = roles.into_iter().map(|role| paint.role(role)).collect();
            match roles.is_empty() {
                true => image.to_string(),
                false => format!("{image} ({})", roles.join(", ")),
            }
        })
        .collect()
}

/// Lays cells out in columns, two spaces apart. A cell is its text and how it is painted; the
/// width is the text's alone, by the width that a terminal gives each character. The last cell of a
/// row has nothing behind it, so it may be a sentence and makes no column wider.
fn columns(rows: &[Vec<Cell>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let last = |row: &[Cell]| row.iter().rposition(|cell| !cell.text.is_empty());
    let widths: Vec<usize> = (0..count)
        .map(|i| {
            let followed = rows
                .iter()
                .filter(|row| last(row).is_some_and(|last| i < last));
            let column = followed.filter_map(|row| row.get(i));
            column.map(|cell| cell.text.width()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        let last = last(row);
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(&cell.painted);
            if last.is_some_and(|last| i < last) {
                line.push_str(&" ".repeat(width + 2 - cell.text.width()));
            }
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A cell of a table.
struct Cell {
    text: String,
    painted: String,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell {
            painted: text.clone(),
            text,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::from(text.to_string())
    }
}

#[cfg(test)]
mod tests;

//! Rollouts as a table, one a line.

use super::{Cell, columns, percent, step_of, strategy};
use crate::view::{RolloutView, Strategy};

/// The Rollouts in a table; with their namespaces if `namespaces` says so.
pub fn list(views: &[RolloutView], namespaces: bool) -> String {
    const HEADING: [&str; 10] = [
        "NAMESPACE",
        "NAME",
        "STRATEGY",
        // As wide as the longest phase: a line that a watcher adds later stands below it too.
        "STATUS     ",
        "STEP",
        "SET-WEIGHT",
        "READY",
        "DESIRED",
        "UP-TO-DATE",
        "AVAILABLE",
    ];
    let mut rows = vec![HEADING.map(Cell::from).into()];
    rows.extend(views.iter().map(row));
    if !namespaces {
        rows.iter_mut().for_each(|row: &mut Vec<Cell>| {
            row.remove(0);
        });
    }
    columns(&rows)
}

fn row(view: &RolloutView) -> Vec<Cell> {
    const NONE: &str = "-";
    let count = view.replicas;
    let step = match view.steps.is_empty() {
        true => NONE.to_string(),
        false => step_of(view),
    };
    let weight = match view.strategy {
        Strategy::Canary => percent(view.set_weight_bp),
        Strategy::BlueGreen | Strategy::Unknown => NONE.to_string(),
    };
    let status = match &view.stale {
        None => format!("{:?}", view.phase),
        Some(stale) => format!("{:?} (files {})", view.phase, stale.state()),
    };
    vec![
        view.namespace.as_str().into(),
        view.name.as_str().into(),
        strategy(view).into(),
        status.into(),
        step.into(),
        weight.into(),
        format!("{}/{}", count.ready, count.current).into(),
        view.desired.to_string().into(),
        count.updated.to_string().into(),
        count.available.to_string().into(),
    ]
}

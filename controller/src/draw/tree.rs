//! The tree: a Rollout, its revisions, and what belongs to each of them.

use serin_core::time::Timestamp;

use super::paint::{Colour, Paint};
use super::{Cell, age, columns, symbol};
use crate::view::{PodView, RevisionView, RolloutView, RunView};

/// The table of all that belongs to a Rollout.
pub(super) fn tree(view: &RolloutView, now: Timestamp, paint: Paint) -> String {
    let mut tree = Tree {
        rows: vec![heading(paint)],
        now,
        paint,
    };
    tree.rollout(view);
    columns(&tree.rows)
}

fn heading(paint: Paint) -> Vec<Cell> {
    ["NAME", "KIND", "STATUS", "AGE", "INFO"]
        .map(|text| Cell {
            text: text.to_string(),
            painted: paint.colour(Colour::Bold, text),
        })
        .into()
}

struct Tree {
    rows: Vec<Vec<Cell>>,
    now: Timestamp,
    paint: Paint,
}

/// One line of the tree, apart from its place in it.
struct Line<'a> {
    name: String,
    kind: &'a str,
    icon: (&'static str, Colour),
    status: &'a str,
    created: Timestamp,
    info: Vec<Cell>,
}

impl Tree {
    fn rollout(&mut self, view: &RolloutView) {
        let status = format!("{:?}", view.phase);
        self.line(
            "",
            Line {
                name: format!("⟳ {}", view.name),
                kind: "Rollout",
                icon: symbol::phase(view.phase),
                status: &status,
                created: view.created,
                info: Vec::new(),
            },
        );
        for (i, revision) in view.revisions.iter().enumerate() {
            let (branch, below) = branch("", i + 1 == view.revisions.len());
            self.rows.push(vec![
                format!("{branch}# revision:{}", revision.number).into(),
            ]);
            self.revision(revision, &below);
        }
    }

    fn revision(&mut self, revision: &RevisionView, indent: &str) {
        let (branch_to_set, below_set) = branch(indent, revision.runs.is_empty());
        if !revision.replica_set.is_empty() {
            self.replica_set(revision, &branch_to_set);
        }
        for (i, pod) in revision.pods.iter().enumerate() {
            let (branch, _) = branch(&below_set, i + 1 == revision.pods.len());
            self.pod(pod, &branch);
        }
        for (i, run) in revision.runs.iter().enumerate() {
            let (branch, below) = branch(indent, i + 1 == revision.runs.len());
            self.run(run, &branch);
            // Of one that has ended the Rollout says what came of it.
            if !run.phase.completed() && !run.message.is_empty() {
                self.rows
                    .push(vec![format!("{below}{}", run.message).into()]);
            }
        }
    }

    fn replica_set(&mut self, set: &RevisionView, branch: &str) {
        let (icon, status) = symbol::replica_set(set.health);
        let role = set.role.iter().map(|role| Cell {
            text: role.clone(),
            painted: self.paint.role(role),
        });
        let delay = set.scale_down_at.filter(|_| !set.pods.is_empty());
        let delay = delay.map(|at| match at > self.now {
            true => format!("delay:{}", age(at.since(self.now))).into(),
            false => Cell::from("delay:passed"),
        });
        let info = role.chain(delay).collect();
        let line = Line {
            name: format!("⧉ {}", set.replica_set),
            kind: "ReplicaSet",
            icon,
            status,
            created: set.created,
            info,
        };
        self.line(branch, line);
    }

    fn pod(&mut self, pod: &PodView, branch: &str) {
        let ready = format!("ready:{}/{}", pod.ready_containers, pod.containers);
        let restarts = (pod.restarts > 0).then(|| format!("restarts:{}", pod.restarts));
        let line = Line {
            name: format!("□ {}", pod.name),
            kind: "Pod",
            icon: symbol::pod(pod),
            status: &pod.status,
            created: pod.created,
            info: [Some(ready), restarts]
                .into_iter()
                .flatten()
                .map(Cell::from)
                .collect(),
        };
        self.line(branch, line);
    }

    fn run(&mut self, run: &RunView, branch: &str) {
        let counts = [
            ("✔", Colour::Green, run.successful),
            ("✖", Colour::Red, run.failed),
            ("?", Colour::Yellow, run.inconclusive),
            ("⚠", Colour::Yellow, run.error),
        ];
        let counts = counts.into_iter().filter(|(_, _, count)| *count > 0);
        let status = format!("{:?}", run.phase);
        let line = Line {
            name: format!("α {}", run.name),
            kind: "AnalysisRun",
            icon: symbol::run(run.phase),
            status: &status,
            created: run.created,
            info: counts
                .map(|(icon, colour, count)| Cell {
                    text: format!("{icon} {count}"),
                    painted: format!("{} {count}", self.paint.colour(colour, icon)),
                })
                .collect(),
        };
        self.line(branch, line);
    }

    fn line(&mut self, branch: &str, line: Line<'_>) {
        let (icon, colour) = line.icon;
        let part = |of: fn(&Cell) -> &str| {
            let parts: Vec<&str> = line.info.iter().map(of).collect();
            parts.join(",")
        };
        self.rows.push(vec![
            format!("{branch}{}", line.name).into(),
            line.kind.into(),
            Cell {
                text: format!("{icon} {}", line.status),
                painted: format!("{} {}", self.paint.colour(colour, icon), line.status),
            },
            age(self.now.since(line.created)).into(),
            Cell {
                text: part(|cell| &cell.text),
                painted: part(|cell| &cell.painted),
            },
        ]);
    }
}

/// What stands before a child's name, and before its own children's.
fn branch(indent: &str, last: bool) -> (String, String) {
    match last {
        true => (format!("{indent}└──"), format!("{indent}   ")),
        false => (format!("{indent}├──"), format!("{indent}│  ")),
    }
}

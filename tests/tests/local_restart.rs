//! Killed in each step and started again, a release comes to the same end, and nobody is left.

use serde_json::{Value, json};
use serin::view::RolloutView;
use serin_core::step::{Phase, RunPhase};
use serin_tests::local::Local;
use serin_tests::manifest::{App, analysis_template};
use std::collections::BTreeSet;

fn steps(template: &str) -> Value {
    json!([
        {"setHeaderRoute": {"name": "beta", "match": [
            {"headerName": "x-canary", "headerValue": {"exact": "true"}}]}},
        {"pause": {}},
        {"setCanaryScale": {"replicas": 2}},
        {"setWeight": 1000},
        {"analysis": {"templates": [{"templateName": template}]}},
        {"setHeaderRoute": {"name": "beta"}},
        {"setWeight": 5000},
        {"pause": {"duration": 1}},
    ])
}

/// A release under test.
struct Story {
    local: Local,
    app: App,
    version: u32,
}

impl Story {
    fn begin(template: &str) -> Story {
        let app = App::new("shop", &["--version", "1"], steps(template));
        let templates = [
            analysis_template("good", "vector(1)", "result[0] == 1", 3),
            analysis_template("bad", "vector(0)", "result[0] == 1", 3),
        ];
        let templates = templates.join("\n---\n");
        let local = Local::start(&[("shop.yaml", app.text()), ("templates.yaml", templates)]);
        local.until_healthy("shop");
        Story {
            local,
            app,
            version: 1,
        }
    }

    /// Asks for the next version.
    fn release(&mut self) {
        self.version += 1;
        self.app.args = vec!["--version".into(), self.version.to_string()];
        self.local.edit("shop.yaml", &self.app.text());
        let known = u64::from(self.version);
        self.local
            .until("shop", "the next version is taken up", |view| {
                view.revisions
                    .iter()
                    .any(|revision| revision.number == known)
            });
    }

    /// Goes with the release to its end; at the first sight of a step in `kill`, kills and starts
    /// again. Steps that went by unseen stay in `kill`.
    fn go_on(&mut self, kill: &mut BTreeSet<usize>) -> RolloutView {
        loop {
            let view = self
                .local
                .until("shop", "at a step to kill, waiting, or over", |view| {
                    kill.contains(&view.step_index) && view.phase != Phase::Healthy
                        || view.phase == Phase::Paused && view.step_index == 1
                        || view.phase == Phase::Degraded
                        || view.phase == Phase::Healthy
                });
            if matches!(view.phase, Phase::Degraded | Phase::Healthy) {
                return self.local.until("shop", "at rest", |view| {
                    view.actual_weight_bp == view.set_weight_bp
                });
            }
            if kill.remove(&view.step_index) {
                self.local.kill();
                self.local.until_gone();
                self.local.restart();
                let again = self.local.until("shop", "known again", |_| true);
                assert!(
                    again.step_index >= view.step_index,
                    "fell back to {}",
                    again.step_index
                );
            } else {
                self.local.must(&["promote", "shop"]);
                self.local
                    .until("shop", "beyond the pause", |view| view.step_index != 1);
            }
        }
    }
}

/// What is to be the same: how it stands, who serves, and what the analysis said.
fn end(view: &RolloutView) -> impl PartialEq + std::fmt::Debug + use<> {
    let newest = &view.revisions[0];
    let runs: Vec<RunPhase> = newest.runs.iter().map(|run| run.phase).collect();
    let weights = (
        view.set_weight_bp,
        view.actual_weight_bp,
        view.header_routes.clone(),
    );
    (
        view.phase,
        weights,
        newest.role.clone(),
        view.step_index,
        runs,
    )
}

/// Releases without a kill, then with kills until there was one in each of the first steps.
fn same_end_with_kills(template: &str, steps: usize) -> RolloutView {
    let mut without = Story::begin(template);
    without.release();
    let wanted = end(&without.go_on(&mut BTreeSet::new()));
    drop(without);

    let mut story = Story::begin(template);
    let mut kill: BTreeSet<usize> = (0..steps).collect();
    // A short step may go by unseen while the machine is busy: the next version has it too.
    for _ in 0..5 {
        story.release();
        let view = story.go_on(&mut kill);
        assert_eq!(end(&view), wanted, "{view:#?}");
        if kill.is_empty() {
            story.local.kill();
            story.local.until_gone();
            return view;
        }
    }
    panic!("never seen at steps {kill:?}");
}

#[test]
fn a_good_release_ends_healthy_although_killed_in_every_step() {
    let view = same_end_with_kills("good", 8);
    assert_eq!(view.phase, Phase::Healthy);
    assert_eq!(view.revisions[0].role.as_deref(), Some("stable"));
}

#[test]
fn a_bad_release_is_taken_back_although_killed_in_every_step() {
    let view = same_end_with_kills("bad", 5);
    assert!(view.message.contains("RolloutAborted"), "{}", view.message);
    assert_eq!((view.actual_weight_bp, view.header_routes.len()), (0, 0));
}

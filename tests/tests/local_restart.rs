//! Killed at any step and started again, a release comes to the same end, and nobody is left.

use serde_json::{Value, json};
use serin_core::step::Phase;
use serin_tests::local::Local;
use serin_tests::manifest::{App, analysis_template};

fn steps(template: &str) -> Value {
    json!([
        {"setHeaderRoute": {"name": "beta", "match": [
            {"headerName": "x-canary", "headerValue": {"exact": "true"}}]}},
        {"pause": {}},
        {"setCanaryScale": {"replicas": 1}},
        {"setWeight": 1000},
        {"analysis": {"templates": [{"templateName": template}]}},
        {"setHeaderRoute": {"name": "beta"}},
        {"setWeight": 5000},
        {"pause": {"duration": 1}},
    ])
}

/// Asks for version 2, kills it as soon as each step is under way, and starts it again.
fn killed_in_every_step(template: &str) -> Local {
    let mut app = App::new("shop", &["--version", "1"], steps(template));
    let templates = [
        analysis_template("good", "vector(1)", "result[0] == 1", 3),
        analysis_template("bad", "vector(0)", "result[0] == 1", 3),
    ];
    let manifests = [
        ("shop.yaml", app.text()),
        ("templates.yaml", templates.join("\n---\n")),
    ];
    let mut local = Local::start(&manifests);
    local.until_healthy("shop");
    app.args = vec!["--version".into(), "2".into()];
    local.edit("shop.yaml", &app.text());
    for index in 0..8 {
        let view = local.until("shop", &format!("at step {index} or over"), |view| {
            let over = view.phase == Phase::Degraded || view.phase == Phase::Healthy;
            view.revisions.len() == 2 && (view.step_index >= index || over)
        });
        if view.phase == Phase::Degraded {
            break;
        }
        local.kill();
        local.until_gone();
        local.restart();
        let again = local.until("shop", "known again", |_| true);
        assert!(
            again.step_index >= view.step_index.min(index),
            "fell back to {}",
            again.step_index
        );
        if index == 1 {
            local.until_paused_at("shop", 1);
            local.must(&["promote", "shop"]);
        }
    }
    local
}

#[test]
fn a_good_release_ends_healthy_although_killed_in_every_step() {
    let mut local = killed_in_every_step("good");
    let view = local.until("shop", "the new version serves", |view| {
        view.phase == Phase::Healthy
            && view
                .revisions
                .iter()
                .any(|r| r.number == 2 && r.role.as_deref() == Some("stable"))
    });
    // As Argo shows it: all done, the new version has everything.
    assert_eq!(
        (view.actual_weight_bp, view.header_routes.len()),
        (10_000, 0)
    );
    local.kill();
    local.until_gone();
}

#[test]
fn a_bad_release_is_taken_back_although_killed_in_every_step() {
    let mut local = killed_in_every_step("bad");
    let view = local.until("shop", "taken back", |view| view.phase == Phase::Degraded);
    assert!(view.message.contains("RolloutAborted"), "{}", view.message);
    let view = local.until("shop", "at weight 0", |view| view.actual_weight_bp == 0);
    assert!(
        view.revisions
            .iter()
            .any(|r| r.number == 1 && r.role.as_deref() == Some("stable"))
    );
    local.kill();
    local.until_gone();
}

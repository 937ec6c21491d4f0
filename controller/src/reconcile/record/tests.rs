use super::*;
use serde_json::json;

const NOW: Timestamp = Timestamp(1_000);

fn plan(version: &str) -> Plan {
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "shop", "command": ["shop", version]}]},
            },
            "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}},
        },
    });
    Plan::parse(&rollout, "default").unwrap()
}

fn taken_up(versions: &[&str]) -> Record {
    let mut record = Record::begin(NOW);
    for version in versions {
        let template = plan(version).template;
        record.take_up(&revision::hash(&template), &template, NOW);
    }
    record
}

fn numbers(record: &Record) -> Vec<(u64, String)> {
    let version = |r: &Revision| r.template["spec"]["containers"][0]["command"][1].to_string();
    record
        .revisions
        .iter()
        .map(|r| (r.number, version(r)))
        .collect()
}

#[test]
fn a_template_that_comes_back_gets_the_next_number() {
    let record = taken_up(&["v1", "v2", "v1", "v1"]);
    assert_eq!(
        numbers(&record),
        [(2, "\"v2\"".to_string()), (3, "\"v1\"".to_string())]
    );
}

#[test]
fn the_oldest_idle_revisions_are_forgotten() {
    let mut record = taken_up(&["v1", "v2", "v3", "v4"]);
    record.history_limit = 1;
    record.state.stable = record.revisions[0].hash.clone();
    record.state.current = record.revisions[3].hash.clone();
    record.prune();
    let kept: Vec<u64> = record.revisions.iter().map(|r| r.number).collect();
    assert_eq!(kept, [1, 3, 4]);
}

#[test]
fn an_undo_lasts_until_the_manifest_changes() {
    let mut record = taken_up(&["v1", "v2"]);
    let undo = Verb::Undo { to_revision: None };
    assert_eq!(
        record.heed(undo, &plan("v2"), NOW).unwrap(),
        "went back to revision 1"
    );
    assert_eq!(record.effective(&plan("v2")).template, plan("v1").template);
    assert_eq!(record.effective(&plan("v3")).template, plan("v3").template);
    assert_eq!(record.undo, None);
}

#[test]
fn an_unknown_revision_is_refused_with_those_there_are() {
    let mut record = taken_up(&["v1", "v2"]);
    let undo = Verb::Undo {
        to_revision: Some(7),
    };
    let refusal = record.heed(undo, &plan("v2"), NOW).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "revision 7 is unknown, expected one of 1, 2"
    );
}

#[test]
fn a_pause_by_hand_ends_with_a_promotion_and_skips_no_step() {
    let mut record = taken_up(&["v1", "v2"]);
    record.state.stable = record.revisions[0].hash.clone();
    record.state.current = record.revisions[1].hash.clone();
    record.heed(Verb::Pause, &plan("v2"), NOW).unwrap();
    assert!(record.effective(&plan("v2")).paused);

    record
        .heed(Verb::Promote { full: false }, &plan("v2"), NOW)
        .unwrap();

    assert!(!record.effective(&plan("v2")).paused);
    assert_eq!(record.state.index, 0);
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let mut record = taken_up(&["v1", "v2"]);
    record.heed(Verb::Pause, &plan("v2"), NOW).unwrap();
    record
        .heed(
            Verb::Undo {
                to_revision: Some(1),
            },
            &plan("v2"),
            NOW,
        )
        .unwrap();
    let written = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&written).unwrap(), record);
}

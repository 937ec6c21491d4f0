//! What `serin replay` says of recorded releases: each was run by local mode with the real Envoy and
//! Prometheus, recorded by `serin record`, and left to run whatever any judge would have said.

use serin::recording::Reader;
use serin::replay::{self, Asked, Judge, Judged, Replay};
use serin_tests::local::binary;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

const ALL: [&str; 3] = ["good", "tenfold", "outage"];

fn recording(name: &str, kind: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    dir.join(format!("{name}.{kind}"))
}

fn replayed(name: &str) -> Replay {
    let file = File::open(recording(name, "jsonl")).expect("a recording");
    let asked = Asked {
        judges: Judge::ALL.to_vec(),
        alpha: 0.01,
        objective: 0.99,
    };
    let reader = Reader::open(BufReader::new(file)).expect("its header");
    replay::replay(reader, &asked).expect("its lines")
}

/// What each judge came to, with the number of ticks until then.
fn ends(name: &str) -> Vec<(Judge, Option<&'static str>, usize)> {
    let replay = replayed(name);
    let end = |judged: &Judged| {
        let end = judged.end();
        let until = |at| replay.looks.iter().filter(|look| look.at <= at).count();
        let ticks = end.map_or(replay.looks.len(), |end| until(end.at));
        (judged.judge, end.map(|end| end.said.verdict), ticks)
    };
    replay.judged.iter().map(end).collect()
}

#[test]
fn each_recording_is_told_as_is_stored() {
    for name in ALL {
        let svg = tempfile::NamedTempFile::new().expect("a file");
        let replay = Command::new(binary("serin"))
            .arg("replay")
            .arg(recording(name, "jsonl"))
            .arg("--svg")
            .arg(svg.path())
            .output()
            .expect("serin runs");
        let said = String::from_utf8_lossy(&replay.stdout);
        let errors = String::from_utf8_lossy(&replay.stderr);
        let stored = fs::read_to_string(recording(name, "txt")).expect("what it says");
        assert_eq!(
            said, stored,
            "{name}.txt is not what serin replay says\n{errors}"
        );
        if name == "tenfold" {
            let stored = fs::read_to_string(recording(name, "svg")).expect("what it draws");
            let drawn = fs::read_to_string(svg.path()).expect("a picture");
            assert!(
                drawn == stored,
                "{name}.svg is not what serin replay --svg draws"
            );
        }
    }
}

#[test]
fn a_good_release_passes_with_all_judges() {
    let ends = ends("good");
    let [(_, compare, _), others @ ..] = ends.as_slice() else {
        panic!("{ends:?}")
    };
    assert_eq!(*compare, Some("promote"));
    assert!(others.iter().all(|(_, end, _)| end.is_none()), "{ends:?}");
}

#[test]
fn tenfold_errors_under_the_objective_are_taken_back_by_compare_alone() {
    let ends = ends("tenfold");
    let verdicts: Vec<_> = ends.iter().map(|(_, end, _)| *end).collect();
    assert_eq!(verdicts, [Some("rollback"), None, None]);
}

#[test]
fn an_outage_is_taken_back_within_two_ticks_of_the_first_request() {
    let replay = replayed("outage");
    let without = |replay: &Replay| {
        let silent = replay.looks.iter().take_while(|look| look.weight_bp == 0);
        silent.count()
    };
    let silent = without(&replay);
    let ends = ends("outage");
    let (_, compare, ticks) = ends[0];
    assert_eq!(compare, Some("rollback"));
    assert!(
        ticks <= silent + 2,
        "after {ticks} ticks, {silent} of them without a request"
    );
    let (_, threshold, later) = ends[1];
    assert_eq!(threshold, Some("rollback"));
    assert!(later > 10 * ticks, "{ends:?}");
}

#[test]
fn a_recording_that_is_none_is_one_error_with_its_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let broken = dir.path().join("broken.jsonl");
    let good = fs::read_to_string(recording("good", "jsonl")).expect("a recording");
    let header = good.lines().next().expect("a header");
    fs::write(&broken, format!("{header}\n{{}}\n")).expect("a file");
    let replay = Command::new(binary("serin"))
        .arg("replay")
        .arg(&broken)
        .output();
    let replay = replay.expect("serin runs");
    assert_eq!(replay.status.code(), Some(1));
    let said = String::from_utf8_lossy(&replay.stderr);
    let path = broken.display();
    let expected = format!("serin: read {path}: line 2: missing field `at`, at byte 2\n");
    assert_eq!(said, expected);
}

//! What `serin record` writes of a real release in local mode is what its pods counted.

use serde_json::json;
use serin::recording::{Header, Reader, Sample};
use serin_core::judge::Pair;
use serin_tests::load;
use serin_tests::local::{Local, binary};
use serin_tests::manifest::App;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts `serin record` and waits until its header is there.
fn record(local: &Local, file: &Path) -> Child {
    let record = Command::new(binary("serin"))
        .args(["record", "--interval", "1s", "-o"])
        .arg(file)
        .arg("--state")
        .arg(local.state())
        .stdin(Stdio::null())
        .spawn()
        .expect("serin runs");
    until("a header", || lines(file) >= 1);
    record
}

fn lines(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.matches('\n').count()
}

fn until(what: &str, good: impl Fn() -> bool) {
    let started = Instant::now();
    while !good() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The requests that Prometheus knew of some time ago, longer than a tick lags behind.
fn scraped(local: &Local) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let then = now.expect("a time").as_secs_f64() - 3.0;
    let query = "sum(serin_requests_total{rollout=\"shop\",reporter=\"source\"})";
    local.query_at(query, then).first().copied().unwrap_or(0.0)
}

fn read(file: &Path) -> (Header, Vec<Sample>) {
    let file = File::open(file).expect("a recording");
    let reader = Reader::open(BufReader::new(file)).expect("its header");
    let header = reader.header().clone();
    let samples = reader.collect::<Result<_, _>>();
    (header, samples.expect("its lines"))
}

fn sum(samples: &[Sample]) -> Pair {
    let errors = samples.iter().map(|sample| sample.tick.errors);
    errors.fold(Pair::default(), |sum, errors| sum + errors)
}

#[test]
fn a_recording_holds_every_request_of_its_release_and_ends_with_it() {
    let steps = json!([{"setWeight": 3000}, {"pause": {}}]);
    let mut shop = App::new("shop", &["--version", "1"], steps);
    let local = Local::start(&[("shop.yaml", shop.text())]);
    local.until_healthy("shop");
    let args = ["--version", "2", "--error-rate", "0.5"];
    shop.args = args.map(str::to_string).to_vec();
    local.edit("shop.yaml", &shop.text());
    let view = local.until_paused_at("shop", 1);

    // Counters that are new with their process may have a history, so what they begin with is not
    // counted: they are there before the recording begins.
    let users = |number: usize| vec![("x-user-id", format!("user-{number}"))];
    load::send(local.gateway, "shop", 4, 100, &users);
    until("they are scraped", || scraped(&local) >= 100.0);

    let file = local.state().join("recording.jsonl");
    let mut recorder = record(&local, &file);
    let tally = load::send(local.gateway, "shop", 4, 800, &users);
    assert_eq!(tally.failures, Default::default());
    let whole = || read(&file).1;
    until("all requests are recorded", || {
        let sum = sum(&whole());
        sum.canary.requests + sum.stable.requests >= 800
    });
    local.must(&["abort", "shop"]);
    let status = recorder.wait().expect("it ends with the release");
    assert!(status.success(), "{status}");

    let (header, samples) = read(&file);
    let set = |role: &str| {
        let of_role = view
            .revisions
            .iter()
            .find(|one| one.role.as_deref() == Some(role));
        of_role.expect("a revision").replica_set.clone()
    };
    assert_eq!(
        (header.canary, header.stable),
        (set("canary"), set("stable"))
    );
    let sum = sum(&samples);
    assert_eq!(sum.canary.requests as usize, tally.of(&set("canary")));
    assert_eq!(sum.stable.requests as usize, tally.of(&set("stable")));
    let failed = tally
        .answers
        .iter()
        .filter(|((_, status), _)| *status == 500);
    let failed: usize = failed.map(|(_, n)| n).sum();
    assert_eq!((sum.canary.bad as usize, sum.stable.bad), (failed, 0));
    assert_eq!(samples[0].weight_bp, 3000);
    let slow = |sample: &Sample| {
        sample
            .tick
            .latency
            .iter()
            .map(|one| one.slower.stable.bad)
            .max()
    };
    assert!(
        samples.iter().any(|sample| slow(sample) > Some(0)),
        "nothing took a millisecond"
    );
}

#[test]
fn an_interrupt_leaves_whole_lines() {
    let steps = json!([{"setWeight": 3000}, {"pause": {}}]);
    let mut shop = App::new("shop", &["--version", "1"], steps);
    let local = Local::start(&[("shop.yaml", shop.text())]);
    local.until_healthy("shop");
    shop.args = ["--version", "2"].map(str::to_string).to_vec();
    local.edit("shop.yaml", &shop.text());
    local.until_paused_at("shop", 1);
    let file = local.state().join("recording.jsonl");
    let mut recorder = record(&local, &file);
    until("a few lines", || lines(&file) >= 3);
    let pid = recorder.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill runs").success());
    let status = recorder.wait().expect("it ends");
    assert!(status.success(), "{status}");
    assert!(read(&file).1.len() >= 2);
}

//! The sequential judge on a real Envoy's counters in a real Prometheus: what it takes back, what it
//! lets go on, and what it leaves as it is.

use serde_json::{Value, json};
use serin::view::{RolloutView, RunView};
use serin_core::judge::State;
use serin_core::step::{Phase, RunPhase};
use serin_tests::local::Local;
use serin_tests::manifest::App;
use std::cell::RefCell;
use std::fs;
use std::thread;
use std::time::Duration;

/// Requests a second: a fifth of them is enough for the judge within seconds.
const TRAFFIC: [&str; 4] = ["--traffic", "150", "--traffic-to", "shop"];

/// A template with one metric.
fn template(name: &str, metric: Value) -> String {
    let mut metric = metric;
    metric["name"] = json!(name);
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": name}, "spec": {"metrics": [metric]},
    })
    .to_string()
}

/// A judge that looks every second: with a count it ends, without it watches.
fn judge(name: &str, count: Option<u32>, parameters: Value) -> String {
    let mut metric = json!({
        "interval": "1s", "provider": {"plugin": {"serin/compare": parameters}},
    });
    if let Some(count) = count {
        metric["count"] = json!(count);
    }
    template(name, metric)
}

/// What a threshold says of the canary alone. An answer without requests is neither good nor bad.
fn threshold() -> String {
    let requests = |more: &str| {
        format!(
            "sum(rate(istio_requests_total{{reporter=\"destination\",\
             destination_workload=\"shop-canary\"{more}}}[15s]))"
        )
    };
    let query = format!("{} / {}", requests(",response_code!~\"5.*\""), requests(""));
    let metric = json!({
        "interval": "1s", "inconclusiveLimit": 1000,
        "successCondition": "len(result) > 0 && result[0] >= 0.8",
        "failureCondition": "len(result) > 0 && result[0] < 0.8",
        "provider": {"prometheus": {"address": "http://prometheus:9090", "query": query}},
    });
    template("threshold", metric)
}

fn args(version: &str, more: &[&str]) -> Vec<String> {
    let args = ["--version", version]
        .into_iter()
        .chain(more.iter().copied());
    args.map(str::to_string).collect()
}

/// The newest revision's only run.
fn run(view: &RolloutView) -> &RunView {
    match &view.revisions[0].runs[..] {
        [run] => run,
        other => panic!("{} runs: {view:#?}", other.len()),
    }
}

/// What the judge of `metric` has written down; none before its first tick.
fn written(local: &Local, metric: &str) -> Option<State> {
    let text = fs::read_to_string(local.state().join("state.json")).ok()?;
    let memory: Value = serde_json::from_str(&text).expect("the state is JSON");
    let runs = memory["rollouts"]["default/shop"]["runs"].as_array()?;
    let results = runs
        .iter()
        .filter_map(|run| run["status"]["metricResults"].as_array());
    let result = results.flatten().rfind(|result| result["name"] == metric);
    let last = result?["measurements"].as_array()?.last()?;
    let state = last["metadata"]["serin/state"].as_str()?;
    Some(serde_json::from_str(state).expect("the judge's state can be read"))
}

#[test]
fn a_canary_that_fails_ten_times_as_often_is_taken_back_although_serin_is_killed() {
    let mut shop = App::new(
        "shop",
        &["--version", "1", "--error-rate", "0.002"],
        json!([{"setWeight": 2000}, {"pause": {}}]),
    );
    let templates = ["judge", "threshold"].map(|name| json!({"templateName": name}));
    shop.canary["analysis"] = json!({"templates": templates});
    // Latency is counted and never to blame, since a busy machine may be slow to either of them.
    let parameters = json!({
        "slo": 95, "promotion": {"tolerated": 0.5}, "latency": {"minRatio": 1000},
    });
    let templates = [judge("judge", None, parameters), threshold()];
    let mut local = Local::start_with(
        &[
            ("shop.yaml", shop.text()),
            ("templates.yaml", templates.join("\n---\n")),
        ],
        &TRAFFIC,
    );
    local.until_healthy("shop");
    shop.args = args("2", &["--error-rate", "0.02"]);
    local.edit("shop.yaml", &shop.text());
    local.until_paused_at("shop", 1);

    local.until("shop", "counted", |view| {
        run(view).message.contains(" more requests")
    });
    let shown = local.must(&["get", "shop"]);
    assert!(shown.contains("judge: needs about "), "{shown}");
    local.until("shop", "counted more", |_| {
        written(&local, "judge").is_some_and(|state| state.counted.canary.requests >= 60)
    });
    local.kill();
    let known = RefCell::new(written(&local, "judge").expect("the state that is left"));
    local.until_gone();
    local.restart();
    let view = local.until("shop", "taken back", |view| {
        let now = written(&local, "judge").expect("the state, as before");
        let before = known.replace(now.clone());
        let (totals, at_least) = (now.counted, before.counted);
        assert!(
            totals.canary.requests >= at_least.canary.requests
                && totals.stable.bad >= at_least.stable.bad,
            "counted {totals:?} after {at_least:?}"
        );
        assert_eq!(now.begun, before.begun, "begun anew");
        view.phase == Phase::Degraded && view.actual_weight_bp == 0
    });
    let known = known.into_inner();

    let run = run(&view);
    assert_eq!((run.phase, run.failed), (RunPhase::Failed, 1), "{run:#?}");
    assert!(run.successful > 2, "the threshold passes: {run:#?}");
    for said in [&run.message, &view.message, &local.must(&["get", "shop"])] {
        assert!(
            said.contains("canary fails ") && said.contains(" times as often as stable ("),
            "{said}"
        );
        assert!(
            said.contains("; odds of this by chance below 1 in "),
            "{said}"
        );
    }
    let ratio = known.counted.ratio();
    assert!((3.0..40.0).contains(&ratio), "{:?}", known.counted);
    let latency = serde_json::to_string(&known.latency).expect("JSON");
    assert!(latency.contains("\"requests\":"), "{latency}");
}

#[test]
fn a_good_canary_goes_on_and_one_that_cannot_be_judged_waits() {
    let parameters = json!({"slo": 95, "latency": false});
    let templates = [
        judge("judge", Some(1), parameters),
        judge("hasty", Some(1), json!({"deadline": "4s"})),
    ];
    let step = |name: &str| json!({"analysis": {"templates": [{"templateName": name}]}});
    let small = ["--error-rate", "0.002", "--dependency", "http://ledger/"];
    let mut shop = App::new("shop", &[], json!([{"setWeight": 2000}, step("judge")]));
    shop.args = args("1", &small);
    let mut ledger = App::new("ledger", &["--version", "1"], json!([]));
    let mut quiet = App::new(
        "quiet",
        &["--version", "1"],
        json!([{"setWeight": 2000}, step("hasty"), {"pause": {"duration": 1}}]),
    );
    let local = Local::start_with(
        &[
            ("shop.yaml", shop.text()),
            ("ledger.yaml", ledger.text()),
            ("quiet.yaml", quiet.text()),
            ("templates.yaml", templates.join("\n---\n")),
        ],
        &TRAFFIC,
    );
    for rollout in ["ledger", "quiet", "shop"] {
        local.until_healthy(rollout);
    }

    shop.args = args("2", &small);
    quiet.args = args("2", &[]);
    local.edit("shop.yaml", &shop.text());
    local.edit("quiet.yaml", &quiet.text());
    let is = |version: u64| {
        move |view: &RolloutView| {
            view.revisions[0].number == version && view.phase == Phase::Healthy
        }
    };
    let view = local.until("shop", "released", is(2));
    let good = run(&view);
    assert_eq!((good.phase, good.successful), (RunPhase::Successful, 1));
    let evidence = written(&local, "judge").expect("the state");
    assert!(evidence.counted.canary.requests > 50, "{evidence:?}");

    let view = local.until_paused_at("quiet", 1);
    assert_eq!(view.message, "InconclusiveAnalysisRun");
    let unheard = run(&view);
    assert_eq!(
        (unheard.phase, unheard.inconclusive),
        (RunPhase::Inconclusive, 1)
    );
    local.must(&["promote", "quiet"]);
    local.until("quiet", "released", is(2));

    // What both versions of the shop depend on fails for both alike.
    ledger.args = args("2", &["--error-rate", "0.2"]);
    local.edit("ledger.yaml", &ledger.text());
    local.until("ledger", "ill", is(2));
    shop.args = args("3", &small);
    local.edit("shop.yaml", &shop.text());
    local.until("shop", "holding", |view| {
        assert_ne!(view.phase, Phase::Degraded, "{view:#?}");
        view.message.contains("stable is failing too (")
    });
    let shown = local.must(&["get", "shop"]);
    assert!(shown.contains("%): holding"), "{shown}");
    thread::sleep(Duration::from_secs(3));
    ledger.args = args("3", &[]);
    local.edit("ledger.yaml", &ledger.text());
    let view = local.until("shop", "released after all", |view| {
        assert_ne!(view.phase, Phase::Degraded, "{view:#?}");
        is(3)(view)
    });
    assert_eq!(run(&view).phase, RunPhase::Successful, "{view:#?}");
}

//! The numbers that gates read from the real Prometheus are those of one version alone.

use serde_json::{Value, json};
use serin::view::RolloutView;
use serin_core::metric::BUCKETS;
use serin_core::step::{Phase, RunPhase};
use serin_demo::app::Counts;
use serin_tests::client::Client;
use serin_tests::load;
use serin_tests::local::Local;
use serin_tests::manifest::{App, analysis_template};

const NO_HEADERS: load::Headers<'static> = &|_| Vec::new();

/// What the pods of a role counted themselves, added up.
fn counted(view: &RolloutView, role: &str) -> Counts {
    let set = view
        .revisions
        .iter()
        .find(|r| r.role.as_deref() == Some(role));
    let mut all = Counts::default();
    for pod in &set.unwrap_or_else(|| panic!("no {role}: {view:#?}")).pods {
        let address = pod.address.parse().expect("an address");
        let answer = Client::connect(address).and_then(|mut pod| pod.get("pod", "/counts", &[]));
        let counts: Counts = serde_json::from_str(&answer.expect("the counts").body).expect("JSON");
        for (code, n) in counts.served {
            *all.served.entry(code).or_default() += n;
        }
        for (code, n) in counts.dependency {
            *all.dependency.entry(code).or_default() += n;
        }
        for (bound, n) in counts.took {
            *all.took.entry(bound).or_default() += n;
        }
    }
    all
}

/// The share of 5xx in what was counted between two looks.
fn bad_share(
    before: &Counts,
    after: &Counts,
    which: impl Fn(&Counts) -> &std::collections::BTreeMap<u16, u64>,
) -> f64 {
    let sum = |counts: &Counts, bad: bool| -> u64 {
        which(counts)
            .iter()
            .filter(|(code, _)| !bad || **code >= 500)
            .map(|(_, n)| n)
            .sum()
    };
    let grown = |bad| (sum(after, bad) - sum(before, bad)) as f64;
    grown(true) / grown(false)
}

/// The p99 of what was counted between two looks, by the rule of `histogram_quantile`: linear
/// within the bucket that has it.
fn p99(before: &Counts, after: &Counts) -> f64 {
    let grown = |bound: &u64| {
        let of = |counts: &Counts| counts.took.get(bound).copied().unwrap_or_default();
        (of(after) - of(before)) as f64
    };
    let rank = 0.99 * after.took.keys().map(grown).sum::<f64>();
    let (mut below, mut low) = (0.0, 0.0);
    for (bound, _) in BUCKETS {
        let here = grown(bound);
        if below + here >= rank {
            return low + (*bound as f64 - low) * (rank - below) / here;
        }
        (below, low) = (below + here, *bound as f64);
    }
    panic!("above all buckets: {after:?}")
}

/// One number from Prometheus.
fn number(local: &Local, query: &str, time: Option<f64>) -> f64 {
    let found = match time {
        Some(time) => local.query_at(query, time),
        None => local.query(query),
    };
    let [value] = found[..] else {
        panic!("{query}: {found:?}")
    };
    value
}

/// Waits until Prometheus has all that the pods counted, and the same in two scrapes after that.
fn until_scraped(local: &Local, view: &RolloutView) -> (Counts, Counts, f64) {
    let (stable, canary) = (counted(view, "stable"), counted(view, "canary"));
    for (workload, counts) in [("shop", &stable), ("shop-canary", &canary)] {
        let served = counts.served.values().sum::<u64>() as f64;
        let asked = counts.dependency.values().sum::<u64>() as f64;
        local.until_query(
            &format!("sum(istio_requests_total{{reporter=\"destination\",destination_workload=\"{workload}\"}})"),
            |values| values == [served],
        );
        local.until_query(
            &format!(
                "sum(istio_requests_total{{reporter=\"source\",source_workload=\"{workload}\"}})"
            ),
            |values| values == [asked],
        );
    }
    let last = "max(timestamp(istio_requests_total))";
    let flat = number(local, last, None);
    local.until_query(last, |values| values.iter().any(|time| *time >= flat + 2.0));
    (stable, canary, flat)
}

#[test]
fn what_prometheus_says_of_a_version_is_what_its_pods_counted() {
    let ledger = App::new(
        "ledger",
        &["--version", "1", "--error-rate", "0.25"],
        json!([]),
    );
    let of = |version: &str, errors: &str, delay: &str| {
        [
            "--version",
            version,
            "--error-rate",
            errors,
            "--delay-ms",
            delay,
            "--dependency",
            "http://ledger/",
        ]
        .map(str::to_string)
        .to_vec()
    };
    let mut shop = App::new(
        "shop",
        &[],
        json!([
            {"setCanaryScale": {"replicas": 1}}, {"setWeight": 3000}, {"pause": {}}
        ]),
    );
    shop.replicas = 3;
    // In the middle of wide buckets, so that hardly any request ends near a bound.
    shop.args = of("1", "0.1", "330");
    let local = Local::start(&[("shop.yaml", shop.text()), ("ledger.yaml", ledger.text())]);
    local.until_healthy("ledger");
    local.until_healthy("shop");
    shop.args = of("2", "0.3", "600");
    local.edit("shop.yaml", &shop.text());
    let view = local.until_paused_at("shop", 2);

    // All series exist before the window that is asked about begins.
    load::send(local.gateway, "shop", 12, 600, NO_HEADERS);
    let (stable_before, canary_before, since) = until_scraped(&local, &view);
    let tally = load::send(local.gateway, "shop", 12, 600, NO_HEADERS);
    assert_eq!(tally.failures, Default::default());
    let (stable, canary, now) = until_scraped(&local, &view);
    // Begins and ends where nothing grew, so the rates are of these requests and no others.
    let number = |query: &str| number(&local, query, Some(now));
    let window = format!("[{}s]", (now - since) as u64);

    let success = |workload: &str| {
        let of = |more: &str| {
            format!(
                "sum(rate(istio_requests_total{{reporter=\"destination\",destination_workload=\"{workload}\"{more}}}{window}))"
            )
        };
        number(&format!("{} / {}", of(",response_code!~\"5.*\""), of("")))
    };
    let near = |left: f64, right: f64| (left - right).abs() < 1e-6;
    let share = bad_share(&canary_before, &canary, |counts| &counts.served);
    let other = bad_share(&stable_before, &stable, |counts| &counts.served);
    assert!(
        near(success("shop-canary"), 1.0 - share),
        "{} is not 1 - {share}",
        success("shop-canary")
    );
    assert!(
        near(success("shop"), 1.0 - other),
        "{} is not 1 - {other}",
        success("shop")
    );
    assert!(
        (share - other).abs() > 0.05,
        "the versions fail alike: {share}, {other}"
    );

    for (workload, before, after) in [
        ("shop-canary", &canary_before, &canary),
        ("shop", &stable_before, &stable),
    ] {
        for (bound, le) in BUCKETS {
            let pods = after.took.range(..=bound).map(|(_, n)| n).sum::<u64>();
            let query = format!(
                "sum(istio_request_duration_milliseconds_bucket{{\
                 reporter=\"destination\",destination_workload=\"{workload}\",le=\"{le}\"}})"
            );
            // The proxy in front of a pod sees a little more of a request than the pod, so one that
            // took about as long as the bound may be above it there already.
            let (found, pods) = (number(&query), pods as f64);
            let above = pods - found;
            assert!(
                (0.0..=pods / 100.0).contains(&above),
                "{query} is {found}: {after:?}"
            );
        }
        let found = number(&format!(
            "histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{{\
             reporter=\"destination\",destination_workload=\"{workload}\"}}{window})))"
        ));
        let pods = p99(before, after);
        assert!(
            near(found, pods),
            "p99 of {workload}: {found} is not {pods}"
        );
    }
    let (slow, fast) = (p99(&canary_before, &canary), p99(&stable_before, &stable));
    assert!(slow > 500.0 && fast < 400.0, "{slow} {fast}");

    let asked = |more: &str| {
        format!(
            "sum(rate(istio_requests_total{{reporter=\"source\",source_workload=\"shop-canary\",\
         destination_service_name=\"ledger\"{more}}}{window}))"
        )
    };
    let found = number(&format!(
        "{} / {}",
        asked(",response_code=~\"5.*\""),
        asked("")
    ));
    let share = bad_share(&canary_before, &canary, |counts| &counts.dependency);
    assert!(near(found, share), "{found} is not {share}");
}

#[test]
fn a_query_without_data_and_one_without_a_number_end_as_argo_users_know() {
    let template = |name: &str, query: &str, success: Option<&str>, failure: Option<&str>| {
        let mut document: Value =
            serde_json::from_str(&analysis_template(name, query, "", 1)).expect("a template");
        let metric = &mut document["spec"]["metrics"][0];
        metric["successCondition"] = json!(success);
        metric["failureCondition"] = json!(failure);
        document.to_string()
    };
    let absent = "sum(rate(no_such_metric[1m])) / sum(rate(no_such_metric[1m])) or on() vector(1)";
    let nan = "vector(0) / vector(0)";
    let (good, bad) = (Some("result[0] >= 0.95"), Some("result[0] < 0.95"));
    let templates = [
        template("absent", absent, good, None),
        template("nan-failure-only", nan, None, bad),
        template("nan-both", nan, good, bad),
        template("nan-success-only", nan, good, None),
    ];
    let step = |name: &str| json!({"analysis": {"templates": [{"templateName": name}]}});
    let mut shop = App::new(
        "shop",
        &["--version", "1"],
        json!([
            {"setWeight": 1000}, step("absent"), step("nan-failure-only"), step("nan-both"),
            step("nan-success-only"), {"pause": {}}
        ]),
    );
    let local = Local::start(&[
        ("shop.yaml", shop.text()),
        ("t.yaml", templates.join("\n---\n")),
    ]);
    local.until_healthy("shop");
    shop.args = vec!["--version".into(), "2".into()];
    local.edit("shop.yaml", &shop.text());
    let view = local.until_paused_at("shop", 3);
    assert_eq!(view.message, "InconclusiveAnalysisRun");
    local.must(&["promote", "shop"]);
    let view = local.until("shop", "taken back", |view| view.phase == Phase::Degraded);
    let phases: Vec<RunPhase> = view.revisions[0].runs.iter().map(|run| run.phase).collect();
    assert_eq!(
        phases,
        [
            RunPhase::Successful,
            RunPhase::Successful,
            RunPhase::Inconclusive,
            RunPhase::Failed
        ]
    );
    assert!(
        view.message
            .contains("assessed Failed due to failed (1) > failureLimit (0)"),
        "{}",
        view.message
    );
}

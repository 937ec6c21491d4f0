use serde_json::{Value, json};

use super::*;
use crate::analysis::metric::Provider;
use crate::field::{FieldErrors, Report};

fn metric(metric: Value, config: Value) -> Result<Metric, FieldErrors> {
    let mut written = json!({"name": "m", "provider": {"plugin": {"serin/compare": config}}});
    for (name, value) in metric.as_object().unwrap() {
        written[name] = value.clone();
    }
    let report = Report::default();
    let read = Metric::read(&Field::root("m", &written, &report), Args::Filled);
    report.finish(read)
}

fn compare(config: Value) -> Compare {
    match metric(json!({}), config).unwrap().provider {
        Provider::Compare(compare) => *compare,
        other => panic!("{other:?}"),
    }
}

fn errors(more: Value, config: Value) -> Vec<String> {
    let FieldErrors(errors) = metric(more, config).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_has_a_default() {
    let read = compare(json!({}));
    assert_eq!(read.parameters, Parameters::default());
    assert_eq!(read.tick, Duration::from_secs(5));
    assert_eq!(read.lag, Duration::from_secs(2));
    assert_eq!(
        read.counters,
        Counters::Filter {
            rollout: None,
            revision: None,
            reporter: "source".into(),
            codes: "5..|0".into(),
        }
    );
}

#[test]
fn all_parameters_can_be_set_as_numbers_or_text() {
    let read = compare(json!({
        "alpha": "0.001", "slo": 99.9, "capTicks": 2, "dispersion": 0.7, "deadline": "20m",
        "onInconclusive": "rollback",
        "errors": {"codes": "5..", "minErrors": 5, "minRatio": 2, "minDifference": 0.5},
        "latency": {"minSlow": 9, "minRatio": 1.5, "minDifference": 1},
        "promotion": {"beta": 0.01, "tolerated": 0.5, "ratio": 3, "minDuration": "5m"},
        "reporter": "destination", "rollout": "shop", "revision": "abc",
        "prometheus": {"address": "http://p", "timeout": 5},
    }));
    let parameters = read.parameters;
    assert_eq!(parameters.alpha, 0.001);
    assert!((parameters.allowed - 0.001).abs() < 1e-12);
    assert_eq!(parameters.cap_ticks, 2);
    assert_eq!(parameters.dispersion, Some(0.7));
    assert_eq!(parameters.deadline, Duration::from_secs(1200));
    assert_eq!(parameters.on_inconclusive, OnInconclusive::Rollback);
    assert_eq!(
        parameters.errors,
        Practical {
            bad: 5,
            ratio: 2.0,
            difference: 0.005
        }
    );
    assert_eq!(parameters.latency.unwrap().practical.bad, 9);
    assert_eq!(parameters.promotion.tolerated, 0.005);
    assert_eq!(parameters.promotion.minimum, Duration::from_secs(300));
    assert_eq!(read.prometheus.address.as_deref(), Some("http://p"));
    assert_eq!(compare(json!({"latency": false})).parameters.latency, None);
    let auto = compare(json!({"dispersion": "auto"})).parameters.dispersion;
    assert_eq!(auto, None);
}

#[test]
fn what_is_unknown_or_senseless_is_refused_by_field() {
    let path = "m.provider.plugin.serin/compare";
    let cases = [
        (json!({"alhpa": 1}), "alhpa"),
        (json!({"alpha": 0}), "alpha"),
        (json!({"alpha": 0.6}), "alpha"),
        (json!({"alpha": "NaN"}), "alpha"),
        (json!({"slo": 100}), "slo"),
        (json!({"slo": 0.99}), "slo"),
        (json!({"capTicks": -1}), "capTicks"),
        (json!({"capTicks": 1.5}), "capTicks"),
        (json!({"dispersion": -0.1}), "dispersion"),
        (json!({"deadline": "soon"}), "deadline"),
        (json!({"lag": "1h"}), "lag"),
        (
            json!({"latency": true, "canary": {"requests": "a", "errors": "b"},
            "stable": {"requests": "a", "errors": "b"}}),
            "latency",
        ),
        (json!({"onInconclusive": "stop"}), "onInconclusive"),
        (json!({"errors": {"minRatio": 0.5}}), "errors.minRatio"),
        (json!({"errors": {"codes": "5(("}}), "errors.codes"),
        (json!({"latency": "yes"}), "latency"),
        (json!({"promotion": {"ratio": 1}}), "promotion.ratio"),
        (json!({"promotion": {"beta": 2}}), "promotion.beta"),
        (json!({"reporter": "both"}), "reporter"),
        (json!({"prometheus": {"query": "up"}}), "prometheus.query"),
        (
            json!({"canary": {"requests": "a", "errors": "b"}}),
            "stable",
        ),
    ];
    for (config, field) in cases {
        let found = errors(json!({}), config.clone());
        assert_eq!(found.len(), 1, "{config}: {found:?}");
        assert!(
            found[0].starts_with(&format!("{path}.{field}: ")),
            "{config}: {found:?}"
        );
    }
}

#[test]
fn only_selectors_are_counted() {
    let with = |requests: &str| {
        let one = json!({"requests": requests, "errors": "e{code=~\"5..\"}"});
        json!({"canary": one, "stable": {"requests": "r", "errors": "e"}})
    };
    for good in [
        "r",
        "istio:r_total",
        "r{}",
        r#"r{a="}(",b='{',c=~`\`}"#,
        r#" {__name__="r",a="\""} "#,
    ] {
        let read = metric(json!({}), with(good));
        assert!(read.is_ok(), "{good}: {read:?}");
    }
    for bad in [
        "sum(r)",
        "r[5m]",
        "increase(r[1m])",
        "r offset 1m",
        "r + r",
        r#"r{a="}"#,
        "1r",
        "r{a=\"b\"} or vector(0)",
        "r{a=\"b\"}[1m",
    ] {
        let found = errors(json!({}), with(bad));
        assert!(
            found.len() == 1 && found[0].contains("expected a selector of counters"),
            "{bad}: {found:?}"
        );
    }
}

#[test]
fn fields_of_the_metric_that_mean_nothing_are_refused() {
    let found = errors(
        json!({"successCondition": "result > 1", "failureLimit": 3, "count": 5, "interval": "5s"}),
        json!({}),
    );
    assert_eq!(found.len(), 3, "{found:?}");
    let found = errors(json!({"interval": "100ms"}), json!({}));
    assert_eq!(found, ["m.interval: is \"100ms\", expected 1s or more"]);
}

#[test]
fn an_interval_is_the_tick_and_without_a_count_it_is_endless() {
    let read = |more: Value| match metric(more, json!({})).unwrap().provider {
        Provider::Compare(compare) => (compare.tick.as_secs(), compare.parameters.endless),
        other => panic!("{other:?}"),
    };
    assert_eq!(read(json!({})), (5, false));
    assert_eq!(read(json!({"interval": "10s"})), (10, true));
    assert_eq!(read(json!({"interval": "10s", "count": 1})), (10, false));
}

#[test]
fn another_plugin_is_refused_by_name() {
    let written = json!({"name": "m", "provider": {"plugin": {"acme/judge": {}}}});
    let report = Report::default();
    let read = Metric::read(&Field::root("m", &written, &report), Args::Filled);
    let FieldErrors(errors) = report.finish(read).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "m.provider.plugin.acme/judge: is not supported, expected serin/compare"
    );
}

use super::*;
use serde_json::json;

const GOOD: &str = "len(result) == 0 || result[0] < 1";

/// What is told of a template with this metric, which asks for `up` and is right but for these
/// fields.
fn told(more: Value) -> Vec<String> {
    let mut metric = json!({
        "name": "m", "successCondition": GOOD, "provider": {"prometheus": {"query": "up"}},
    });
    let (Value::Object(fields), Value::Object(more)) = (&mut metric, more) else {
        panic!("objects");
    };
    fields.extend(more);
    fields.retain(|_, value| !value.is_null());
    told_of(json!({"metrics": [metric]}))
}

fn told_of(spec: Value) -> Vec<String> {
    let warnings = template("AnalysisTemplate", "t", spec).warnings();
    warnings.iter().map(ToString::to_string).collect()
}

fn template(kind: &str, name: &str, spec: Value) -> Template {
    Template::parse(&json!({"kind": kind, "metadata": {"name": name}, "spec": spec})).unwrap()
}

fn asking(query: &str, more: Value) -> Vec<String> {
    let mut fields = json!({"provider": {"prometheus": {"query": query}}});
    let (Value::Object(all), Value::Object(more)) = (&mut fields, more) else {
        panic!("objects");
    };
    all.extend(more);
    told(fields)
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_is_right_is_not_told() {
    assert_eq!(told(json!({})), NOTHING);
    let both = json!({
        "successCondition": "len(result) > 0 && result[0] <= 1",
        "failureCondition": "len(result) > 0 && result[0] > 1",
    });
    assert_eq!(told(both), NOTHING);
    let job = json!({"job": {"spec": {"template": {}}}});
    assert_eq!(
        told(json!({"provider": job, "successCondition": null})),
        NOTHING
    );
}

#[test]
fn a_failure_limit_is_what_is_tolerated() {
    let of = |limit: Value, count: Value| {
        told(json!({"failureLimit": limit, "count": count, "interval": "5s"}))
    };
    let fourth = "spec.metrics[0].failureLimit: is 3: the run fails with the 4th failed \
                  measurement, cumulative, not consecutive";
    assert_eq!(of(json!(3), json!(5)), [fourth]);
    assert_eq!(of(json!("3"), json!(null)), [fourth]);
    let never = format!("{fourth}, which a count of 3 never lets happen");
    assert_eq!(of(json!(3), json!(3)), [never]);
    assert_eq!(of(json!(0), json!(5)), NOTHING);
    assert_eq!(of(json!("{{args.limit}}"), json!(5)), NOTHING);
}

#[test]
fn a_count_of_zero_is_none() {
    let once = "spec.metrics[0].count: is 0, which is as if it were not there: it is measured \
                once, expected 1 or more";
    assert_eq!(told(json!({"count": 0})), [once]);
    assert_eq!(told(json!({"count": "0"})), [once]);
    let on = told(json!({"count": 0, "interval": "5s"}));
    assert!(
        on[0].contains("is measured until the run is ended"),
        "{on:?}"
    );
}

#[test]
fn a_text_that_is_no_number_counts_as_zero() {
    assert_eq!(
        told(json!({"consecutiveErrorLimit": "three"})),
        [
            "spec.metrics[0].consecutiveErrorLimit: is \"three\", which counts as 0, expected a \
             whole number"
        ]
    );
    assert_eq!(told(json!({"inconclusiveLimit": "{{args.n}}"})), NOTHING);
}

#[test]
fn without_a_condition_all_is_good() {
    assert_eq!(
        told(json!({"successCondition": null})),
        [
            "spec.metrics[0]: has neither successCondition nor failureCondition: whatever is \
             measured is Successful"
        ]
    );
}

#[test]
fn a_vector_is_not_compared_with_a_number() {
    let of = |query: &str, condition: &str| asking(query, json!({"successCondition": condition}));
    assert_eq!(
        of("up", "result == 10"),
        [
            "spec.metrics[0].successCondition: is \"result == 10\", which is an Error each time: \
             invalid operation: == (mismatched types []float64 and int), expected result[0] in the \
             place of result"
        ]
    );
    let turned = of("scalar(up)", "result[0] < 1");
    assert!(
        turned[0].ends_with("expected result in the place of result[0]"),
        "{turned:?}"
    );
    let range = json!({"start": "now() - duration('5m')", "end": "now()", "step": "1m"});
    let over_range = |condition: &str| {
        let asked = json!({"prometheus": {"query": "scalar(up)", "rangeQuery": range}});
        told(json!({"provider": asked, "successCondition": condition}))
    };
    assert_eq!(over_range("result[0] < 1"), NOTHING);
    assert_eq!(over_range("result < 1").len(), 1);
    for (query, condition, is_told) in [
        ("up", "result < 1", true),
        ("up", "default(result, 0) < 1", true),
        ("up", "result.a < 1", true),
        ("scalar(up)", "result < 1", false),
        ("scalar(up)", "result[0] < 1", true),
        ("{{args.query}}", "result < 1", false),
        ("up", "result < {{args.limit}}", false),
        ("up or vector(0)", "result[1] < 1", false),
    ] {
        let told = of(query, condition);
        let found = told.iter().any(|one| one.contains("an Error each time"));
        assert_eq!(found, is_told, "{query}: {condition}: {told:?}");
    }
}

#[test]
fn what_nan_passes_is_told() {
    let failing = |condition: &str| {
        asking(
            "scalar(a / b)",
            json!({"successCondition": null, "failureCondition": condition}),
        )
    };
    assert_eq!(
        failing("result > 0.05"),
        [
            "spec.metrics[0].failureCondition: is false for NaN as every comparison with it, so a \
             query that divides 0 by 0, such as one without requests, is Successful, expected \
             isNaN(result) || ... before it"
        ]
    );
    assert_eq!(failing("isNaN(result) || result > 0.05"), NOTHING);
    assert_eq!(failing("!(result <= 0.05)"), NOTHING);
    let of = |fields: Value| {
        let told = asking("a / b", fields);
        told.iter().any(|one| one.contains("NaN"))
    };
    let guarded = "len(result) == 0 || result[0] > 5";
    assert!(of(
        json!({"successCondition": null, "failureCondition": guarded})
    ));
    assert!(of(
        json!({"successCondition": "len(result) == 0 || !(result[0] > 5)"})
    ));
    assert!(!of(json!({"failureCondition": guarded})));
    let not_divided = json!({"successCondition": null, "failureCondition": guarded});
    assert_eq!(asking("sum(up)", not_divided), NOTHING);
    assert!(!of(
        json!({"successCondition": null, "failureCondition": "len(result) > 5"})
    ));
    let unknown = json!({"successCondition": null, "failureCondition": "result[0] > {{args.x}}"});
    assert!(!of(unknown));
}

#[test]
fn nothing_found_is_an_error() {
    assert_eq!(
        told(json!({"successCondition": "result[0] < 1"})),
        [
            "spec.metrics[0].successCondition: is an Error while the query finds nothing, and 5 in \
             a row, 10 seconds apart, end the run in Error, expected len(result) == 0 || ... or \
             len(result) > 0 && ... before it (isNil and default do not see an empty vector)"
        ]
    );
    for (condition, is_told) in [
        ("isNil(result) || result[0] < 1", true),
        ("result[0] < 1 || len(result) == 0", true),
        ("all(result, # < 1)", false),
        ("len(result) == 0 or result[0] < 1", false),
    ] {
        let told = told(json!({"successCondition": condition, "consecutiveErrorLimit": 1}));
        let found = told.iter().any(|one| one.contains("and 2 in a row"));
        assert_eq!(found, is_told, "{condition}: {told:?}");
    }
}

#[test]
fn a_value_in_the_place_of_nothing_is_told() {
    let told = asking(
        "sum(a) or on() vector(0)",
        json!({"successCondition": "result[0] < 1"}),
    );
    let [only] = &told[..] else {
        panic!("{told:?}")
    };
    let hides = "spec.metrics[0].provider.prometheus.query: puts a value in the place of what it \
                 does not find";
    assert!(only.starts_with(hides), "{only}");
    assert_eq!(asking("(a or vector(0)) / sum(b)", json!({})), NOTHING);
}

#[test]
fn a_rule_that_is_no_pattern_is_told() {
    let metric = json!({"name": "m", "successCondition": GOOD,
        "provider": {"prometheus": {"query": "up"}}});
    let of = |pattern: &str| {
        told_of(
            json!({"metrics": [metric], "dryRun": [{"metricName": pattern}],
            "measurementRetention": [{"metricName": ".*", "limit": 1}]}),
        )
    };
    assert_eq!(
        of("*"),
        [
            "spec.dryRun[0].metricName: is \"*\", which is no pattern, and the run is an Error \
             (Rule didn't match any metric name(s)), expected a regular expression, such as \".*\" \
             for all metrics"
        ]
    );
    assert_eq!(of(".*"), NOTHING);
    let of_rollout = AnalysisRef {
        measurement_retention: vec![json!({"metricName": "*", "limit": 1})],
        ..AnalysisRef::default()
    };
    let told = warnings_of("spec.strategy.canary.analysis", &of_rollout);
    assert_eq!(
        told[0].path,
        "spec.strategy.canary.analysis.measurementRetention[0].metricName"
    );
}

#[test]
fn each_template_that_is_used_is_told_once() {
    // What a failureLimit tolerates is told where files are checked only.
    let unjudged = |name: &str| {
        json!({"name": name, "failureLimit": 1, "count": 2,
        "interval": "5s", "provider": {"prometheus": {"query": "up"}}})
    };
    let templates = [
        template(
            "AnalysisTemplate",
            "outer",
            json!({"templates": [{"templateName": "inner"}]}),
        ),
        template(
            "AnalysisTemplate",
            "inner",
            json!({"metrics": [unjudged("a")]}),
        ),
        template(
            "ClusterAnalysisTemplate",
            "unused",
            json!({"metrics": [unjudged("b")]}),
        ),
    ];
    let analysis = |name: &str| AnalysisRef {
        templates: vec![crate::plan::TemplateRef {
            name: name.into(),
            cluster_scope: false,
        }],
        ..AnalysisRef::default()
    };
    let told = notices(
        &templates,
        &[analysis("outer"), analysis("inner"), analysis("gone")],
    );
    assert_eq!(
        told,
        [
            "AnalysisTemplate inner: spec.metrics[0]: has neither successCondition nor \
             failureCondition: whatever is measured is Successful"
        ]
    );
}

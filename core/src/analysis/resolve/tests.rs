use super::*;
use crate::analysis::metric::Provider;
use crate::analysis::{ArgContext, Draft, LocalSecrets, Template};
use crate::plan::{AnalysisRef, TemplateRef};
use serde_json::{Value, json};

fn template(kind: &str, name: &str, spec: Value) -> Template {
    let document = json!({"kind": kind, "metadata": {"name": name}, "spec": spec});
    Template::parse(&document).unwrap()
}

fn metric(name: &str, query: &str) -> Value {
    json!({"name": name, "provider": {"prometheus": {"query": query}}})
}

fn namespaced(name: &str, spec: Value) -> Template {
    template("AnalysisTemplate", name, spec)
}

fn refs(names: &[&str]) -> AnalysisRef {
    let named = |name: &&str| TemplateRef {
        name: (*name).into(),
        cluster_scope: false,
    };
    AnalysisRef {
        templates: names.iter().map(named).collect(),
        ..AnalysisRef::default()
    }
}

fn run(templates: &[Template], analysis: &AnalysisRef) -> Result<RunSpec, String> {
    let rollout = json!({"metadata": {"name": "web", "labels": {"app": "shop"}}});
    let context = ArgContext {
        latest_hash: "newhash",
        stable_hash: "oldhash",
        rollout: &rollout,
    };
    let draft = Draft::draw_up(templates, analysis, &context);
    let spec = draft.and_then(|draft| draft.spec_without_cluster(LocalSecrets::Nowhere));
    spec.map_err(|why| why.to_string())
}

fn query(spec: &RunSpec, index: usize) -> &str {
    match &spec.metrics[index].provider {
        Provider::Prometheus(query) => &query.query,
        other => panic!("{other:?}"),
    }
}

#[test]
fn arguments_of_every_source_reach_the_query() {
    let templates = [namespaced(
        "t",
        json!({
            "args": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d", "value": "own"},
                     {"name": "e", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "metrics": [metric("m", "{{args.a}} {{ args.b }} {{args.c}} {{args.d}} {{args.e}}")],
        }),
    )];
    let mut analysis = refs(&["t"]);
    analysis.args = vec![
        json!({"name": "a", "valueFrom": {"podTemplateHashValue": "Latest"}}),
        json!({"name": "b", "valueFrom": {"podTemplateHashValue": "Stable"}}),
        json!({"name": "c", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}),
        json!({"name": "nobody-asks", "value": "x"}),
    ];
    assert_eq!(
        query(&run(&templates, &analysis).unwrap(), 0),
        "newhash oldhash shop own web"
    );
    analysis.args.push(json!({"name": "d", "value": "given"}));
    assert_eq!(
        query(&run(&templates, &analysis).unwrap(), 0),
        "newhash oldhash shop given web"
    );
}

#[test]
fn limits_are_filled_in_and_checked_again() {
    let mut bounded = metric("m", "up");
    bounded["count"] = json!("{{args.count}}");
    bounded["interval"] = json!("{{args.interval}}");
    let spec = json!({"args": [{"name": "count", "value": "3"},
        {"name": "interval", "value": "1m"}], "metrics": [bounded]});
    let templates = [namespaced("t", spec)];
    let found = run(&templates, &refs(&["t"])).unwrap();
    assert_eq!(found.metrics[0].count, Some(3));
    assert_eq!(
        found.metrics[0].interval,
        Some(std::time::Duration::from_secs(60))
    );
    assert_eq!(found.endless(), None);
    let mut analysis = refs(&["t"]);
    analysis.args = vec![json!({"name": "count", "value": "-1"})];
    assert_eq!(
        run(&templates, &analysis).unwrap_err(),
        "metrics[m].count: is \"-1\", expected a whole number from 0, as such or as text"
    );
    analysis.args = vec![json!({"name": "count", "value": "many"})];
    let found = run(&templates, &analysis).unwrap();
    assert_eq!(found.metrics[0].count, None, "no number counts as 0");
}

#[test]
fn templates_are_gathered_once_and_the_clusters_come_last() {
    let templates = [
        template(
            "ClusterAnalysisTemplate",
            "c",
            json!({"metrics": [metric("cluster", "up")], "templates": [{"templateName": "a"}]}),
        ),
        namespaced(
            "a",
            json!({
                "metrics": [metric("first", "up")],
                "templates": [{"templateName": "c", "clusterScope": true}, {"templateName": "b"}],
            }),
        ),
        namespaced("b", json!({"metrics": [metric("second", "up")]})),
    ];
    let names = |refs: &AnalysisRef| {
        let spec = run(&templates, refs).unwrap();
        spec.metrics
            .into_iter()
            .map(|metric| metric.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&refs(&["a"])), ["first", "second", "cluster"]);
    assert_eq!(
        names(&refs(&["a", "b", "a"])),
        ["first", "second", "cluster"]
    );
}

#[test]
fn a_run_that_cannot_begin_says_why() {
    let secret = json!({"secretKeyRef": {"name": "tokens", "key": "prom"}});
    let templates = [
        namespaced("plain", json!({"metrics": [metric("m", "up")]})),
        namespaced("same", json!({"metrics": [metric("m", "up")]})),
        namespaced(
            "needs",
            json!({"args": [{"name": "x"}], "metrics": [metric("n", "{{args.x}}")]}),
        ),
        namespaced("typo", json!({"metrics": [metric("n", "{{args.y}}")]})),
        namespaced(
            "secret",
            json!({"args": [{"name": "x", "valueFrom": secret}],
            "metrics": [metric("n", "{{args.x}}")]}),
        ),
        namespaced(
            "one",
            json!({"args": [{"name": "x", "value": "1"}],
            "metrics": [metric("o", "up")]}),
        ),
        namespaced(
            "two",
            json!({"args": [{"name": "x", "value": "2"}],
            "metrics": [metric("p", "up")]}),
        ),
        namespaced(
            "dry",
            json!({"metrics": [metric("q", "up")], "dryRun": [{"metricName": "q"}]}),
        ),
    ];
    let dry = |rules: Value, names: &[&str]| AnalysisRef {
        dry_run: rules.as_array().unwrap().clone(),
        ..refs(names)
    };
    let cases = [
        (
            refs(&["absent"]),
            "AnalysisTemplate \"absent\" is not there",
        ),
        (
            refs(&["plain", "same"]),
            "metric \"m\" is in two templates, expected a name that no other \
            metric has",
        ),
        (
            refs(&["needs"]),
            "args.x was not resolved (give it a value in the Rollout's args)",
        ),
        (
            refs(&["typo"]),
            "metric \"n\": failed to resolve {{args.y}}",
        ),
        (
            refs(&["secret"]),
            "args.x takes its value from key prom of Secret tokens, and local mode reads Secrets \
            from a file: serin local --secrets FILE (or give it a value in the Rollout's args)",
        ),
        (
            refs(&["one", "two"]),
            "args.x has two different values in the templates, expected one",
        ),
        (
            dry(json!([{"metricName": "*"}]), &["plain"]),
            "dryRun[0]: Rule didn't match any metric name(s)",
        ),
        (
            dry(json!([{"metricName": "q"}]), &["dry"]),
            "dryRun: metricName \"q\" is there twice, expected once",
        ),
        (
            refs(&[]),
            "the templates have no metric, expected at least one",
        ),
    ];
    for (analysis, expected) in cases {
        assert_eq!(run(&templates, &analysis).unwrap_err(), expected);
    }
}

#[test]
fn rules_match_anywhere_in_a_name() {
    let metrics = json!([metric("success-rate", "up"), metric("latency", "up")]);
    let templates = [namespaced("t", json!({"metrics": metrics}))];
    let mut analysis = refs(&["t"]);
    analysis.dry_run = vec![json!({"metricName": "rate$"})];
    analysis.measurement_retention = vec![
        json!({"metricName": "laten", "limit": 3}),
        json!({"metricName": ".*-rate", "limit": 0}),
    ];
    let spec = run(&templates, &analysis).unwrap();
    let found: Vec<_> = spec
        .metrics
        .iter()
        .map(|m| (m.dry_run, m.retention))
        .collect();
    assert_eq!(found, [(true, 10), (false, 3)]);
}

#[test]
fn a_metric_with_only_an_interval_never_ends_by_itself() {
    let mut endless = metric("m", "up");
    endless["interval"] = json!("10s");
    let templates = [namespaced(
        "t",
        json!({"metrics": [metric("once", "up"), endless]}),
    )];
    let spec = run(&templates, &refs(&["t"])).unwrap();
    assert_eq!(spec.endless().map(|metric| metric.name.as_str()), Some("m"));
}

#[test]
fn a_templates_rules_come_after_the_rollouts_own_and_overrule_them() {
    let rules = json!([{"metricName": "m", "limit": 3}]);
    let spec = json!({"metrics": [metric("m", "up")], "measurementRetention": rules});
    let templates = [namespaced("t", spec)];
    let mut analysis = refs(&["t"]);
    analysis.measurement_retention = vec![json!({"metricName": ".*", "limit": 5})];
    assert_eq!(run(&templates, &analysis).unwrap().metrics[0].retention, 3);
    analysis.measurement_retention = vec![json!({"metricName": "x", "limit": 5})];
    assert_eq!(
        run(&templates, &analysis).unwrap_err(),
        "measurementRetention[0]: Rule didn't match any metric name(s)"
    );
}

#[test]
fn of_arguments_of_one_name_a_value_stays_and_the_rollout_overrides() {
    let by_field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let declaring = |name: &str, mut argument: Value| {
        argument["name"] = json!("x");
        namespaced(
            name,
            json!({"args": [argument], "metrics": [metric(name, "={{args.x}}")]}),
        )
    };
    let templates = [
        declaring("none", json!({})),
        declaring("value", json!({"value": "v"})),
        declaring("same", json!({"value": "v"})),
        declaring("name", json!({"valueFrom": by_field("metadata.name")})),
        declaring(
            "label",
            json!({"valueFrom": by_field("metadata.labels['app']")}),
        ),
        declaring(
            "absent",
            json!({"valueFrom": by_field("metadata.labels['no']")}),
        ),
    ];
    let found = |names: &[&str], args: &[Value]| {
        let mut analysis = refs(names);
        analysis.args = args.to_vec();
        query(&run(&templates, &analysis).unwrap(), 0).to_string()
    };
    assert_eq!(found(&["none", "value", "same"], &[]), "=v");
    assert_eq!(found(&["value", "name"], &[]), "=v");
    assert_eq!(found(&["name", "value", "none"], &[]), "=v");
    assert_eq!(found(&["name", "label"], &[]), "=shop");
    assert_eq!(found(&["absent"], &[]), "=", "as in the downward API");
    let given = json!({"name": "x", "value": "given"});
    assert_eq!(found(&["value", "name"], &[given]), "=given");
    assert_eq!(
        found(&["value"], &[json!({"name": "x"})]),
        "=",
        "none given is an empty text"
    );
}

#[test]
fn a_runs_message_begins_as_argos_does() {
    let unfilled = ResolveError::Unfilled {
        metric: "m".into(),
        why: "failed to resolve {{args.x}}".into(),
    };
    assert_eq!(
        unfilled.message(),
        "Unable to resolve metric arguments: metric \"m\": failed to resolve {{args.x}}"
    );
    let rule = ResolveError::RuleForNothing {
        list: "dryRun",
        index: 0,
    };
    assert_eq!(
        rule.message(),
        "Analysis spec invalid: dryRun[0]: Rule didn't match any metric name(s)"
    );
}

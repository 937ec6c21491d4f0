use super::*;
use crate::revision::{self, WORKLOAD_LABEL};
use crate::wire::{AllOf, Match, Subject, Test};
use proptest::prelude::*;
use serde_json::json;

/// A Rollout with these steps and this trafficRouting.
fn rollout(steps: Value, routing: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}},
            "strategy": {"canary": {
                "stableService": "shop", "canaryService": "shop-canary",
                "trafficRouting": routing, "steps": steps,
            }},
        },
    })
}

fn wasm() -> Value {
    json!({"plugins": {"serin/wasm": {}}})
}

fn steps(list: Value) -> Vec<Step> {
    Plan::parse(&rollout(list, wasm()), "default")
        .unwrap()
        .steps
}

fn refusal(document: &Value) -> String {
    Plan::parse(document, "default").unwrap_err().to_string()
}

fn refused_step(step: Value) -> String {
    refusal(&rollout(json!([step]), wasm()))
}

#[test]
fn weights_are_basis_points() {
    assert_eq!(steps(json!([{"setWeight": 33}])), [Step::SetWeight(3300)]);
    let routing = json!({"plugins": {"serin/wasm": {}}, "maxTrafficWeight": 10000});
    let fine = Plan::parse(&rollout(json!([{"setWeight": 5}]), routing), "default").unwrap();
    assert_eq!(fine.steps, [Step::SetWeight(5)]);
}

#[test]
fn pauses_read_in_every_spelling() {
    let read = steps(json!([
        {"pause": {"duration": 10}}, {"pause": {"duration": "30"}},
        {"pause": {"duration": "1h30m"}}, {"pause": {}}, {"pause": null}
    ]));
    let seconds = |s| Step::Pause(Pause::For(Duration::from_secs(s)));
    let until = Step::Pause(Pause::UntilPromoted);
    assert_eq!(
        read,
        [
            seconds(10),
            seconds(30),
            seconds(5400),
            until.clone(),
            until
        ]
    );
}

#[test]
fn a_list_of_header_matches_is_a_list_of_alternatives() {
    let read = steps(json!([
        {"setHeaderRoute": {"name": "a", "match": [
            {"headerName": "X-Canary", "headerValue": {"exact": "true"}},
            {"headerName": "agent", "headerValue": {"prefix": "curl"}},
        ]}},
        {"setHeaderRoute": {"name": "a"}}
    ]));
    let on = |name: &str, is| AllOf {
        all: vec![Match {
            on: Subject::Header(name.into()),
            is,
            not: false,
        }],
    };
    let any = vec![
        on("x-canary", Test::Exact("true".into())),
        on("agent", Test::Prefix("curl".into())),
    ];
    let route = HeaderRoute {
        name: "a".into(),
        any,
    };
    assert_eq!(
        read,
        [
            Step::AddHeaderRoute(route),
            Step::RemoveHeaderRoute("a".into())
        ]
    );
}

#[test]
fn unlisted_managed_routes_come_after_the_listed_with_a_notice() {
    let routing = json!({"plugins": {"serin/wasm": {}}, "managedRoutes": [{"name": "z"}]});
    let list = json!([{"setHeaderRoute": {"name": "a"}}, {"setHeaderRoute": {"name": "z"}}]);
    let plan = Plan::parse(&rollout(list, routing), "default").unwrap();
    assert_eq!(plan.managed_routes, ["z", "a"]);
    assert_eq!(plan.notices.len(), 1);
    assert!(
        plan.notices[0].contains("Argo Rollouts would refuse it"),
        "{}",
        plan.notices[0]
    );
}

#[test]
fn richer_matches_replace_those_of_the_step() {
    let routing = json!({"managedRoutes": [{"name": "a"}], "plugins": {"serin/wasm": {"routes": [
        {"name": "a", "any": [{"all": [
            {"path": {"prefix": "/api"}}, {"method": {"not": {"exact": "POST"}}},
            {"cookie": {"name": "beta", "present": true}}, {"query": {"name": "q", "regex": "a+"}},
        ]}]}
    ]}}});
    let step = json!([{"setHeaderRoute": {"name": "a", "match": [
        {"headerName": "x", "headerValue": {"exact": "1"}}]}}]);
    let plan = Plan::parse(&rollout(step, routing.clone()), "default").unwrap();
    let Step::AddHeaderRoute(route) = &plan.steps[0] else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!(route.any[0].all.len(), 4);
    assert!(route.any[0].all[1].not);
    let unused = refusal(&rollout(json!([]), routing));
    assert!(
        unused.contains("describes route \"a\", expected a setHeaderRoute step"),
        "{unused}"
    );
}

#[test]
fn refusals_name_field_value_and_what_is_accepted() {
    let at = "spec.strategy.canary.steps[0]";
    for (step, message) in [
        (
            json!({"setWeight": 101}),
            ".setWeight: is 101, expected a whole number from 0 to 100",
        ),
        (
            json!({"setWeight": "10"}),
            ".setWeight: is \"10\", expected a whole number from 0 to 100",
        ),
        (
            json!({"pause": {"duration": "5 minutes"}}),
            ".pause.duration: is \"5 minutes\", expected seconds or a duration such as \
             \"30\", \"90s\" or \"1h30m\"",
        ),
        (json!({"pause": 30}), ".pause: is 30, expected an object"),
        (
            json!({"pause": {"duraton": 5}}),
            ".pause.duraton: is 5, expected one of duration (did you mean duration?)",
        ),
        (
            json!({"experiment": {}}),
            ": experiment is not supported yet, expected one of setWeight, pause, analysis, \
             setHeaderRoute, setMirrorRoute, setCanaryScale",
        ),
        (
            json!({"setweight": 5}),
            ".setweight: is 5, expected one of setWeight, pause, analysis, setHeaderRoute, \
             setMirrorRoute, setCanaryScale (did you mean setWeight?)",
        ),
        (
            json!({"setweight": null}),
            ": setweight is null, expected a value",
        ),
        (
            json!({"setWeight": 5, "pause": {}}),
            ": is {\"pause\":{},\"setWeight\":5}, expected exactly one of setWeight, pause, \
             analysis, setHeaderRoute, setMirrorRoute, setCanaryScale",
        ),
        (
            json!({"setHeaderRoute": {"name": "a", "match": [
                {"headerName": "x", "headerValue": {"exact": "1", "regex": "2"}}]}}),
            ".setHeaderRoute.match[0].headerValue: is {\"exact\":\"1\",\"regex\":\"2\"}, expected \
             exactly one of exact, prefix, regex",
        ),
        (
            json!({"setCanaryScale": {"replicas": 1, "weight": 5}}),
            ".setCanaryScale: is {\"replicas\":1,\"weight\":5}, expected exactly one of replicas, \
             weight or matchTrafficWeight: true",
        ),
        (
            json!({"analysis": {"templates": []}}),
            ".analysis.templates: is [], expected at least one template",
        ),
    ] {
        assert_eq!(refused_step(step), format!("{at}{message}"));
    }
}

#[test]
fn what_the_filter_would_refuse_is_refused_in_the_manifest() {
    let long = "x".repeat(2_000);
    let refused = refused_step(json!({"setHeaderRoute": {"name": "a", "match": [
        {"headerName": "x", "headerValue": {"exact": long}}]}}));
    let at = "spec.strategy.canary.steps[0].setHeaderRoute.any[0].all[0].is";
    assert!(refused.starts_with(at), "{refused}");
    let hosts = json!({"plugins": {"serin/wasm": {"hosts": ["shop:8080"]}}});
    let refused = refusal(&rollout(json!([]), hosts));
    let at = "spec.strategy.canary.trafficRouting.plugins[serin/wasm].hosts[0]: is \"shop:8080\"";
    assert!(refused.starts_with(at), "{refused}");
}

#[test]
fn a_workload_is_named_for_the_rollout_or_for_the_revision() {
    let plan = |name: Value| {
        let routing = json!({"plugins": {"serin/wasm": {"workloadName": name}}});
        Plan::parse(&rollout(json!([]), routing), "default")
    };
    let named = |name: Value| match plan(name).unwrap().router {
        Router::Wasm(wasm) => wasm.workload_name,
        other => panic!("{other:?}"),
    };
    assert_eq!(named(Value::Null), WorkloadName::Rollout);
    assert_eq!(named(json!("rollout")), WorkloadName::Rollout);
    assert_eq!(named(json!("revision")), WorkloadName::Revision);
    let at = "spec.strategy.canary.trafficRouting.plugins.serin/wasm.workloadName: is";
    for (wrong, shown) in [(json!("Revision"), "\"Revision\""), (json!(true), "true")] {
        assert_eq!(
            plan(wrong).unwrap_err().to_string(),
            format!("{at} {shown}, expected rollout or revision")
        );
    }
}

#[test]
fn the_longest_name_leaves_room_for_its_versions() {
    let mut document = rollout(json!([]), wasm());
    document["metadata"]["name"] = json!("x".repeat(52));
    let plan = Plan::parse(&document, "default").unwrap();
    assert_eq!(revision::workload(&plan.name, "5859f96865").len(), 63);
    document["metadata"]["name"] = json!("x".repeat(53));
    assert!(refusal(&document).starts_with("metadata.name: is"));
}

#[test]
fn a_template_that_came_from_a_replica_set_is_the_same_template() {
    let plan = |name: &str| {
        let mut document = rollout(json!([]), wasm());
        document["spec"]["template"]["metadata"]["labels"][WORKLOAD_LABEL] = json!(name);
        Plan::parse(&document, "default").unwrap().template
    };
    let written = Plan::parse(&rollout(json!([]), wasm()), "default").unwrap();
    let hash = revision::hash(&written.template);
    assert_eq!(plan(&revision::workload("shop", &hash)), written.template);
    assert_ne!(plan("mine"), written.template);
}

#[test]
fn routes_that_are_too_many_together_are_refused_at_the_step_that_adds_the_last() {
    let entry = |i: usize| json!({"headerName": "x", "headerValue": {"regex": format!("a{i}")}});
    let matches: Vec<Value> = (0..64).map(entry).collect();
    let step = |i: usize| json!({"setHeaderRoute": {"name": format!("r{i}"), "match": matches}});
    let refused = refusal(&rollout((0..5).map(step).collect(), wasm()));
    assert!(
        refused.starts_with("spec.strategy.canary.steps[4].setHeaderRoute"),
        "{refused}"
    );
    assert!(refused.contains("expected at most 256"), "{refused}");
}

#[test]
fn histories_are_as_long_as_asked_for() {
    let mut document = rollout(json!([]), wasm());
    document["spec"]["revisionHistoryLimit"] = json!(2);
    document["spec"]["analysis"] = json!({"successfulRunHistoryLimit": 1});
    let plan = Plan::parse(&document, "default").unwrap();
    assert_eq!(plan.revision_history, 2);
    assert_eq!(
        plan.run_history,
        RunHistory {
            successful: 1,
            unsuccessful: 5
        }
    );
}

#[test]
fn a_restart_has_a_time_and_a_rollback_a_window() {
    let mut document = rollout(json!([]), wasm());
    document["spec"]["restartAt"] = json!("2026-08-30T12:00:00Z");
    document["spec"]["rollbackWindow"] = json!({"revisions": 3});
    let plan = Plan::parse(&document, "default").unwrap();
    assert_eq!(plan.restart_at, Some(Timestamp(1_788_091_200_000)));
    assert_eq!(plan.rollback_window, 3);

    document["spec"]["restartAt"] = json!("now");
    document["spec"]["rollbackWindow"] = json!({"revision": 3});
    assert_eq!(
        refusal(&document),
        "spec.restartAt: is \"now\", expected a time such as \"2026-08-30T12:00:00Z\"\n\
         spec.rollbackWindow.revision: is 3, expected one of revisions (did you mean revisions?)"
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let with = |path: &str, value: Value| {
        let mut document = rollout(json!([]), wasm());
        let (parent, name) = path.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = value;
        refusal(&document)
    };
    assert_eq!(
        with("/spec/strategy/blueGreen", json!({})),
        "spec.strategy.blueGreen: is not supported yet, expected strategy canary"
    );
    assert_eq!(
        with("/spec/strategy/canary/stepPlugin", json!({})),
        "spec.strategy.canary.stepPlugin: is not supported yet, expected it to be absent"
    );
    assert_eq!(
        with("/spec/scaleDownOnPause", json!(true)),
        "spec.scaleDownOnPause: is not supported yet, expected it to be absent"
    );
    assert_eq!(
        with("/spec/strategy/canary/trafficRouting", json!({"nginx": {}})),
        "spec.strategy.canary.trafficRouting: has router nginx, which is not supported, expected \
         istio or plugins: {serin/wasm: {}}\nspec.strategy.canary.trafficRouting: names no router, \
         expected istio or plugins: {serin/wasm: {}}"
    );
    assert_eq!(
        with("/spec/replicsa", json!(3)).split(", expected").next(),
        Some("spec.replicsa: is 3")
    );
    assert_eq!(
        with("/spec/selector/matchLabels", json!({"app": "other"})),
        "spec.selector.matchLabels: has app: \"other\", expected a label that \
         spec.template.metadata.labels carries"
    );
    assert_eq!(
        with("/spec/strategy/canary/canaryService", json!("shop")),
        "spec.strategy.canary: canaryService and stableService are both \"shop\", expected two \
         Services"
    );
}

#[test]
fn steps_that_need_a_router_are_refused_without_one() {
    let refused = refusal(&rollout(
        json!([{"setCanaryScale": {"replicas": 1}}]),
        Value::Null,
    ));
    assert_eq!(
        refused,
        "spec.strategy.canary.steps[0].setCanaryScale: needs trafficRouting, expected a router in \
         spec.strategy.canary"
    );
}

#[test]
fn steps_read_back_as_a_user_writes_them() {
    let list = json!([{"setWeight": 10}, {"pause": {}}, {"pause": {"duration": 90}},
        {"analysis": {"templates": [{"templateName": "ok"}]}}, {"setHeaderRoute": {"name": "a"}}]);
    let texts: Vec<String> = steps(list).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "setWeight: 10",
            "pause: until promoted",
            "pause: 90s",
            "analysis: ok",
            "setHeaderRoute: a (remove)"
        ]
    );
    assert_eq!(
        (percent(5), percent(50), percent(1050)),
        ("0.05".into(), "0.5".into(), "10.5".into())
    );
}

/// Any JSON, with the API's own field names among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let key = prop_oneof![
            Just("setWeight"),
            Just("pause"),
            Just("duration"),
            Just("analysis"),
            Just("templates"),
            Just("args"),
            Just("valueFrom"),
            Just("setHeaderRoute"),
            Just("match"),
            Just("headerValue"),
            Just("name"),
            Just("setCanaryScale"),
            Just("istio"),
            Just("plugins"),
            Just("serin/wasm"),
            Just("routes"),
            Just("any"),
            Just("all"),
            Just("header"),
            Just("not"),
            Just("regex"),
            Just("sticky"),
            Just("workloadName"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..5).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_string(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_stands_in_a_manifest_is_read_or_refused_by_path(
        value in any_json(), at in 0..PLACES.len()
    ) {
        let mut document = rollout(json!([]), wasm());
        *document.pointer_mut(PLACES[at]).unwrap() = value;
        if let Err(refused) = Plan::parse(&document, "default") {
            prop_assert!(!refused.0.is_empty());
            for error in refused.0 {
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}

/// Where arbitrary values are put.
const PLACES: [&str; 8] = [
    "",
    "/metadata",
    "/spec",
    "/spec/selector",
    "/spec/template",
    "/spec/strategy",
    "/spec/strategy/canary/steps",
    "/spec/strategy/canary/trafficRouting",
];

#[test]
fn a_scale_reads_as_it_is_written() {
    let text = |scale| Step::SetCanaryScale(scale).to_string();
    for (scale, read) in [
        (CanaryScale::Replicas(1), "setCanaryScale: 1 replica"),
        (CanaryScale::Replicas(2), "setCanaryScale: 2 replicas"),
        (
            CanaryScale::MatchTrafficWeight,
            "setCanaryScale: matchTrafficWeight",
        ),
    ] {
        assert_eq!(text(scale), read);
    }
}

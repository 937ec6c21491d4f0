//! The CustomResourceDefinitions on a real API server: what it lists, stores, refuses and shows.

use serde_json::{Value, json};
use serin_tests::cluster::{Cluster, JSON, MERGE, TABLE};

use crate::trial::trials;

trials![
    the_kinds_have_the_names_that_clients_of_argo_rollouts_use,
    a_table_has_the_columns_of_argo_rollouts,
    every_field_is_kept_whole_known_or_not,
    a_rollout_scales_through_its_scale_subresource,
    a_status_is_written_where_clients_of_argo_rollouts_write_it,
    what_cannot_be_is_refused_by_field,
];

const GROUP: &str = "/apis/argoproj.io/v1alpha1";

/// The path of a namespace of this test's own.
async fn namespace(cluster: &Cluster, name: &str) -> String {
    let name = cluster.namespace(name).await;
    format!("{GROUP}/namespaces/{name}")
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec})
}

fn rollout(name: &str) -> Value {
    object(
        "Rollout",
        name,
        json!({
            "replicas": 2,
            "selector": {"matchLabels": {"app": "shop"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]},
            "template": {"metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "app", "image": "app:1", "ports": [
                    {"containerPort": 8080}], "resources": {"limits": {"cpu": "1"}}}]}},
            "strategy": {"canary": {"canaryService": "shop-canary", "stableService": "shop"}},
        }),
    )
}

async fn the_kinds_have_the_names_that_clients_of_argo_rollouts_use(cluster: &Cluster) {
    let listed = cluster.ask("GET", GROUP, JSON, None).await;
    let mut found: Vec<String> = listed["resources"]
        .as_array()
        .expect("resources")
        .iter()
        .map(|kind| {
            let short = kind["shortNames"][0].as_str().unwrap_or("-");
            let text = |field: &str| kind[field].as_str().unwrap_or_default();
            let scope = if kind["namespaced"] == true {
                "namespaced"
            } else {
                "cluster"
            };
            format!("{} {} {short} {scope}", text("name"), text("kind"))
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "analysisruns AnalysisRun ar namespaced",
            "analysistemplates AnalysisTemplate at namespaced",
            "clusteranalysistemplates ClusterAnalysisTemplate cat cluster",
            "experiments Experiment exp namespaced",
            "rollouts Rollout ro namespaced",
            "rollouts/scale Scale - namespaced",
            "rollouts/status Rollout - namespaced",
        ]
    );
}

async fn a_table_has_the_columns_of_argo_rollouts(cluster: &Cluster) {
    let path = namespace(cluster, "table").await;
    cluster
        .ask(
            "POST",
            &format!("{path}/rollouts"),
            JSON,
            Some(rollout("shop")),
        )
        .await;
    let status = json!({"status": {"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}});
    cluster
        .ask(
            "PATCH",
            &format!("{path}/rollouts/shop/status"),
            MERGE,
            Some(status),
        )
        .await;
    let columns = async |plural: &str| {
        let table = cluster
            .ask("GET", &format!("{path}/{plural}"), TABLE, None)
            .await;
        let columns = table["columnDefinitions"].as_array().expect("columns");
        let names = columns.iter().filter(|c| c["priority"] == 0);
        let names: Vec<String> = names
            .map(|c| c["name"].as_str().expect("text").into())
            .collect();
        (names.join(" "), table["rows"][0]["cells"].clone())
    };
    let (names, cells) = columns("rollouts").await;
    assert_eq!(names, "Name Desired Current Up-to-date Available Age");
    assert_eq!(
        cells.as_array().expect("cells")[..5],
        json!(["shop", 2, 3, 1, 2]).as_array().expect("five")[..]
    );
    assert_eq!(columns("analysistemplates").await.0, "Name Age");
    assert_eq!(columns("analysisruns").await.0, "Name Status Age");
    assert_eq!(columns("experiments").await.0, "Name Status Age");
}

async fn every_field_is_kept_whole_known_or_not(cluster: &Cluster) {
    let path = namespace(cluster, "whole").await;
    let mut full = rollout("full");
    let spec = &mut full["spec"];
    spec["strategy"]["canary"] = json!({
        "canaryService": "shop-canary", "stableService": "shop", "maxSurge": "25%",
        "trafficRouting": {
            "managedRoutes": [{"name": "beta"}], "maxTrafficWeight": 10_000,
            "istio": {"virtualService": {"name": "shop", "routes": ["primary"]}},
            "alb": {"ingress": "shop", "servicePort": 443}, "nginx": {"stableIngress": "shop"},
            "plugins": {"serin/wasm": {"sticky": [{"header": "x-user-id"}]}},
        },
        "analysis": {"templates": [{"templateName": "up"}], "startingStep": 2,
            "args": [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]},
        "steps": [
            {"setWeight": 5}, {"pause": {"duration": "1h"}}, {"pause": {"duration": 30}}, {"pause": {}},
            {"setCanaryScale": {"matchTrafficWeight": true}},
            {"setHeaderRoute": {"name": "beta", "match": [
                {"headerName": "X-Canary", "headerValue": {"regex": "^t.*"}}]}},
            {"setMirrorRoute": {"name": "mirror", "percentage": 50,
                "match": [{"path": {"prefix": "/api"}}]}},
            {"experiment": {"templates": [{"name": "a", "specRef": "canary"}], "duration": "5m"}},
            {"plugin": {"name": "org/step", "config": {"deep": [null, {"x": 1.5}]}}},
        ],
    });
    spec["workloadRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop",
        "scaleDown": "progressively"});
    spec["rollbackWindow"] = json!({"revisions": 3});
    spec["restartAt"] = json!("2026-01-02T03:04:05Z");
    spec["ofALaterVersion"] = json!({"deep": [1, {"x": "y"}]});
    let blue_green = object(
        "Rollout",
        "blue-green",
        json!({
        "strategy": {"blueGreen": {"activeService": "a", "autoPromotionEnabled": false}}}),
    );
    let metric = json!({
        "name": "up", "interval": "10s", "count": "{{args.count}}", "failureLimit": 3,
        "successCondition": "result[0] >= 0.95",
        "provider": {"prometheus": {"address": "http://p:9090", "query": "up",
            "authentication": {"oauth2": {"scopes": ["a"]}}}},
    });
    let job = json!({"name": "j", "provider": {"job": {"spec": {"backoffLimit": 0, "template": {
        "spec": {"restartPolicy": "Never", "containers": []}}}}}});
    let measured = json!({"metrics": [metric, job], "args": [{"name": "count", "value": "3"},
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "dryRun": [{"metricName": ".*"}], "measurementRetention": [{"metricName": "up", "limit": 5}]});
    let mut nested = measured.clone();
    nested["templates"] = json!([{"templateName": "other", "clusterScope": true}]);
    let mut run = measured;
    run["terminate"] = json!(true);
    run["ttlStrategy"] = json!({"secondsAfterSuccess": 60});
    let experiment = json!({"templates": [{"name": "a", "replicas": 1, "template": {"spec": {}}}],
        "duration": "1h", "analyses": [{"name": "x", "templateName": "up"}]});
    for (place, object) in [
        (format!("{path}/rollouts"), full),
        (format!("{path}/rollouts"), blue_green),
        (
            format!("{path}/analysistemplates"),
            object("AnalysisTemplate", "up", nested.clone()),
        ),
        (
            format!("{GROUP}/clusteranalysistemplates"),
            object("ClusterAnalysisTemplate", "up", nested),
        ),
        (
            format!("{path}/analysisruns"),
            object("AnalysisRun", "up-1", run),
        ),
        (
            format!("{path}/experiments"),
            object("Experiment", "e", experiment),
        ),
    ] {
        let created = cluster
            .ask("POST", &place, JSON, Some(object.clone()))
            .await;
        assert_eq!(created["spec"], object["spec"], "{created:#}");
        let name = object["metadata"]["name"].as_str().expect("text");
        let stored = cluster
            .ask("GET", &format!("{place}/{name}"), JSON, None)
            .await;
        assert_eq!(stored["spec"], object["spec"], "{stored:#}");
    }
}

async fn a_rollout_scales_through_its_scale_subresource(cluster: &Cluster) {
    let path = namespace(cluster, "scale").await;
    cluster
        .ask(
            "POST",
            &format!("{path}/rollouts"),
            JSON,
            Some(rollout("shop")),
        )
        .await;
    let status = json!({"status": {"HPAReplicas": 7, "selector": "app=shop"}});
    cluster
        .ask(
            "PATCH",
            &format!("{path}/rollouts/shop/status"),
            MERGE,
            Some(status),
        )
        .await;
    let scale = json!({"spec": {"replicas": 5}});
    let scaled = cluster
        .ask(
            "PATCH",
            &format!("{path}/rollouts/shop/scale"),
            MERGE,
            Some(scale),
        )
        .await;
    assert_eq!(scaled["spec"]["replicas"], 5, "{scaled:#}");
    assert_eq!(
        scaled["status"],
        json!({"replicas": 7, "selector": "app=shop"})
    );
    let stored = cluster
        .ask("GET", &format!("{path}/rollouts/shop"), JSON, None)
        .await;
    assert_eq!(stored["spec"]["replicas"], 5);
}

async fn a_status_is_written_where_clients_of_argo_rollouts_write_it(cluster: &Cluster) {
    let path = namespace(cluster, "status").await;
    let mut with_status = rollout("shop");
    with_status["status"] = json!({"phase": "Healthy"});
    let created = cluster
        .ask("POST", &format!("{path}/rollouts"), JSON, Some(with_status))
        .await;
    assert_eq!(
        created["status"],
        Value::Null,
        "the main resource does not set it"
    );
    let status = json!({"status": {"phase": "Paused", "ofALaterVersion": [1],
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-02T03:04:05Z"}]}});
    let patched = cluster
        .ask(
            "PATCH",
            &format!("{path}/rollouts/shop/status"),
            MERGE,
            Some(status.clone()),
        )
        .await;
    assert_eq!(patched["status"], status["status"], "{patched:#}");
    assert_eq!(patched["metadata"]["generation"], 1, "no new generation");

    for (plural, kind, spec) in [
        ("analysisruns", "AnalysisRun", json!({"metrics": []})),
        ("experiments", "Experiment", json!({"templates": []})),
    ] {
        let mut run = object(kind, "one", spec);
        run["status"] = json!({"phase": "Running", "message": "m", "later": {"x": 1}});
        let created = cluster
            .ask("POST", &format!("{path}/{plural}"), JSON, Some(run.clone()))
            .await;
        assert_eq!(created["status"], run["status"], "{created:#}");
    }
}

async fn what_cannot_be_is_refused_by_field(cluster: &Cluster) {
    let path = namespace(cluster, "refused").await;
    cluster
        .ask(
            "POST",
            &format!("{path}/rollouts"),
            JSON,
            Some(rollout("shop")),
        )
        .await;
    let shop = format!("{path}/rollouts/shop");
    for (patch, wanted) in [
        (
            json!({"spec": {"replicas": "three"}}),
            "spec.replicas: Invalid value: \"string\"",
        ),
        (
            json!({"spec": {"paused": "yes"}}),
            "spec.paused: Invalid value: \"string\"",
        ),
        (
            json!({"spec": {"restartAt": "tomorrow"}}),
            "spec.restartAt: Invalid value",
        ),
        (
            json!({"spec": {"strategy": []}}),
            "spec.strategy: Invalid value: \"array\"",
        ),
        (
            json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
            "spec.selector cannot be changed",
        ),
    ] {
        let refused = cluster
            .ask("PATCH", &shop, MERGE, Some(patch.clone()))
            .await;
        assert_eq!(refused["code"], 422, "{patch}: {refused:#}");
        let message = refused["message"].as_str().expect("text");
        assert!(message.contains(wanted), "{patch}: {message}");
    }
    let stored = cluster.ask("GET", &shop, JSON, None).await;
    assert_eq!(stored["spec"], rollout("shop")["spec"]);
}

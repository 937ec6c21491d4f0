//! Manifests of the shape that users of Argo Rollouts on Istio write.

use serde_json::{Value, json};

/// Everything that stays as it is: Services, a VirtualService, a template for analysis.
pub(crate) fn ground(prometheus: &str, namespace: &str) -> String {
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": "shop"},
                "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        })
    };
    let to = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
    let virtual_service = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "shop"},
        "spec": {"hosts": ["shop"], "http": [{
            "route": [to("shop", 100), to("shop-canary", 0)], "retries": {"attempts": 0}}]},
    });
    // Envoy's own names: what follows the first dot of a cluster's becomes a part of the metric's.
    let metric = format!(
        "envoy_cluster_{}_svc_cluster_local__upstream_rq_xx",
        namespace.replace('-', "_")
    );
    let requests = |more: &str| {
        let labels = format!("envoy_cluster_name=\"outbound|80||shop-canary\"{more}");
        format!("sum(rate({metric}{{{labels}}}[5s]))")
    };
    let good = requests(",envoy_response_code_class=\"2\"");
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "success-rate"},
        "spec": {"metrics": [{
            "name": "success-rate", "initialDelay": "4s", "interval": "3s", "count": 3,
            "inconclusiveLimit": 1,
            "successCondition": "len(result) > 0 && result[0] >= 0.95",
            "failureCondition": "len(result) > 0 && result[0] < 0.95",
            "provider": {"prometheus": {
                "address": prometheus, "query": format!("{good} / {}", requests(""))}},
        }]},
    });
    let documents = [
        service("shop"),
        service("shop-canary"),
        virtual_service,
        template,
    ];
    documents
        .map(|document| document.to_string())
        .join("\n---\n")
}

/// The Rollout with a version of the demo's app, which answers this share of requests with an error.
pub(crate) fn rollout(version: &str, errors: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{
                "name": "app", "image": format!("serin-demo:{version}"), "command": ["demo-app"],
                "args": ["--listen", "$(POD_IP):8080", "--version", version,
                    "--error-rate", errors],
                "env": [{"name": "POD_IP",
                    "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
            }]}},
            "strategy": {"canary": {
                "stableService": "shop", "canaryService": "shop-canary",
                "trafficRouting": {
                    "managedRoutes": [{"name": "asks-for-it"}],
                    "istio": {"virtualService": {"name": "shop"}}},
                "scaleDownDelaySeconds": 5,
                "steps": [
                    {"setCanaryScale": {"replicas": 1}},
                    {"setHeaderRoute": {"name": "asks-for-it", "match": [
                        {"headerName": "x-canary", "headerValue": {"exact": "true"}}]}},
                    {"pause": {}},
                    {"setCanaryScale": {"matchTrafficWeight": true}},
                    {"setWeight": 10},
                    {"analysis": {"templates": [{"templateName": "success-rate"}]}},
                    {"setHeaderRoute": {"name": "asks-for-it"}},
                    {"setWeight": 50},
                    {"pause": {"duration": "3s"}},
                ],
            }},
        },
    })
}

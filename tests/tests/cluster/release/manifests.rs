//! Manifests of the shape that users of Argo Rollouts write.

use serde_json::{Value, json};

/// The Rollout, with this version of the demo's app.
pub(super) fn rollout(version: &str, replicas: u32, canary: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{
                "name": "app", "image": "demo-app", "command": ["demo-app"],
                "args": ["--listen", "$(POD_IP):8080", "--version", version],
                "env": [{"name": "POD_IP",
                    "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
            }]}},
            "strategy": {"canary": canary},
        },
    })
}

pub(super) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": "shop"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    })
}

/// Splits by host, with a field that nobody but Istio knows.
pub(super) fn by_host() -> Value {
    let to = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "shop", "annotations": {"team": "web"}},
        "spec": {"hosts": ["shop"], "http": [{
            "route": [to("shop", 100), to("shop-canary", 0)], "timeout": "7s",
            "retries": {"attempts": 0}}]},
    })
}

/// Splits by subset.
pub(super) fn by_subset() -> Value {
    let to = |subset: &str, weight: u32| json!({"destination": {"host": "shop", "subset": subset}, "weight": weight});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "shop"},
        "spec": {"hosts": ["shop"], "http": [{
            "route": [to("stable", 100), to("canary", 0)], "retries": {"attempts": 0}}]},
    })
}

pub(super) fn subsets() -> Value {
    let subset = |name: &str| json!({"name": name, "labels": {"app": "shop"}});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "shop"},
        "spec": {"host": "shop", "subsets": [subset("canary"), subset("stable")]},
    })
}

/// A metric that is as good as `result` says, which Prometheus at `address` only repeats.
pub(super) fn template(address: &str, result: u32) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "good"},
        "spec": {"metrics": [{
            "name": "good", "interval": "1s", "count": 2, "successCondition": "result[0] == 1",
            "provider": {"prometheus": {"address": address, "query": format!("vector({result})")}},
        }]},
    })
}

/// Several documents as one text.
pub(super) fn all(documents: &[Value]) -> String {
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    texts.join("\n---\n")
}

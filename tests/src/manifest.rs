//! Manifests for tests: JSON, which is YAML too.

use serde_json::{Value, json};

/// A Rollout of the demo app with its two Services.
#[derive(Clone, Debug)]
pub struct App {
    /// The Rollout's name.
    pub name: &'static str,
    /// `--version` and further arguments of the app.
    pub args: Vec<String>,
    /// `spec.replicas`.
    pub replicas: u32,
    /// The steps.
    pub steps: Value,
    /// `trafficRouting`.
    pub routing: Value,
    /// Further fields of `strategy.canary`.
    pub canary: Value,
}

impl App {
    /// One replica, the filter as router, sticky by `x-user-id`, weights in basis points.
    pub fn new(name: &'static str, args: &[&str], steps: Value) -> App {
        App {
            name,
            args: args.iter().map(ToString::to_string).collect(),
            replicas: 1,
            steps,
            routing: json!({
                "maxTrafficWeight": 10_000,
                "plugins": {"serin/wasm": {"sticky": [{"header": "x-user-id"}]}},
            }),
            canary: json!({"scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}),
        }
    }

    /// The documents as one file's text.
    pub fn text(&self) -> String {
        let (name, canary_name) = (self.name, format!("{}-canary", self.name));
        let mut args = vec!["--listen".to_string(), "$(POD_IP):8080".to_string()];
        args.extend(self.args.iter().cloned());
        let mut canary = json!({
            "stableService": name, "canaryService": canary_name,
            "trafficRouting": self.routing, "steps": self.steps,
        });
        for (field, value) in self.canary.as_object().into_iter().flatten() {
            canary[field] = value.clone();
        }
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                        "name": "app", "image": "demo-app:test", "command": ["demo-app"],
                        "args": args, "ports": [{"containerPort": 8080}],
                        "env": [{"name": "POD_IP", "valueFrom":
                            {"fieldRef": {"fieldPath": "status.podIP"}}}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080},
                            "periodSeconds": 1},
                    }]},
                },
                "strategy": {"canary": canary},
            },
        });
        let service = |name: &str| {
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"selector": {"app": self.name}, "ports": [{"port": 80, "targetPort": 8080}]},
            })
        };
        [rollout, service(name), service(&canary_name)]
            .map(|document| document.to_string())
            .join("\n---\n")
    }
}

/// An AnalysisTemplate with one Prometheus metric measured `count` times a second apart.
pub fn analysis_template(name: &str, query: &str, success: &str, count: u32) -> String {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"metrics": [{
            "name": name, "interval": "1s", "count": count, "successCondition": success,
            "provider": {"prometheus": {"address": "http://prometheus.istio-system:9090",
                "query": query}},
        }]},
    })
    .to_string()
}

//! What is wrong with manifests that the API server would take: files come in, findings go out, and
//! nobody is asked. Each kind of finding has a file of its own and knows nothing of the others.

mod files;
mod mesh_config;
mod query;
mod refused;
mod routes;
mod services;
mod telemetry;
mod traps;
mod workload;

use std::fmt;

use files::Files;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It may be as it should, by what is not among the files, or does not do what it seems to.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file and the document in it.
    pub place: String,
    /// The object's kind, namespace and name.
    pub object: String,
    /// The field, what really happens, and what is accepted.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            severity,
            place,
            object,
            message,
        } = self;
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        match object.is_empty() {
            true => write!(f, "{severity}: {place}: {message}"),
            false => write!(f, "{severity}: {place}: {object}: {message}"),
        }
    }
}

/// One kind of finding.
type Check = fn(&Files) -> Vec<Finding>;

const CHECKS: &[Check] = &[
    refused::check,
    services::check,
    routes::check,
    workload::check,
    query::check,
    mesh_config::check,
    telemetry::check,
    traps::check,
];

/// What is wrong with files given as name and text, errors first. What is in `root_namespace` is for
/// all proxies of the mesh.
pub fn findings(texts: &[(String, String)], root_namespace: &str) -> Vec<Finding> {
    let (files, mut findings) = Files::read(texts, root_namespace);
    findings.extend(CHECKS.iter().flat_map(|check| check(&files)));
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// What is told of one file's text.
#[cfg(test)]
fn told(text: &str) -> Vec<String> {
    let texts = [("all.yaml".to_string(), text.to_string())];
    let findings = findings(&texts, "istio-system");
    findings.iter().map(ToString::to_string).collect()
}

/// A Rollout with this `trafficRouting`, judged by the template `good`, and its two Services.
#[cfg(test)]
fn shop(routing: &serde_json::Value) -> String {
    use serde_json::json;
    let labels = json!({"app": "shop"});
    let service = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80}]}})
    };
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
            "strategy": {"canary": {
                "stableService": "shop", "canaryService": "shop-canary", "trafficRouting": routing,
                "steps": [{"setWeight": 10},
                    {"analysis": {"templates": [{"templateName": "good"}]}}],
            }},
        },
    });
    [rollout, service("shop"), service("shop-canary")]
        .map(|document| format!("{document}\n---\n"))
        .concat()
}

/// A router of the filter's.
#[cfg(test)]
fn filtered() -> serde_json::Value {
    serde_json::json!({"plugins": {"serin/wasm": {}}})
}

/// The template `good`, which asks this.
#[cfg(test)]
fn asking(query: &str) -> String {
    let template = serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "good", "namespace": "web"},
        "spec": {"metrics": [{"name": "errors", "successCondition": "len(result) == 0 || result[0] < 1",
            "provider": {"prometheus": {"query": query}}}]},
    });
    format!("{template}\n---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_is_not_told() {
        assert_eq!(told(&shop(&filtered())), [""; 0]);
    }

    #[test]
    fn errors_come_first_and_what_is_no_yaml_is_one() {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a, name: b}\n";
        let found = told(&format!("{}{text}", asking("istio_requests_total")));
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].starts_with("error: all.yaml document 2: metadata:"),
            "{found:#?}"
        );
        assert!(
            found[1].starts_with("warning: all.yaml document 1: "),
            "{found:#?}"
        );
    }
}

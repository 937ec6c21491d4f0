//! Queries that tell a Rollout's versions apart by the name of their workload, where it is the same.

use serin_core::plan::{AnalysisRef, Plan, Router, Step, WorkloadName};

use super::Finding;
use super::files::{Files, Object};
use super::query::{Query, parts, queries};
use super::telemetry::{self, Tags};

/// Labels that are a workload's name.
const WORKLOADS: [&str; 2] = ["destination_workload", "source_workload"];

/// Labels by which a query may tell the versions apart itself.
const VERSIONS: [&str; 4] = [
    "destination_version",
    "destination_canonical_revision",
    "source_version",
    "source_canonical_revision",
];

pub(super) fn check(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, plan) in files.plans() {
        let Some(why) = why_alike(files, plan) else {
            continue;
        };
        for query in templates(files, plan).into_iter().flat_map(queries) {
            let label = WORKLOADS.iter().find(|label| query.mentions(label));
            if let (Some(label), false) = (label, separates(&query)) {
                findings.push(query.of.warning(format_args!(
                    "{}: asks for {label}, and Rollout {}/{} names it: {why}",
                    query.field, plan.namespace, plan.name
                )));
            }
        }
    }
    findings
}

fn separates(query: &Query<'_>) -> bool {
    VERSIONS.iter().any(|label| query.mentions(label))
}

/// Why all versions of a Rollout may have one workload, and what to do; none if they have not.
fn why_alike(files: &Files, plan: &Plan) -> Option<String> {
    let name = &plan.name;
    let alike = format!(
        "since Istio 1.22 that is {name:?} for the pods of all its versions, so the canary is judged \
         by stable's requests too"
    );
    let Router::Wasm(router) = &plan.router else {
        return Some(format!(
            "{alike}, expected trafficRouting.plugins serin/wasm, with which the canary is \
             \"{name}-canary\""
        ));
    };
    if router.workload_name == WorkloadName::Revision {
        return None;
    }
    let root = &files.root_namespace;
    match telemetry::tags(files) {
        Tags::Here => None,
        Tags::Missing => Some(format!(
            "{alike}, unless the mesh has the Telemetry {}, which is not among these files, expected \
             it in namespace {root:?} (serin render prints it), or workloadName: revision",
            crate::mesh::telemetry::NAME
        )),
        Tags::Doubtful(others) => Some(format!(
            "{alike}, where Istio heeds {} and not {}, expected these overrides in the one that is \
             heeded, or workloadName: revision",
            others.join(" or "),
            crate::mesh::telemetry::NAME
        )),
    }
}

/// The templates that a Rollout's analyses run, each once, those that they are made of among them.
fn templates<'f>(files: &'f Files, plan: &Plan) -> Vec<&'f Object> {
    let steps = plan.steps.iter().filter_map(|step| match step {
        Step::Analysis(analysis) => Some(analysis),
        _ => None,
    });
    let beside = plan.background.iter().map(|beside| &beside.analysis);
    let named = |analysis: &AnalysisRef| {
        let names = analysis.templates.iter();
        let names = names.map(|template| (template.name.clone(), template.cluster_scope));
        names.collect::<Vec<_>>()
    };
    let mut asked: Vec<(String, bool)> = steps.chain(beside).flat_map(named).collect();
    let mut found = Vec::new();
    let mut next = 0;
    while let Some((name, is_clusters)) = asked.get(next).cloned() {
        next += 1;
        let object = match is_clusters {
            true => {
                let mut all = files.of_kind("ClusterAnalysisTemplate");
                all.find(|object| object.name() == name)
            }
            false => files.find("AnalysisTemplate", &plan.namespace, &name),
        };
        let Some(object) = object else { continue };
        found.push(object);
        for (name, is_clusters) in parts(object) {
            let part = (name.to_string(), is_clusters);
            if !asked.contains(&part) {
                asked.push(part);
            }
        }
    }
    // Two analyses may name one template.
    let mut once: Vec<&Object> = Vec::new();
    for object in found {
        if !once.iter().any(|seen| std::ptr::eq(*seen, object)) {
            once.push(object);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{asking, filtered, shop, told};
    use crate::mesh::telemetry;

    const BY_WORKLOAD: &str =
        "sum(istio_requests_total{reporter=\"source\", destination_workload=\"shop-canary\"})";

    /// What is told of a query about a shop with this router.
    fn asked(routing: &Value, query: &str, more: &str) -> Vec<String> {
        told(&format!("{}{}{more}", shop(routing), asking(query)))
    }

    fn tags() -> String {
        format!("{}\n---\n", telemetry::telemetry("istio-system"))
    }

    #[test]
    fn a_workload_that_is_one_for_all_versions_is_told() {
        let istio = json!({"istio": {"virtualService": {"name": "shop"}}});
        let found = asked(&istio, BY_WORKLOAD, "");
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "warning: all.yaml document 4: AnalysisTemplate web/good: \
                    spec.metrics[0].provider.prometheus.query: asks for destination_workload, and \
                    Rollout web/shop names it: since Istio 1.22 that is \"shop\" for the pods of all";
        assert!(only.starts_with(told), "{only}");
        assert!(only.contains("serin/wasm"), "{only}");
    }

    #[test]
    fn with_the_filter_the_telemetry_must_be_there() {
        let found = asked(&filtered(), BY_WORKLOAD, "");
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        assert!(
            only.contains("the Telemetry serin-tags, which is not"),
            "{only}"
        );
        assert_eq!(asked(&filtered(), BY_WORKLOAD, &tags()), [""; 0]);
        let other = json!({
            "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
            "metadata": {"name": "mesh-default", "namespace": "istio-system"}, "spec": {},
        });
        let found = asked(&filtered(), BY_WORKLOAD, &format!("{}{other}", tags()));
        let doubtful = "where Istio heeds mesh-default and not serin-tags";
        assert!(
            found.iter().any(|told| told.contains(doubtful)),
            "{found:#?}"
        );
    }

    #[test]
    fn versions_that_are_told_apart_otherwise_are_fine() {
        let by_revision = json!({"plugins": {"serin/wasm": {"workloadName": "revision"}}});
        assert_eq!(asked(&by_revision, BY_WORKLOAD, ""), [""; 0]);
        for query in [
            "serin_requests_total{variant=\"canary\"}",
            "istio_requests_total{reporter=\"source\", destination_workload_namespace=\"web\"}",
            "istio_requests_total{reporter=\"source\", destination_workload=\"shop\", \
             destination_version=\"v2\"}",
        ] {
            assert_eq!(asked(&filtered(), query, ""), [""; 0], "{query}");
        }
    }

    #[test]
    fn a_template_in_a_template_is_asked_too() {
        let outer = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "outer", "namespace": "web"},
            "spec": {"templates": [{"templateName": "good"}, {"templateName": "outer"}]},
        });
        let shop =
            shop(&filtered()).replace("\"templateName\":\"good\"", "\"templateName\":\"outer\"");
        let found = told(&format!("{shop}{}{outer}", asking(BY_WORKLOAD)));
        assert_eq!(found.len(), 1, "{found:#?}");
    }
}

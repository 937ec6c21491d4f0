//! The account that is shipped for the controller: all tests' controllers run with it, and it may do
//! what they need and nothing else.

use serde::Deserialize;
use serde_json::{Value, json};
use serin_tests::cluster::Cluster;
use std::collections::BTreeSet;

/// The account and its roles.
pub(crate) const ACCOUNT: &str = include_str!("../../../deploy/controller.yaml");

/// A token of it.
pub(crate) async fn token(cluster: &Cluster) -> String {
    cluster.apply(ACCOUNT, "default").await;
    cluster.token_for("serin", "serin").await
}

/// Lets it keep a Lease in this namespace, as it may in its own, and tell the proxies here, as it may
/// tell those of the mesh in Istio's root namespace.
pub(crate) async fn allow_own(cluster: &Cluster, namespace: &str) {
    for mut document in documents() {
        let kind = document["kind"].as_str().unwrap_or_default();
        if ["Role", "RoleBinding"].contains(&kind) {
            document["metadata"]["namespace"] = json!(namespace);
            cluster.apply(&document.to_string(), namespace).await;
        }
    }
}

/// The trial that looks back at all others, so it is of use only after all of them.
pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    let name = "every_grant_was_used_and_none_was_missing";
    let trial = crate::trial::new(module_path!(), name, true, every_grant_was_used);
    vec![trial]
}

async fn every_grant_was_used(cluster: &Cluster) {
    let requests = cluster.audited();
    let (refused, allowed): (Vec<&Value>, Vec<&Value>) = requests
        .iter()
        .partition(|request| request["responseStatus"]["code"] == 403);
    let used: BTreeSet<Grant> = allowed.into_iter().map(Grant::used).collect();
    // An API server that starts refuses what it allows once it knows the roles.
    let refused = refused
        .into_iter()
        .filter(|request| !used.contains(&Grant::used(request)));
    let refused: Vec<&Value> = refused.collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let unused: Vec<Grant> = granted().difference(&used).cloned().collect();
    assert!(unused.is_empty(), "granted and never used: {unused:#?}");
}

/// A verb on a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    group: String,
    resource: String,
    verb: String,
}

impl Grant {
    fn used(request: &Value) -> Grant {
        let object = &request["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let subresource = text(&object["subresource"]);
        let resource = text(&object["resource"]);
        Grant {
            group: text(&object["apiGroup"]),
            resource: match subresource.is_empty() {
                true => resource,
                false => format!("{resource}/{subresource}"),
            },
            verb: text(&request["verb"]),
        }
    }
}

/// What the roles grant. Finalizers are left out: nobody asks for them by a request. The API server
/// looks whether they are granted when an object is created that keeps its owner from going.
fn granted() -> BTreeSet<Grant> {
    let mut granted = BTreeSet::new();
    for document in documents() {
        for rule in list(&document["rules"]) {
            for group in list(&rule["apiGroups"]) {
                for resource in list(&rule["resources"]) {
                    for verb in list(&rule["verbs"]) {
                        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
                        granted.insert(Grant {
                            group: text(&group),
                            resource: text(&resource),
                            verb: text(&verb),
                        });
                    }
                }
            }
        }
    }
    granted.retain(|grant| !grant.resource.ends_with("/finalizers"));
    assert!(granted.len() > 20, "{granted:?}");
    granted
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn documents() -> Vec<Value> {
    let documents = serde_norway::Deserializer::from_str(ACCOUNT);
    let documents = documents.map(Value::deserialize);
    documents
        .map(|document| document.expect("is YAML"))
        .collect()
}

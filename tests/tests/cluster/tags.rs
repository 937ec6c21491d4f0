//! The names on Istio's own metrics, as istiod hands them on: the Envoy here has none of Istio's
//! extensions, so what istiod generates is read from istiod itself.

use serde_json::{Value, json};
use serin::mesh::telemetry::{self, NAME};
use serin_tests::cluster::proxy::Proxy;
use serin_tests::cluster::{Cluster, wait_for};
use std::collections::BTreeMap;

use crate::shop::PATIENCE;
use crate::trial::trials;

trials![istiod_hands_on_the_names_on_its_metrics];

/// The tags of each metric.
type Tags = BTreeMap<String, BTreeMap<String, String>>;

async fn istiod_hands_on_the_names_on_its_metrics(cluster: &Cluster) {
    let namespace = cluster.namespace("tags").await;
    let proxy = Proxy::caller(cluster, &namespace, "caller", &[]).await;
    cluster.apply(&both_ways(), &namespace).await;
    let mut object = telemetry::telemetry(&namespace);
    assert_eq!(object["metadata"]["name"], NAME);
    // The mesh here reports nothing, for the Envoy here could not.
    object["spec"]["metrics"][0]["providers"] = json!([{"name": "prometheus"}]);
    cluster.apply(&object.to_string(), &namespace).await;
    for (mode, direction) in [("CLIENT", "OUTBOUND"), ("SERVER", "INBOUND")] {
        wait_for("istiod hands the names on", PATIENCE, async || {
            let generated = cluster.generated_for(&proxy).await?;
            let found = filters(&generated, direction);
            let wanted = wanted(&object, mode);
            match !found.is_empty() && found.iter().all(|found| *found == wanted) {
                true => Ok(()),
                false => Err(format!("{found:#?}, wanted {wanted:#?} of {generated}")),
            }
        })
        .await;
    }
}

/// Somebody to call, and where calls come in: a proxy that captures nothing must be told.
fn both_ways() -> String {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "somebody"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    });
    let sidecar = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "caller"},
        "spec": {
            "ingress": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"},
                "defaultEndpoint": "127.0.0.1:8081"}],
            "egress": [{"hosts": ["./*"]}],
        },
    });
    format!("{service}\n---\n{sidecar}\n")
}

/// What the object says of a mode, under the names that the metrics have in Envoy.
fn wanted(object: &Value, mode: &str) -> Tags {
    let overrides = object["spec"]["metrics"][0]["overrides"].as_array();
    let overrides = overrides.expect("overrides").iter();
    let overrides = overrides.filter(|one| one["match"]["mode"] == mode);
    overrides
        .map(|one| {
            let name = match one["match"]["metric"].as_str() {
                Some("REQUEST_COUNT") => "requests_total",
                _ => "request_duration_milliseconds",
            };
            let tags = one["tagOverrides"].as_object().expect("tags").iter();
            let tags = tags.map(|(tag, value)| (tag.clone(), text(&value["value"])));
            (name.to_string(), tags.collect())
        })
        .collect()
}

/// The same of each of Istio's filters in the HTTP listeners of a direction.
fn filters(generated: &Value, direction: &str) -> Vec<Tags> {
    let mut found = Vec::new();
    let configs = generated["configs"].as_array().into_iter().flatten();
    for config in configs {
        let listeners = config["dynamicListeners"].as_array().into_iter().flatten();
        for listener in listeners.map(|listener| &listener["activeState"]["listener"]) {
            if listener["trafficDirection"] == direction {
                collect(listener, &mut found);
            }
        }
    }
    found
}

fn collect(value: &Value, found: &mut Vec<Tags>) {
    match value {
        Value::Object(fields) => {
            let is_http = fields.get("httpFilters").and_then(Value::as_array);
            for filter in is_http.into_iter().flatten() {
                if filter["name"] == "istio.stats" {
                    found.push(tags(&filter["typedConfig"]));
                }
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn tags(config: &Value) -> Tags {
    let metrics = config["metrics"].as_array().into_iter().flatten();
    metrics
        .map(|metric| {
            let tags = metric["dimensions"].as_object().into_iter().flatten();
            let tags = tags.map(|(tag, value)| (tag.clone(), text(value)));
            (text(&metric["name"]), tags.collect())
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

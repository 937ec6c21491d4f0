//! What Istio's own metrics call the canary: the name that the filter leaves with a request, as tags
//! of a Telemetry resource that is made once.
//!
//! A tag that is overridden is no longer Istio's, so where the filter left no name each expression
//! finds the one that Istio would have written (`istio_stats.cc` of Envoy's contrib). It cannot in
//! one case: a caller whose request got no answer from a sidecar, but from none or from a pod
//! without one, is told by Istio what the endpoint's metadata says, in a list that no function of
//! CEL takes apart. There the filter leaves stable's name too; for who is not in a release the tag
//! is `unknown`.

use serde_json::{Value, json};
use serin_core::wire::{DESTINATION_WORKLOAD, SOURCE_WORKLOAD};

use super::objects::MANAGED_BY;

/// The object. Istio heeds one Telemetry without a selector of each namespace, the oldest; where
/// there is one already, these overrides belong there instead.
pub const NAME: &str = "serin-tags";

/// The tags for all proxies of a namespace, of all namespaces if it is Istio's root namespace.
pub fn telemetry(namespace: &str) -> Value {
    let metrics = ["REQUEST_COUNT", "REQUEST_DURATION"];
    let overrides: Vec<Value> = metrics
        .into_iter()
        .flat_map(|metric| [callers(metric), pods(metric)])
        .collect();
    let (label, value) = MANAGED_BY;
    json!({
        "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {label: value}},
        // Without a provider it is for those that the mesh has.
        "spec": {"metrics": [{"overrides": overrides}]},
    })
}

/// What gateways report, and sidecars where their pods call out.
fn callers(metric: &str) -> Value {
    json!({
        "match": {"metric": metric, "mode": "CLIENT"},
        "tagOverrides": {
            "source_workload": {"value": left_or(SOURCE_WORKLOAD, OWN)},
            "destination_workload": {"value": left_or(DESTINATION_WORKLOAD, UPSTREAM)},
        },
    })
}

/// What sidecars report of requests that come in. Nothing tells them whether a canary called, so
/// that tag stays Istio's. A waypoint reports as one of them, for the pod behind it.
fn pods(metric: &str) -> Value {
    let at_a_waypoint = format!("'upstream_peer' in filter_state ? {UPSTREAM} : {OWN}");
    json!({
        "match": {"metric": metric, "mode": "SERVER"},
        "tagOverrides": {
            "destination_workload": {"value": left_or(DESTINATION_WORKLOAD, &at_a_waypoint)},
        },
    })
}

/// The workload that the pod behind the request says it is.
const UPSTREAM: &str = "filter_state.upstream_peer.workload";

/// The proxy's own workload. Istio's proxies of some years have the node under its short name only.
const OWN: &str =
    "has(xds.node) ? xds.node.metadata['WORKLOAD_NAME'] : node.metadata['WORKLOAD_NAME']";

/// The name that the filter left, or else what this expression gives.
fn left_or(state: &str, otherwise: &str) -> String {
    // What a module sets has this prefix.
    let key = format!("'wasm.{state}'");
    format!("{key} in filter_state ? filter_state[{key}] : ({otherwise})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_tagged_at_both_ends() {
        let object = telemetry("istio-system");
        let overrides = object["spec"]["metrics"][0]["overrides"].as_array();
        let matches: Vec<(&str, &str, usize)> = overrides
            .expect("overrides")
            .iter()
            .map(|one| {
                let text = |field: &str| one["match"][field].as_str().expect("a text");
                let tags = one["tagOverrides"].as_object().expect("tags");
                (text("metric"), text("mode"), tags.len())
            })
            .collect();
        assert_eq!(
            matches,
            [
                ("REQUEST_COUNT", "CLIENT", 2),
                ("REQUEST_COUNT", "SERVER", 1),
                ("REQUEST_DURATION", "CLIENT", 2),
                ("REQUEST_DURATION", "SERVER", 1),
            ]
        );
    }
}

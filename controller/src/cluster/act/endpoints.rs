//! Whether istiod knows the pods of a version: a subset that leads to none answers 503, and pods that
//! are available are in the Service's EndpointSlices only a little later.

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;
use serin_core::revision::HASH_LABEL;

use super::Acting;
use crate::cluster::reconcile::PassError;
use crate::cluster::sets;

impl Acting<'_> {
    /// Whether a DestinationRule may be made `after`: every hash that a subset gets has all of its
    /// available pods among the host's endpoints, and at least one.
    pub(super) async fn endpoints_hold(
        &self,
        before: &Value,
        after: &Value,
    ) -> Result<bool, PassError> {
        let fresh = fresh_hashes(before, after);
        if fresh.is_empty() {
            return Ok(true);
        }
        let host = after["spec"]["host"].as_str().unwrap_or_default();
        let service = host.split('.').next().unwrap_or_default();
        let slices: Api<EndpointSlice> = Api::namespaced(self.client(), &self.plan.namespace);
        let of_service = format!("kubernetes.io/service-name={service}");
        let listed = slices
            .list(&ListParams::default().labels(&of_service))
            .await;
        let listed = listed.map_err(PassError::api("list EndpointSlices"))?;
        let holds = |hash: &String| {
            let available = self.pods.get(hash).map_or(0, |pods| pods.available);
            let set = sets::name(self.plan, hash);
            listed
                .iter()
                .map(|slice| ready_of(slice, &set))
                .sum::<u32>()
                >= available.max(1)
        };
        Ok(fresh.iter().all(holds))
    }
}

/// The hashes that subsets get.
fn fresh_hashes(before: &Value, after: &Value) -> Vec<String> {
    let subsets = |rule: &Value| {
        rule["spec"]["subsets"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let pairs = subsets(before).into_iter().zip(subsets(after));
    let hash = |subset: &Value| subset["labels"][HASH_LABEL].as_str().map(str::to_string);
    let fresh = pairs.filter(|(before, after)| hash(before) != hash(after));
    fresh.filter_map(|(_, after)| hash(&after)).collect()
}

/// How many ready endpoints are pods of this ReplicaSet.
fn ready_of(slice: &EndpointSlice, set: &str) -> u32 {
    let is_ready = |endpoint: &&k8s_openapi::api::discovery::v1::Endpoint| {
        let conditions = endpoint.conditions.as_ref();
        conditions.and_then(|conditions| conditions.ready) != Some(false)
    };
    let endpoints = slice.endpoints.iter().flatten().filter(is_ready);
    let names = endpoints.filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.as_deref());
    let own = |name: &&str| {
        let rest = name
            .strip_prefix(set)
            .and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| !rest.contains('-'))
    };
    names.filter(own).count().try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_ready_pods_of_the_set_count() {
        let endpoint = |pod: &str, ready: bool| {
            json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "name": pod}})
        };
        let slice = json!({"addressType": "IPv4", "endpoints": [
            endpoint("shop-abc-x1", true), endpoint("shop-abc-x2", false),
            endpoint("shop-abc-def-x3", true), endpoint("shop-abcd-x4", true)]});
        let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
        assert_eq!(ready_of(&slice, "shop-abc"), 1);
    }

    #[test]
    fn a_hash_is_fresh_where_the_subset_had_another() {
        let rule = |canary: &str| {
            json!({"spec": {"subsets": [
                {"name": "canary", "labels": {HASH_LABEL: canary}},
                {"name": "stable", "labels": {HASH_LABEL: "one"}}]}})
        };
        assert_eq!(fresh_hashes(&rule("one"), &rule("two")), ["two"]);
        assert!(fresh_hashes(&rule("two"), &rule("two")).is_empty());
        let bare = json!({"spec": {"subsets": [{"name": "canary"}, {"name": "stable"}]}});
        assert_eq!(fresh_hashes(&bare, &rule("two")), ["two", "one"]);
    }
}

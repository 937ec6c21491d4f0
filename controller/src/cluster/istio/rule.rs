//! The DestinationRule: which pods a subset is.

use serde_json::{Map, Value};
use serin_core::plan::DestinationRuleRef;
use serin_core::revision::HASH_LABEL;

use super::refusal::{Cause, Refusal, names_in};
use crate::cluster::services::MANAGED_BY;

/// The DestinationRule as it is to be, with the template hashes of the versions; equal to `object`
/// where nothing is to change. A hash that is empty, of a version that is not there yet, leaves
/// its subset without.
///
/// # Errors
/// Where a subset is missing, or another Rollout manages the object.
pub fn destination_rule(
    object: &Value,
    rule: &DestinationRuleRef,
    rollout: &str,
    stable: &str,
    canary: &str,
) -> Result<Value, Refusal> {
    let subsets = [
        (&*rule.canary_subset, canary),
        (&*rule.stable_subset, stable),
    ];
    written(object, subsets, rollout).map_err(|cause| {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        Refusal {
            object: format!("DestinationRule {namespace}/{}", rule.name),
            cause,
        }
    })
}

/// The DestinationRule without what was written for a Rollout, which it is for no more.
pub fn given_back(object: &Value) -> Value {
    let mut after = object.clone();
    let subsets = after.pointer_mut("/spec/subsets");
    for subset in subsets.and_then(Value::as_array_mut).into_iter().flatten() {
        let labels = subset.pointer_mut("/labels").and_then(Value::as_object_mut);
        labels.and_then(|labels| labels.remove(HASH_LABEL));
    }
    let annotations = after.pointer_mut("/metadata/annotations");
    let annotations = annotations.and_then(Value::as_object_mut);
    annotations.and_then(|annotations| annotations.remove(MANAGED_BY));
    after
}

fn written(object: &Value, subsets: [(&str, &str); 2], rollout: &str) -> Result<Value, Cause> {
    let owner = object["metadata"]["annotations"][MANAGED_BY].as_str();
    if let Some(owner) = owner.filter(|owner| !owner.is_empty() && *owner != rollout) {
        return Err(Cause::Managed {
            owner: owner.to_string(),
            rollout: rollout.to_string(),
        });
    }
    let mut after = object.clone();
    for (name, hash) in subsets {
        label(&mut after, name, hash)?;
    }
    if let Some(annotations) = map_in(&mut after["metadata"], "annotations") {
        annotations.insert(MANAGED_BY.into(), rollout.into());
    }
    Ok(after)
}

/// Writes the hash into the subset's labels.
fn label(object: &mut Value, name: &str, hash: &str) -> Result<(), Cause> {
    let list = object
        .pointer_mut("/spec/subsets")
        .and_then(Value::as_array_mut);
    let list = list.map_or(&mut [][..], Vec::as_mut_slice);
    let index = list.iter().position(|subset| subset["name"] == *name);
    let Some(subset) = index.and_then(|index| list.get_mut(index)) else {
        return Err(Cause::NoSubset {
            subset: name.to_string(),
            found: names_in(list),
        });
    };
    if hash.is_empty() {
        let labels = subset.pointer_mut("/labels").and_then(Value::as_object_mut);
        labels.and_then(|labels| labels.remove(HASH_LABEL));
    } else if let Some(labels) = map_in(subset, "labels") {
        labels.insert(HASH_LABEL.into(), hash.into());
    }
    Ok(())
}

/// The object in this field, made if it is absent.
fn map_in<'v>(parent: &'v mut Value, field: &str) -> Option<&'v mut Map<String, Value>> {
    let value = parent.as_object_mut()?.entry(field).or_insert(Value::Null);
    if value.is_null() {
        *value = Map::new().into();
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::rule;
    use super::*;

    fn object(stable: Value, canary: Value) -> Value {
        json!({
            "metadata": {"name": "shop", "namespace": "web", "resourceVersion": "7",
                         "annotations": {MANAGED_BY: "shop", "team": "a"}},
            "spec": {
                "host": "shop", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
                "subsets": [
                    {"name": "beta", "labels": {"version": "beta"}},
                    {"name": "canary", "labels": canary, "trafficPolicy": {"unknown": [1]}},
                    {"name": "stable", "labels": stable},
                ],
            },
        })
    }

    fn labels(hash: &str) -> Value {
        json!({"app": "shop", HASH_LABEL: hash})
    }

    fn write(object: &Value) -> Value {
        let written = destination_rule(object, &rule(), "shop", "one", "two").unwrap();
        let again = destination_rule(&written, &rule(), "shop", "one", "two").unwrap();
        assert_eq!(again, written, "told twice");
        written
    }

    #[test]
    fn each_version_is_selected_by_its_hash_and_all_else_stays() {
        let after = object(labels("one"), labels("two"));
        assert_eq!(write(&object(labels("zero"), labels("one"))), after);
        assert_eq!(write(&object(json!({"app": "shop"}), labels("x"))), after);
    }

    #[test]
    fn labels_and_annotations_are_made_where_there_are_none() {
        let mut before = object(Value::Null, Value::Null);
        before["metadata"]["annotations"] = Value::Null;
        for subset in before["spec"]["subsets"].as_array_mut().unwrap() {
            subset.as_object_mut().unwrap().remove("labels");
        }
        let written = write(&before);
        let annotations = json!({MANAGED_BY: "shop"});
        assert_eq!(written["metadata"]["annotations"], annotations);
        let subset = json!({"name": "stable", "labels": {HASH_LABEL: "one"}});
        assert_eq!(written["spec"]["subsets"][2], subset);
        assert_eq!(written["spec"]["subsets"][0], json!({"name": "beta"}));
    }

    #[test]
    fn a_version_that_is_not_there_yet_has_no_hash() {
        let before = object(labels("one"), labels("two"));
        let written = destination_rule(&before, &rule(), "shop", "one", "").unwrap();
        let after = object(labels("one"), json!({"app": "shop"}));
        assert_eq!(written, after);
        assert!(super::super::patch(&before, &written).is_some());
        let mut bare = after;
        let subset = bare["spec"]["subsets"][1].as_object_mut().unwrap();
        subset.remove("labels");
        let written = destination_rule(&bare, &rule(), "shop", "one", "").unwrap();
        assert_eq!(written, bare);
    }

    #[test]
    fn another_rollouts_rule_is_refused() {
        let before = object(labels("one"), labels("two"));
        let refused = destination_rule(&before, &rule(), "other", "one", "two").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "DestinationRule web/shop: \
             metadata.annotations[\"argo-rollouts.argoproj.io/managed-by-rollouts\"] is \"shop\", \
             expected \"other\" (another Rollout manages it; if that one is gone, remove the \
             annotation)"
        );
    }

    #[test]
    fn a_subset_must_be_there() {
        let mut rule = rule();
        rule.canary_subset = "new".into();
        let before = object(labels("one"), labels("two"));
        let refused = destination_rule(&before, &rule, "shop", "one", "two").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "DestinationRule web/shop: spec.subsets has [\"beta\", \"canary\", \"stable\"], expected \
             \"new\" among them"
        );
        let empty = json!({"metadata": {"namespace": "web"}, "spec": {"host": "shop"}});
        let refused = destination_rule(&empty, &rule, "shop", "one", "two").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "DestinationRule web/shop: spec.subsets has [], expected \"new\" among them"
        );
    }
}

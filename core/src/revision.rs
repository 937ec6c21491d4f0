//! The hash that names a version of a pod template, as Argo Rollouts writes it into object names.

use serde_json::Value;

/// The label on ReplicaSets, pods and Service selectors that holds the hash.
pub const HASH_LABEL: &str = "rollouts-pod-template-hash";

/// The label on pods that Istio's injector takes the name of their workload from (since 1.25).
pub const WORKLOAD_LABEL: &str = "service.istio.io/workload-name";

/// What the workload of a version is called: as its ReplicaSet. [`crate::plan::Plan`] accepts no name
/// of a Rollout with which this would be longer than a label's value may be.
pub fn workload(rollout: &str, hash: &str) -> String {
    format!("{rollout}-{hash}")
}

/// Removes the name of a version's workload from a template: those who go back to an older revision
/// copy it with the template of its ReplicaSet, and it would be taken for a part of the template. Any
/// other name is the user's own and stays.
pub fn remove_workload_of(template: &mut Value, rollout: &str) {
    remove_workload(template, |name| {
        let hash = name.strip_prefix(rollout);
        hash.and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(is_hash)
    });
}

/// Removes the name of a version's workload from its ReplicaSet's template.
pub fn remove_own_workload(template: &mut Value) {
    let hash = template
        .pointer("/metadata/labels")
        .map(|labels| &labels[HASH_LABEL]);
    let Some(hash) = hash.and_then(Value::as_str) else {
        return;
    };
    // No template holds its own hash, so a user's label does not end with it.
    let end = format!("-{hash}");
    remove_workload(template, |name| name.ends_with(&end));
}

fn remove_workload(template: &mut Value, is_ours: impl FnOnce(&str) -> bool) {
    let labels = template.pointer_mut("/metadata/labels");
    let Some(labels) = labels.and_then(Value::as_object_mut) else {
        return;
    };
    let name = labels.get(WORKLOAD_LABEL).and_then(Value::as_str);
    if name.is_some_and(is_ours) {
        labels.remove(WORKLOAD_LABEL);
    }
}

/// Whether a text is what [`hash`] gives. Fewer digits than eight are one hash in 400 and are left
/// out: a user's `shop-4` is none.
fn is_hash(text: &str) -> bool {
    const FEWEST: usize = 8;
    const MOST: usize = 10;
    (FEWEST..=MOST).contains(&text.len()) && text.bytes().all(|byte| DIGITS.contains(&byte))
}

/// What [`safe_encode`] makes of the ten digits.
const DIGITS: &[u8; 10] = b"456789bcdf";

/// FNV-1a 32 of `template` as JSON, in the alphabet that Kubernetes uses for names without vowels.
///
/// Equal templates have equal hashes whatever the order of their keys, since JSON objects are
/// kept sorted here.
pub fn hash(template: &Value) -> String {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let sum = template.to_string().bytes().fold(OFFSET, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(PRIME)
    });
    safe_encode(sum)
}

/// Writes a number with the characters that `rand.SafeEncodeString` of apimachinery uses: each
/// decimal digit is taken by its character code modulo the alphabet's length.
fn safe_encode(sum: u32) -> String {
    const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    sum.to_string()
        .bytes()
        .filter_map(|digit| SAFE.get(usize::from(digit) % SAFE.len()))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_templates_have_equal_hashes_whatever_their_order() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": [2]}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b": [2], "a": 1}"#).unwrap();
        assert_eq!(hash(&one), hash(&two));
        assert_ne!(hash(&one), hash(&json!({"a": 1, "b": [3]})));
    }

    #[test]
    fn a_version_s_workload_is_no_part_of_its_template() {
        let template = |name: &str| json!({"metadata": {"labels": {WORKLOAD_LABEL: name}}});
        let stays = |name: &str| {
            let mut given = template(name);
            remove_workload_of(&mut given, "shop");
            given == template(name)
        };
        let of_version = workload("shop", &hash(&json!({})));
        assert!(!stays(&of_version));
        for own in ["shop", "shop-4", "shop-frontends", "cart-5859f96865"] {
            assert!(stays(own), "{own}");
        }
        for number in [10_000_000, 1_234_567_890, u32::MAX] {
            assert!(is_hash(&safe_encode(number)), "{number}");
        }
    }

    #[test]
    fn the_hash_is_safe_in_a_name() {
        // FNV-1a 32 of the two bytes is 1415952421, computed by hand.
        assert_eq!(hash(&json!({})), "5859f96865");
        assert_eq!(safe_encode(0), "4");
    }
}

//! The hash that names a version of a pod template, as Argo Rollouts writes it into object names.

use serde_json::Value;

/// The label on ReplicaSets, pods and Service selectors that holds the hash.
pub const HASH_LABEL: &str = "rollouts-pod-template-hash";

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
    fn the_hash_is_safe_in_a_name() {
        // FNV-1a 32 of the two bytes is 1415952421, computed by hand.
        assert_eq!(hash(&json!({})), "5859f96865");
        assert_eq!(safe_encode(0), "4");
    }
}

//! JSON merge patches (RFC 7396): an object before and after come in, what makes one of the other
//! goes out.

use serde_json::{Map, Value};

/// What makes `after` of `before`; none if they are the same.
pub(super) fn patch(before: &Map<String, Value>, after: &Map<String, Value>) -> Option<Value> {
    let mut patch = Map::new();
    for (key, value) in after {
        match (before.get(key), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                patch.extend(self::patch(old, new).map(|inner| (key.clone(), inner)));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    patch.extend(gone.map(|key| (key.clone(), Value::Null)));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Objects without null, which a merge patch cannot write.
    fn object() -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            "[ab]".prop_map(Value::from)
        ];
        let value = leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[abc]", value, 0..3).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_patch_makes_one_of_the_other(before in object(), after in object()) {
            let mut value = Value::Object(before.clone());
            let patch = patch(&before, &after);
            prop_assert_eq!(patch.is_none(), before == after);
            json_patch::merge(&mut value, &patch.unwrap_or(json!({})));
            prop_assert_eq!(value, Value::Object(after));
        }
    }
}

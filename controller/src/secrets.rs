//! What Secrets hold, for one measurement: read when it is taken, handed to its provider.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serin_core::analysis::{SecretKey, Secrets, Wanted};

/// Where a run's Secrets are.
pub(crate) trait Keeper {
    /// Reads what is wanted. What may be absent and is, is left out.
    ///
    /// # Errors
    /// Which is not there, without what any holds.
    fn read(
        &self,
        wanted: impl IntoIterator<Item = Wanted> + Send,
    ) -> impl Future<Output = Result<Secrets, String>> + Send;
}

/// What is wanted, by the Secret that has it.
pub(crate) fn by_secret(wanted: impl IntoIterator<Item = Wanted>) -> BTreeMap<String, Vec<Wanted>> {
    let mut secrets = BTreeMap::<_, Vec<_>>::new();
    for one in wanted {
        secrets.entry(one.key.name.clone()).or_default().push(one);
    }
    secrets
}

/// Takes what is wanted of one Secret's data.
///
/// # Errors
/// Which is not there.
pub(crate) fn take(
    secrets: &mut Secrets,
    data: &BTreeMap<String, ByteString>,
    wanted: Vec<Wanted>,
) -> Result<(), String> {
    for Wanted { key, optional, .. } in wanted {
        let SecretKey { name, key: entry } = &key;
        let value = match data.get(entry) {
            Some(value) => value,
            None if optional => continue,
            None => return Err(format!("Secret {name} has no key {entry}")),
        };
        let value = String::from_utf8(value.0.clone())
            .map_err(|_| format!("key {entry} of Secret {name} is no UTF-8"))?;
        secrets.insert(key, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_absent_is_left_out() {
        let data: BTreeMap<_, _> = [("api-key", "hunter2"), ("region", "us")]
            .map(|(key, value)| (key.to_string(), ByteString(value.into())))
            .into();
        let credential = |key| Wanted::credential("newrelic", key);
        let mut secrets = Secrets::new();
        let wanted = vec![
            credential("api-key"),
            credential("region").open().optional(),
            credential("base-url").open().optional(),
        ];
        take(&mut secrets, &data, wanted).unwrap();
        let entries = Vec::from_iter(secrets.keys().map(|key| key.key.as_str()));
        assert_eq!(entries, ["api-key", "region"]);
        assert_eq!(
            take(&mut secrets, &data, vec![credential("app-key")]),
            Err("Secret newrelic has no key app-key".to_string())
        );
    }
}

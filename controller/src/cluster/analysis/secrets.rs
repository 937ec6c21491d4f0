//! What Secrets hold, for one measurement: read when it is taken.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serin_core::analysis::{SecretKey, Secrets, Wanted};
use std::collections::BTreeMap;

use crate::cluster::answered::answered;

/// Reads what is wanted of Secrets in a namespace, each Secret once. What may be absent and is, is
/// left out.
///
/// # Errors
/// Which is not there.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    wanted: impl IntoIterator<Item = Wanted>,
) -> Result<Secrets, String> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let mut secrets = Secrets::new();
    for (name, wanted) in by_secret(wanted) {
        let secret = match answered(|| api.get(&name)).await {
            Ok(secret) => secret,
            Err(status) if status.code == NOT_FOUND && wanted.iter().all(|one| one.optional) => {
                continue;
            }
            Err(status) => return Err(format!("Secret {name}: {}", status.message)),
        };
        let data = secret.data.unwrap_or_default();
        take(&mut secrets, &data, wanted)?;
    }
    Ok(secrets)
}

const NOT_FOUND: u16 = 404;

fn by_secret(wanted: impl IntoIterator<Item = Wanted>) -> BTreeMap<String, Vec<Wanted>> {
    let mut secrets = BTreeMap::<_, Vec<_>>::new();
    for one in wanted {
        secrets.entry(one.key.name.clone()).or_default().push(one);
    }
    secrets
}

/// Takes what is wanted of one Secret's data.
fn take(
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

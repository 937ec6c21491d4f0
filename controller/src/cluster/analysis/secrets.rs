//! What Secrets hold, for one measurement: read when it is taken, and cut out of all that is told
//! of it.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use serin_core::analysis::{Outcome, SecretKey, Secrets};
use std::collections::BTreeSet;

use crate::cluster::answered::answered;

/// Reads keys of Secrets in a namespace.
///
/// # Errors
/// Which is not there.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    keys: BTreeSet<&SecretKey>,
) -> Result<Secrets, String> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let mut secrets = Secrets::new();
    for key in keys {
        let SecretKey { name, key: entry } = key;
        let secret = answered(|| api.get(name)).await;
        let secret = secret.map_err(|status| format!("Secret {name}: {}", status.message))?;
        let data = secret.data.unwrap_or_default();
        let value = data
            .get(entry)
            .ok_or_else(|| format!("Secret {name} has no key {entry}"))?;
        let value = String::from_utf8(value.0.clone())
            .map_err(|_| format!("key {entry} of Secret {name} is no UTF-8"))?;
        secrets.insert(key.clone(), value);
    }
    Ok(secrets)
}

/// A text without what Secrets hold, however it is written there.
pub(super) fn cut_out(text: &str, secrets: &Secrets) -> String {
    const CUT: &str = "*****";
    let mut forms: Vec<String> = secrets.values().flat_map(|value| forms(value)).collect();
    // A form may hold another: the longest go first, so that nothing of them is left.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
        .iter()
        .filter(|form| !form.is_empty())
        .fold(text.to_string(), |text, form| text.replace(form, CUT))
}

/// An outcome without what Secrets hold; it is judged as it is.
pub(super) fn cut_out_of(outcome: Outcome, secrets: &Secrets) -> Outcome {
    let metadata = outcome.metadata.into_iter();
    Outcome {
        shown: cut_out(&outcome.shown, secrets),
        metadata: metadata
            .map(|(key, value)| (key, cut_out(&value, secrets)))
            .collect(),
        value: outcome.value,
    }
}

/// A value as it is, and as errors write what it stands in: quoted, and in a URL.
fn forms(value: &str) -> [String; 4] {
    let inside = |quoted: String| {
        let inside = quoted.get(1..quoted.len().saturating_sub(1));
        inside.unwrap_or_default().to_string()
    };
    [
        value.to_string(),
        inside(format!("{value:?}")),
        inside(json!(value).to_string()),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_told_however_it_is_written() {
        let key = |name: &str| SecretKey {
            name: name.into(),
            key: "k".into(),
        };
        let secrets: Secrets = [
            (key("a"), "hunter".to_string()),
            (key("b"), "hunter\"2\n".to_string()),
            (key("c"), String::new()),
        ]
        .into();
        let query = "up{token=\"hunter\"2\n\"}";
        let told = format!("query {query:?} at http://h/?t=hunter%222%0A: {query} hunter");
        let cut = cut_out(&told, &secrets);
        assert!(!cut.contains("hunter") && !cut.contains("2\\n"), "{cut}");
        assert!(cut.starts_with("query \"up{token="), "{cut}");
    }
}

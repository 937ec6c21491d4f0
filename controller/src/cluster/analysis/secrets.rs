//! What Secrets hold, for one measurement: read when it is taken, and cut out of all that is told
//! of it.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use serin_core::analysis::ticking;
use serin_core::analysis::{Judged, Outcome, SecretKey, Secrets, Wanted};
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
) -> Result<Read, String> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let mut read = Read::default();
    for (name, wanted) in by_secret(wanted) {
        let secret = match answered(|| api.get(&name)).await {
            Ok(secret) => secret,
            Err(status) if status.code == NOT_FOUND && wanted.iter().all(|one| one.optional) => {
                continue;
            }
            Err(status) => return Err(format!("Secret {name}: {}", status.message)),
        };
        read.take(&secret.data.unwrap_or_default(), wanted)?;
    }
    Ok(read)
}

/// What was read of Secrets.
#[derive(Default)]
pub(super) struct Read {
    /// All of it.
    pub(super) all: Secrets,
    /// That which is never told.
    pub(super) hidden: Secrets,
}

const NOT_FOUND: u16 = 404;

fn by_secret(wanted: impl IntoIterator<Item = Wanted>) -> BTreeMap<String, Vec<Wanted>> {
    let mut secrets = BTreeMap::<_, Vec<_>>::new();
    for one in wanted {
        secrets.entry(one.key.name.clone()).or_default().push(one);
    }
    secrets
}

impl Read {
    /// Takes what is wanted of one Secret's data.
    fn take(
        &mut self,
        data: &BTreeMap<String, ByteString>,
        wanted: Vec<Wanted>,
    ) -> Result<(), String> {
        for Wanted {
            key,
            optional,
            open,
        } in wanted
        {
            let SecretKey { name, key: entry } = &key;
            let value = match data.get(entry) {
                Some(value) => value,
                None if optional => continue,
                None => return Err(format!("Secret {name} has no key {entry}")),
            };
            let value = String::from_utf8(value.0.clone())
                .map_err(|_| format!("key {entry} of Secret {name} is no UTF-8"))?;
            if !open {
                self.hidden.insert(key.clone(), value.clone());
            }
            self.all.insert(key, value);
        }
        Ok(())
    }

    /// Takes in what was read besides.
    pub(super) fn extend(&mut self, other: Read) {
        self.all.extend(other.all);
        self.hidden.extend(other.hidden);
    }
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
    // A judge's state is numbers that were counted, and is read again.
    let cut = |(key, value): (String, String)| match key.as_str() {
        ticking::STATE => (key, value),
        _ => {
            let cut = cut_out(&value, secrets);
            (key, cut)
        }
    };
    let judged = outcome.judged.map(|judged| Judged {
        message: cut_out(&judged.message, secrets),
        ..judged
    });
    Outcome {
        shown: cut_out(&outcome.shown, secrets),
        metadata: outcome.metadata.into_iter().map(cut).collect(),
        value: outcome.value,
        judged,
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

    #[test]
    fn what_may_be_absent_is_left_out_and_what_is_open_is_told() {
        let data: BTreeMap<_, _> = [("api-key", "hunter2"), ("region", "us")]
            .map(|(key, value)| (key.to_string(), ByteString(value.into())))
            .into();
        let credential = |key| Wanted::credential("newrelic", key);
        let mut read = Read::default();
        let wanted = vec![
            credential("api-key"),
            credential("region").open().optional(),
            credential("base-url").open().optional(),
        ];
        read.take(&data, wanted).unwrap();
        let entries = |secrets: &Secrets| Vec::from_iter(secrets.keys().map(|key| key.key.clone()));
        assert_eq!(entries(&read.all), ["api-key", "region"]);
        assert_eq!(entries(&read.hidden), ["api-key"]);
        assert_eq!(
            read.take(&data, vec![credential("app-key")]),
            Err("Secret newrelic has no key app-key".to_string())
        );
    }
}

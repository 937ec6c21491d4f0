//! Secrets from a file of the user's own: documents of kind Secret, as kubectl applies them. The
//! file is read at each measurement, and nothing of it is kept; what is wrong with it is told by
//! document and key, never with a value.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use k8s_openapi::ByteString;
use serde::Deserialize as _;
use serde_json::Value;
use serin_core::analysis::{Secrets, Wanted};

use super::own::check_private_file;
use crate::manifest::{DEFAULT_NAMESPACE, Key};
use crate::secrets::{Keeper, by_secret, take};

/// The file.
#[derive(Clone, Debug)]
pub(super) struct SecretFile {
    path: PathBuf,
}

/// The Secrets of a namespace, if there is a file.
pub(super) struct InFile {
    pub(super) file: Option<SecretFile>,
    pub(super) namespace: String,
}

/// Secrets by name, each with its data.
type Data = BTreeMap<Key, BTreeMap<String, ByteString>>;

impl SecretFile {
    /// The file at `path`, once it is seen to be private, readable, and outside of `state`.
    ///
    /// # Errors
    /// What is wrong with it, without what it holds.
    pub(super) fn open(path: &Path, state: &Path) -> anyhow::Result<SecretFile> {
        let shown = path.display();
        let path = fs::canonicalize(path).with_context(|| format!("read {shown}"))?;
        anyhow::ensure!(
            !path.starts_with(state),
            "{shown} is in the state directory {}, expected a file elsewhere (removing the \
             directory starts over)",
            state.display()
        );
        let file = SecretFile { path };
        file.read()?;
        Ok(file)
    }

    fn read(&self) -> anyhow::Result<Data> {
        let shown = self.path.display();
        let context = || format!("read {shown}");
        let mut file = File::open(&self.path).with_context(context)?;
        check_private_file(&self.path, &file.metadata().with_context(context)?)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(context)?;
        let mut all = Data::new();
        for (index, document) in serde_norway::Deserializer::from_str(&text).enumerate() {
            let place = format!("{shown} document {}", index + 1);
            // The error itself may quote a value.
            let document = serde_norway::Value::deserialize(document).map_err(|error| {
                let line = error.location().map_or(0, |location| location.line());
                anyhow::anyhow!("{place} is no YAML (line {line})")
            })?;
            let document = serde_json::to_value(&document).ok();
            let document = document.with_context(|| format!("{place} is no object"))?;
            if !document.is_null() {
                let (key, data) = secret(&document).with_context(|| place)?;
                all.entry(key).or_default().extend(data);
            }
        }
        Ok(all)
    }
}

/// A Secret's name and data.
fn secret(document: &Value) -> anyhow::Result<(Key, BTreeMap<String, ByteString>)> {
    anyhow::ensure!(
        document["apiVersion"] == "v1" && document["kind"] == "Secret",
        "is no Secret, expected apiVersion: v1, kind: Secret"
    );
    let metadata = &document["metadata"];
    let name = metadata["name"].as_str();
    let name = name.context("metadata.name: is missing, expected the Secret's name")?;
    let namespace = metadata["namespace"].as_str().unwrap_or(DEFAULT_NAMESPACE);
    let mut data = BTreeMap::new();
    for (key, value) in entries(document, "data")? {
        let value = serde_json::from_value(value.clone()).ok();
        let value = value.with_context(|| format!("data.{key}: is no text in base64"))?;
        data.insert(key.clone(), value);
    }
    for (key, value) in entries(document, "stringData")? {
        let value = value.as_str();
        let value = value.with_context(|| format!("stringData.{key}: is no text (quote it)"))?;
        data.insert(key.clone(), ByteString(value.as_bytes().to_vec()));
    }
    let key = Key {
        namespace: namespace.to_string(),
        name: name.to_string(),
    };
    Ok((key, data))
}

fn entries<'d>(
    document: &'d Value,
    field: &str,
) -> anyhow::Result<impl Iterator<Item = (&'d String, &'d Value)>> {
    let found = &document[field];
    anyhow::ensure!(
        found.is_object() || found.is_null(),
        "{field}: is no object, expected a text for each key"
    );
    Ok(found.as_object().into_iter().flatten())
}

impl Keeper for InFile {
    async fn read(
        &self,
        wanted: impl IntoIterator<Item = Wanted> + Send,
    ) -> Result<Secrets, String> {
        let mut read = Secrets::new();
        let wanted = by_secret(wanted);
        if wanted.is_empty() {
            return Ok(read);
        }
        let all = self.file.as_ref().map(SecretFile::read).transpose();
        let all = all.map_err(|error| format!("{error:#}"))?;
        for (name, wanted) in wanted {
            let key = Key {
                namespace: self.namespace.clone(),
                name,
            };
            match all.as_ref().and_then(|all| all.get(&key)) {
                Some(data) => take(&mut read, data, wanted)?,
                None if wanted.iter().all(|one| one.optional) => {}
                None => return Err(format!("Secret {key} is not in the file of --secrets")),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;

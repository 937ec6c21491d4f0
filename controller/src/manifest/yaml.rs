//! YAML files: in comes text, out come documents as JSON, or the file, document and line of what
//! is not YAML.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;

use super::ManifestError;

/// One document.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) file: String,
    pub(crate) number: usize,
    pub(crate) value: Value,
}

impl Document {
    /// What is wrong with it.
    pub(crate) fn error(&self, message: impl fmt::Display) -> ManifestError {
        ManifestError {
            file: self.file.clone(),
            document: self.number,
            message: message.to_string(),
        }
    }
}

/// The names and texts of the YAML files in `dir`, by name.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<(String, String)>> {
    let mut paths: Vec<_> = fs::read_dir(dir)?
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            // Editors write half a file under a name that begins with a dot.
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            matches!(extension, Some("yaml" | "yml")) && !hidden && path.is_file()
        })
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
            let text = fs::read_to_string(&path).map_err(named)?;
            Ok((name.into_owned(), text))
        })
        .collect()
}

/// The documents of one file; empty ones are passed over but counted.
pub(crate) fn documents(file: &str, text: &str) -> Vec<Result<Document, ManifestError>> {
    let mut found = Vec::new();
    for (i, document) in serde_norway::Deserializer::from_str(text).enumerate() {
        let number = i + 1;
        let error = |message: String| ManifestError {
            file: file.to_string(),
            document: number,
            message,
        };
        // Read as YAML first: only that refuses a key that is there twice.
        let yaml = match serde_norway::Value::deserialize(document) {
            Ok(yaml) => yaml,
            Err(problem) => {
                found.push(Err(error(problem.to_string())));
                // What follows a syntax error cannot be told apart.
                break;
            }
        };
        match serde_json::to_value(&yaml) {
            Ok(Value::Null) => {}
            Ok(value) if value.is_object() => found.push(Ok(Document {
                file: file.to_string(),
                number,
                value,
            })),
            Ok(value) => found.push(Err(error(format!(
                "is {}, expected an object with apiVersion, kind and metadata",
                serin_core::field::shown(&value)
            )))),
            Err(problem) => found.push(Err(error(problem.to_string()))),
        }
    }
    found
}

//! What outlives serin: one JSON file that is replaced as a whole, so a crash at any moment leaves
//! the old or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::reconcile::record::Record;

/// The version of the file; another is refused and not guessed at.
const VERSION: u32 = 1;

/// All that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    version: u32,
    /// The last generation given to a filter's configuration.
    pub generation: u64,
    /// Rollouts by `<namespace>/<name>`.
    pub rollouts: BTreeMap<String, Record>,
}

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    last: String,
}

impl Store {
    /// Reads what an earlier serin has left in `state`.
    ///
    /// # Errors
    /// If the file is there and not one of ours.
    pub(super) fn open(state: &Path) -> anyhow::Result<(Store, Memory)> {
        let path = state.join("state.json");
        let nothing = Memory {
            version: VERSION,
            generation: 0,
            rollouts: BTreeMap::new(),
        };
        let last = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let memory: Memory = if last.is_empty() {
            nothing
        } else {
            serde_json::from_str(&last).with_context(|| {
                let dir = state.display();
                format!("read {} (removing {dir} starts over)", path.display())
            })?
        };
        anyhow::ensure!(
            memory.version == VERSION,
            "{} has version {}, expected {VERSION}",
            path.display(),
            memory.version
        );
        Ok((Store { path, last }, memory))
    }

    /// Writes what has changed; when this returns it survives a power cut.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn save(&mut self, memory: &Memory) -> anyhow::Result<()> {
        let text = serde_json::to_string(memory)?;
        if text == self.last {
            return Ok(());
        }
        let written = self.replace(text.as_bytes());
        written.with_context(|| format!("write {}", self.path.display()))?;
        self.last = text;
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        match self.path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_written_by_the_next_save() {
        let dir = std::env::temp_dir().join(format!("serin-store-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (mut store, mut memory) = Store::open(&dir).unwrap();
        memory.generation = 7;
        fs::remove_dir_all(&dir).unwrap();
        let error = format!("{:#}", store.save(&memory).unwrap_err());
        assert!(error.starts_with("write "), "{error}");
        fs::create_dir_all(&dir).unwrap();
        store.save(&memory).unwrap();
        assert_eq!(Store::open(&dir).unwrap().1, memory);
        fs::remove_dir_all(&dir).unwrap();
    }
}

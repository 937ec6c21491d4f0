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
        let new = self.path.with_extension("new");
        let mut file = File::create(&new).with_context(|| format!("write {}", new.display()))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.last = text;
        Ok(())
    }
}

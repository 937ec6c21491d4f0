//! How many threads of this Envoy run a configuration. A VM that trapped is gone without a word, so
//! each that lives says so in a table that all of them share, and what is not said again is
//! forgotten.

use crate::host::{self, HostError};

/// How long a row counts, in nanoseconds: a thread that is very busy may miss a few ticks.
const AGE: u64 = 5_000_000_000;
/// The most rows: more threads than any machine runs an Envoy with.
const ROWS: usize = 1_024;
/// How often a VM tries to write its row at one tick: all may do so at the same moment.
const TRIES: usize = 64;

/// More VMs than an Envoy ever makes: numbers above it were not given out.
const LAST: u64 = u32::MAX as u64;

/// Bytes of a number in the table.
const WORD: usize = 8;
/// Bytes of a row.
const ROW: usize = 3 * WORD;

/// The number by which a VM knows its own row. VMs are copies of one another, so none could make
/// itself one that no other has: the table gives them out.
pub(crate) type Own = Option<u64>;

/// One VM's word that it lives.
#[derive(Clone, Copy, Debug)]
struct Row {
    vm: u64,
    /// The newest generation that it runs.
    generation: u64,
    ticked: u64,
}

/// What the VMs share of one configuration.
#[derive(Debug, Default)]
struct Table {
    /// The number of the next VM that has none.
    next: u64,
    rows: Vec<Row>,
}

/// Writes this VM's row under `key`, and says how many threads run the newest generation that any
/// of them runs. `None` if others wrote all the time: its last row still counts.
pub(crate) fn tell(
    key: &str,
    own: &mut Own,
    generation: u64,
    now: u64,
) -> Result<Option<u64>, HostError> {
    for _ in 0..TRIES {
        let (mut table, version) = host::shared(key, Table::decode)?;
        let row = Row {
            vm: own.unwrap_or(table.next),
            generation,
            ticked: now,
        };
        table.take(row);
        if host::share(key, &table.encode(), version)? {
            *own = Some(row.vm);
            return Ok(Some(table.newest()));
        }
    }
    Ok(None)
}

impl Table {
    /// Any bytes are a table: those that no VM wrote are an empty one, or one whose rows are soon
    /// forgotten.
    fn decode(bytes: &[u8]) -> Table {
        let mut words = bytes.chunks_exact(WORD).map(word);
        let next = words.next().unwrap_or_default();
        if next > LAST {
            return Table::default();
        }
        let rows = bytes.get(WORD..).unwrap_or_default();
        let rows = rows.chunks_exact(ROW).take(ROWS);
        let rows = rows.filter_map(|row| {
            let mut words = row.chunks_exact(WORD).map(word);
            Some(Row {
                vm: words.next()?,
                generation: words.next()?,
                ticked: words.next()?,
            })
        });
        Table {
            next,
            rows: rows.collect(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let rows = self.rows.iter();
        let words = rows.flat_map(|row| [row.vm, row.generation, row.ticked]);
        let words = [self.next].into_iter().chain(words);
        words.flat_map(u64::to_le_bytes).collect()
    }

    /// Puts a row in place of the one that its VM wrote before, and forgets the old ones.
    fn take(&mut self, row: Row) {
        self.next = self.next.max(row.vm.wrapping_add(1));
        // Another thread may have read the clock after this one did, so a row can be of the future.
        let lives = |other: &Row| other.ticked.abs_diff(row.ticked) <= AGE;
        self.rows.retain(|other| other.vm != row.vm && lives(other));
        if self.rows.len() < ROWS {
            self.rows.push(row);
        }
    }

    fn newest(&self) -> u64 {
        let generations = || self.rows.iter().map(|row| row.generation);
        let newest = generations().max();
        generations().filter(|own| Some(*own) == newest).count() as u64
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

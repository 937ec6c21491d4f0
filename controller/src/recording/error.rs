//! What may be wrong with a recording.

use std::io;

use serin_core::time::TIME_ACCEPTED;

use super::{LONGEST_LINE, MOST_BOUNDS, MOST_REQUESTS, MOST_SAMPLES};

/// Why a recording cannot be read, and in which line.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub struct ReadError {
    /// The first is 1.
    pub line: usize,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// There is no line.
    #[error("is missing: the file is empty, expected a recording's header")]
    Empty,
    /// It does not end.
    #[error("is longer than {LONGEST_LINE} bytes")]
    Long,
    /// There are too many.
    #[error("is one too many, expected {MOST_SAMPLES} after the header at most")]
    Endless,
    /// It is no JSON, or has other fields.
    #[error("{0}")]
    Json(String),
    /// Another program wrote it.
    #[error("format is {0:?}, expected \"serin-recording\"")]
    Format(String),
    /// Another Serin wrote it.
    #[error("version is {0}, expected 1 (a later Serin reads it)")]
    Version(u64),
    /// A name is none.
    #[error("{field} is {name:?}, expected letters, digits, dots and dashes, 253 of them at most")]
    Name {
        /// The field.
        field: &'static str,
        /// What is in it.
        name: String,
    },
    /// A time is none.
    #[error("{field} is {text:?}, expected {TIME_ACCEPTED}")]
    Time {
        /// The field.
        field: &'static str,
        /// What is in it.
        text: String,
    },
    /// Time stands still, or goes back.
    #[error("at is {at:?}, expected a time after that of the line before it")]
    Back {
        /// The time.
        at: String,
    },
    /// The bounds are none.
    #[error("boundsMs is {0}, expected up to {MOST_BOUNDS} rising numbers above 0")]
    Bounds(String),
    /// A weight above all.
    #[error("weightBp is {0}, expected 0 to 10000")]
    Weight(u64),
    /// A count that is not possible.
    #[error("{field} is {count}, expected {MOST_REQUESTS} at most")]
    Huge {
        /// The field.
        field: String,
        /// What is in it.
        count: u64,
    },
    /// A total that falls.
    #[error("{field} is {count}, expected at least the {before} of the line before it")]
    Fell {
        /// The field.
        field: String,
        /// What is in it.
        count: u64,
        /// What was in it.
        before: u64,
    },
    /// More bad requests than requests.
    #[error("{field} rose by {bad} and requests by {requests}, expected it to rise by no more")]
    Many {
        /// The field.
        field: String,
        /// By how much it rose.
        bad: u64,
        /// By how much they rose.
        requests: u64,
    },
    /// Not one count for each bound.
    #[error("{field} has {counts} counts, expected one for each of the {bounds} boundsMs")]
    Slower {
        /// The field.
        field: &'static str,
        /// How many there are.
        counts: usize,
        /// How many there should be.
        bounds: usize,
    },
}

impl Wrong {
    /// What is wrong with a line's JSON. Its place is told without the line's number, which is 1 for
    /// all that serde_json knows.
    pub(super) fn json(error: &serde_json::Error) -> Wrong {
        let text = error.to_string();
        let what = text
            .rsplit_once(" at line ")
            .map_or(&*text, |(what, _)| what);
        let what = short(&what.escape_debug().to_string());
        Wrong::Json(match error.column() {
            0 => what,
            column => format!("{what}, at byte {column}"),
        })
    }
}

/// A text that may be as long as a line, cut to what helps.
pub(super) fn short(text: &str) -> String {
    const ENOUGH: usize = 100;
    match text.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_string(),
    }
}

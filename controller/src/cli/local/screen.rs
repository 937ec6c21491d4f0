//! What `serin local` shows: lines that stay above one that changes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::screen::{is_terminal, say, write};

/// The output. In a pipe there is no changing line. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    terminal: bool,
    status: Arc<Mutex<String>>,
}

impl Screen {
    pub(super) fn new() -> Screen {
        Screen {
            terminal: is_terminal(),
            status: Arc::default(),
        }
    }

    /// Whether there is a line that changes.
    pub(super) fn changes(&self) -> bool {
        self.terminal
    }

    /// Adds a line that stays.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.terminal {
            return say(text);
        }
        write(&format!(
            "{OVER}{}\n{}",
            text.trim_end(),
            unwrapped(&status)
        ))
    }

    /// Changes the line that changes.
    pub(super) fn status(&self, text: &str) -> io::Result<()> {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        *status = text.to_string();
        match self.terminal {
            true => write(&format!("{OVER}{}", unwrapped(&status))),
            false => Ok(()),
        }
    }
}

/// To the start of the line, which is emptied.
const OVER: &str = "\r\x1b[K";

/// Text that ends at the terminal's edge: a second line could not be painted over.
fn unwrapped(text: &str) -> String {
    format!("\x1b[?7l{text}\x1b[?7h")
}

/// Log lines go to the screen too, so that they do not land in the line that changes.
impl io::Write for Screen {
    fn write(&mut self, log: &[u8]) -> io::Result<usize> {
        self.line(&String::from_utf8_lossy(log))?;
        Ok(log.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

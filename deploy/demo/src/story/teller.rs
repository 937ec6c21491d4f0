//! Lines for a person: colour and a line that changes in a terminal, plain lines in a pipe.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serin::draw::{Colour, Paint};

/// Where the story is told.
#[derive(Debug)]
pub struct Teller {
    terminal: bool,
    paint: Paint,
    /// Whether the line that changes is on the screen.
    changing: Mutex<bool>,
}

impl Teller {
    /// Tells on standard output.
    pub fn for_stdout() -> Teller {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var("NO_COLOR").ok();
        Teller {
            terminal,
            paint: Paint::for_output(terminal, false, no_color.as_deref()),
            changing: Mutex::new(false),
        }
    }

    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// A line that stands out.
    pub fn heading(&self, text: &str) {
        self.line(&self.paint.colour(Colour::Bold, text));
    }

    /// A command as a user would type it.
    pub fn command(&self, text: &str) {
        self.line(&format!(
            "  {}",
            self.paint.colour(Colour::Cyan, &format!("$ {text}"))
        ));
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let over = if *changing { OVER } else { "" };
        *changing = false;
        put(&format!("{over}{text}\n"));
    }

    /// The line that changes, cut at the terminal's edge; a pipe has none.
    pub(super) fn progress(&self, text: &str) {
        if self.terminal {
            let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            *changing = true;
            put(&format!("{OVER}\x1b[?7l    {text}\x1b[?7h"));
        }
    }
}

/// To the start of the line, which is emptied.
const OVER: &str = "\r\x1b[K";

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may be listening any more; the story still ends as it should.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

//! The standard output: lines that stay, and in a terminal a picture that is painted over.

use std::io::{self, IsTerminal, Write as _};

use crate::draw::Paint;

/// The colours for standard output.
pub(super) fn paint(no_color: bool) -> Paint {
    let variable = std::env::var("NO_COLOR").ok();
    Paint::for_output(is_terminal(), no_color, variable.as_deref())
}

/// Whether a person may look at standard output.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes lines.
pub(super) fn say(text: &str) -> io::Result<()> {
    write(&format!("{}\n", text.trim_end_matches('\n')))
}

/// Paints `text` over what was painted before. Lines are overwritten rather than the screen
/// cleared, which would flicker.
pub(super) fn repaint(text: &str, first: bool) -> io::Result<()> {
    const CLEAR: &str = "\x1b[2J";
    const HOME: &str = "\x1b[H";
    const TO_END_OF_LINE: &str = "\x1b[K\n";
    const TO_END_OF_SCREEN: &str = "\x1b[J";
    let mut painted = String::new();
    if first {
        painted.push_str(CLEAR);
    }
    painted.push_str(HOME);
    for line in text.lines() {
        painted.push_str(line);
        painted.push_str(TO_END_OF_LINE);
    }
    painted.push_str(TO_END_OF_SCREEN);
    write(&painted)
}

/// Writes text as it is.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

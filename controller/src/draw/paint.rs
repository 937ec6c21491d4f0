//! Colours of a terminal, or none.

/// A colour, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Good, or stable.
    Green,
    /// Bad.
    Red,
    /// The canary, or something to look at.
    Yellow,
    /// Under way.
    Cyan,
    /// Of no interest now.
    Dim,
    /// A heading.
    Bold,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Colours for a terminal.
    pub const COLOUR: Paint = Paint { on: true };
    /// Plain text.
    pub const PLAIN: Paint = Paint { on: false };

    /// Colours if the output is a terminal that wants them. `no_color` is the variable NO_COLOR:
    /// any value but the empty one means plain text (<https://no-color.org>).
    pub fn for_output(terminal: bool, refused: bool, no_color: Option<&str>) -> Paint {
        Paint {
            on: terminal && !refused && no_color.unwrap_or_default().is_empty(),
        }
    }

    /// `text` in `colour`.
    pub fn colour(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
            Colour::Dim => "2",
            Colour::Bold => "1",
        };
        match self.on && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_string(),
        }
    }

    /// The name of a role in its colour.
    pub(super) fn role(self, role: &str) -> String {
        match role {
            "stable" => self.colour(Colour::Green, role),
            "canary" => self.colour(Colour::Yellow, role),
            _ => role.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_and_no_objection() {
        let on = Paint::for_output;
        assert_eq!(on(true, false, None), Paint::COLOUR);
        assert_eq!(on(true, false, Some("")), Paint::COLOUR);
        assert_eq!(on(true, false, Some("1")), Paint::PLAIN);
        assert_eq!(on(true, true, None), Paint::PLAIN);
        assert_eq!(on(false, false, None), Paint::PLAIN);
    }
}

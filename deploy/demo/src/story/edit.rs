//! Editing a manifest: text and replacements come in, the new text and the lines that differ go
//! out.

use anyhow::ensure;

/// A manifest after an edit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited {
    /// The whole text.
    pub(super) text: String,
    /// The lines that changed, as a diff shows them.
    pub(super) diff: Vec<String>,
}

/// Replaces each first of a pair by its second, within lines.
///
/// # Errors
/// If one of them is not there.
pub(super) fn edit(text: &str, replacements: &[(&str, &str)]) -> anyhow::Result<Edited> {
    for (old, _) in replacements {
        ensure!(text.contains(old), "the manifest has no {old:?} to edit");
    }
    let mut edited = Edited {
        text: String::new(),
        diff: Vec::new(),
    };
    for old in text.lines() {
        let replace = |line: String, (from, to): &(&str, &str)| line.replace(from, to);
        let new = replacements.iter().fold(old.to_string(), replace);
        if new != old {
            edited.diff.push(format!("-{old}"));
            edited.diff.push(format!("+{new}"));
        }
        edited.text.push_str(&new);
        edited.text.push('\n');
    }
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_shows_the_lines_that_differ() {
        let edited = edit("a: 1\n  b: v1\nc: v1\n", &[("b: v1", "b: v2")]).unwrap();
        assert_eq!(edited.text, "a: 1\n  b: v2\nc: v1\n");
        assert_eq!(edited.diff, ["-  b: v1", "+  b: v2"]);
    }

    #[test]
    fn an_edit_that_finds_nothing_is_an_error() {
        let error = edit("a: 1\n", &[("b", "c")]).unwrap_err().to_string();
        assert_eq!(error, "the manifest has no \"b\" to edit");
    }
}

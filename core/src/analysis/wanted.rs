//! What a measurement wants of Secrets: plain data, for whoever can read them.

use super::argument::SecretKey;
use crate::field::Field;

/// A key of a Secret that a measurement needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The key, in the run's own namespace.
    pub key: SecretKey,
    /// Whether it may be absent, and its Secret with it.
    pub optional: bool,
    /// Whether its value may be told. Where to ask, such as a region, is no credential, and cutting
    /// its two letters out of messages would leave them unreadable.
    pub open: bool,
}

impl Wanted {
    /// A credential that must be there.
    pub fn credential(secret: &str, key: &str) -> Wanted {
        Wanted::from(&SecretKey {
            name: secret.to_string(),
            key: key.to_string(),
        })
    }

    /// The same, which may be absent.
    #[must_use]
    pub fn optional(self) -> Wanted {
        Wanted {
            optional: true,
            ..self
        }
    }

    /// The same, which may be told.
    #[must_use]
    pub fn open(self) -> Wanted {
        Wanted { open: true, ..self }
    }
}

/// The name of a Secret, which becomes a part of a URL: what is none is reported.
pub(super) fn secret_name<'f>(field: &Field<'f>) -> Option<&'f str> {
    const LONGEST: usize = 253;
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(letter)
            && label.ends_with(letter)
            && label.chars().all(|c| letter(c) || c == '-')
    };
    let name = field.string()?;
    let is_name = name.len() <= LONGEST && name.split('.').all(is_label);
    if !is_name {
        field.expected(
            "the name of a Secret: a-z, 0-9, - and ., with a letter or digit at both ends",
        );
    }
    is_name.then_some(name)
}

/// A key of a Secret: what is none is reported.
pub(super) fn secret_entry<'f>(field: &Field<'f>) -> Option<&'f str> {
    let key = field.string()?;
    let letter = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_key = !key.is_empty() && key.chars().all(letter);
    if !is_key {
        field.expected("a key of the Secret: letters, digits, -, _ and .");
    }
    is_key.then_some(key)
}

/// What an argument brings is a credential that must be there.
impl From<&SecretKey> for Wanted {
    fn from(key: &SecretKey) -> Self {
        Wanted {
            key: key.clone(),
            optional: false,
            open: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Report;
    use serde_json::json;

    #[test]
    fn a_name_that_is_no_part_of_a_url_is_refused() {
        type Read = for<'f> fn(&Field<'f>) -> Option<&'f str>;
        let is = |read: Read, text: &str| {
            let (report, value) = (Report::default(), json!(text));
            let is_name = read(&Field::root("name", &value, &report)).is_some();
            let refused = report.finish(Some(())).is_err();
            assert_ne!(is_name, refused, "{text}");
            is_name
        };
        for name in ["a", "my-profile", "a.b-1.c", "0"] {
            assert!(is(secret_name, name), "{name}");
        }
        let long = "a".repeat(254);
        for name in [
            "",
            "my profile",
            "../x",
            "a?b",
            "a/b",
            "A",
            "-a",
            "a.",
            "a..b",
            &long,
        ] {
            assert!(!is(secret_name, name), "{name}");
        }
        assert!(is(secret_entry, "..key_A-1"));
        assert!(!is(secret_entry, "a b") && !is(secret_entry, "") && !is(secret_entry, "a/b"));
    }
}

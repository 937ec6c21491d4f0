//! What a measurement wants of Secrets: plain data, for whoever can read them.

use super::argument::SecretKey;

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

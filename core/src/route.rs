//! Where a request goes: a host finds its rule, header routes come first, then the split. In come
//! bytes, since a client may send any; out comes a side of a release.

mod condition;
mod sticky;
mod table;

pub use condition::Pattern;
pub use sticky::{bucket, seed};
pub use table::{Reason, Rule, Table};

use crate::wire::VARIANT_HEADER;

/// The headers of a request, pseudo-headers among them: names in lower case, values as they came.
/// Cloned to be read again, so it should be as cheap as a slice's iterator.
pub trait Headers<'a>: Iterator<Item = (&'a [u8], &'a [u8])> + Clone {}

impl<'a, I: Iterator<Item = (&'a [u8], &'a [u8])> + Clone> Headers<'a> for I {}

/// What every decision needs of a request, read in one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// `:authority`; empty if there is none.
    pub authority: &'a [u8],
    /// `:path` with its query.
    pub path: &'a [u8],
    /// `:method`.
    pub method: &'a [u8],
    /// Whether the client sent the header that is the filter's to write.
    pub sent_variant: bool,
}

impl<'a> Request<'a> {
    /// Reads `headers` once.
    pub fn read(headers: impl Headers<'a>) -> Self {
        let mut request = Request::default();
        for (name, value) in headers {
            match name {
                b":authority" => request.authority = value,
                b":path" => request.path = value,
                b":method" => request.method = value,
                _ => request.sent_variant |= name == VARIANT_HEADER.as_bytes(),
            }
        }
        request
    }
}

#[cfg(test)]
mod tests;

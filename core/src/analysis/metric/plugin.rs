//! `provider.plugin`: the one that there is.

use super::{Args, Provider, compare};
use crate::field::Field;

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<Provider> {
    let named = field.object()?;
    for (name, value) in named.iter().filter(|(name, _)| *name != compare::NAME) {
        let other = field.beside(name, value);
        other.refuse(format_args!("is not supported, expected {}", compare::NAME));
    }
    if named.len() > 1 {
        return None;
    }
    let found = field.required(compare::NAME, "the plugin's configuration, such as {}")?;
    found.object()?;
    compare::read(&found, args).map(|compare| Provider::Compare(Box::new(compare)))
}

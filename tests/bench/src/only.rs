//! The names in `BENCH_ONLY` in, what to measure out.

use anyhow::{Result, bail};

use crate::variant::Variant;

/// What to measure: names of variants, or of all that a mesh takes, or of all but that.
pub(crate) struct Only(Vec<String>);

/// All of it, and the variants whose names begin so.
const MESH: &str = "mesh";

/// All other variants.
const FILTER: &str = "filter";

impl Only {
    /// Reads names that commas separate; none means all.
    pub(crate) fn read(names: &str) -> Self {
        let names = names.split(',').filter(|name| !name.is_empty());
        Only(names.map(str::to_string).collect())
    }

    pub(crate) fn has_mesh(&self) -> bool {
        self.0.is_empty() || self.names(MESH)
    }

    pub(crate) fn has(&self, variant: &str) -> bool {
        let part = if variant.starts_with(MESH) {
            MESH
        } else {
            FILTER
        };
        self.0.is_empty() || self.names(variant) || self.names(part)
    }

    fn names(&self, what: &str) -> bool {
        self.0.iter().any(|name| name == what)
    }

    pub(crate) fn check(&self, variants: &[Variant]) -> Result<()> {
        let variants = variants.iter().map(|variant| variant.name);
        let known: Vec<&str> = [MESH, FILTER].into_iter().chain(variants).collect();
        match self.0.iter().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => bail!(
                "BENCH_ONLY names {name:?}, expected some of {}",
                known.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_all_of_its_variants() {
        let measured = |names: &str| {
            let only = Only::read(names);
            (only.has_mesh(), only.has("mesh-1"), only.has("full"))
        };
        assert_eq!(measured(""), (true, true, true));
        assert_eq!(measured("mesh"), (true, true, false));
        assert_eq!(measured("filter"), (false, false, true));
        assert_eq!(measured("mesh-1,twin"), (false, true, false));
    }
}

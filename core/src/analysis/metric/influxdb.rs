//! `provider.influxdb`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::Args;
use crate::analysis::wanted::Wanted;
use crate::field::Field;

/// A query to an InfluxDB server of version 2, or one that speaks its API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InfluxdbQuery {
    /// The Secret that holds [`ADDRESS`], [`TOKEN`] and [`ORGANISATION`].
    pub profile: String,
    /// The query in Flux.
    pub query: String,
}

/// The key of the server's address.
pub const ADDRESS: &str = "address";
/// The key of the API token.
pub const TOKEN: &str = "authToken";
/// The key of the organisation's name.
pub const ORGANISATION: &str = "org";

/// The Secret of metrics that name none.
const DEFAULT_PROFILE: &str = "influxdb";

impl InfluxdbQuery {
    /// What it wants of its profile.
    pub(super) fn secrets(&self) -> BTreeSet<Wanted> {
        let wanted = |key| Wanted::credential(&self.profile, key);
        [
            wanted(ADDRESS).open(),
            wanted(TOKEN),
            wanted(ORGANISATION).open(),
        ]
        .into()
    }
}

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<InfluxdbQuery> {
    field.only(&["profile", "query"]);
    let profile = match field.optional("profile").filter(|f| f.value() != "") {
        Some(written) => args.secret_name(&written)?,
        None => DEFAULT_PROFILE.to_string(),
    };
    let written = field.required("query", "a query in Flux")?;
    let query = written.string()?;
    if query.trim().is_empty() {
        written.expected("a query in Flux");
        return None;
    }
    Some(InfluxdbQuery {
        profile,
        query: query.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::read_by;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_profile_is_influxdb_where_none_is_named() {
        let profile = |value| read_by(value, read).0.unwrap().profile;
        assert_eq!(profile(json!({"query": "q"})), "influxdb");
        assert_eq!(profile(json!({"query": "q", "profile": ""})), "influxdb");
        assert_eq!(profile(json!({"query": "q", "profile": "mine"})), "mine");
    }

    #[test]
    fn a_token_in_the_metric_is_refused() {
        let (_, errors) = read_by(json!({"query": " ", "authToken": "t"}), read);
        assert_eq!(
            errors,
            [
                "p.authToken: is \"t\", expected one of profile, query",
                "p.query: is \" \", expected a query in Flux"
            ]
        );
    }
}

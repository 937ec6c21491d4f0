//! `provider.cloudWatch`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

use super::Args;
use crate::analysis::wanted::Wanted;
use crate::field::Field;

mod query;
mod statistic;

pub use query::{DataQuery, Source};
pub use statistic::{Dimension, Statistic};

/// Queries to Amazon CloudWatch, answered at once, so that expressions may refer to the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudWatchQuery {
    /// How far back the data goes.
    pub interval: Duration,
    /// What is asked; at least one returns data.
    pub queries: Vec<DataQuery>,
    /// The Secret that holds [`ACCESS_KEY`] and [`SECRET_KEY`], and may hold [`SESSION_TOKEN`],
    /// [`REGION`] and [`ADDRESS`]; none: the credentials are the controller's own.
    pub secret: Option<String>,
}

/// The key of the access key's id.
pub const ACCESS_KEY: &str = "accessKeyId";
/// The key of the secret that signs.
pub const SECRET_KEY: &str = "secretAccessKey";
/// The key of the token of temporary credentials.
pub const SESSION_TOKEN: &str = "sessionToken";
/// The key of the region.
pub const REGION: &str = "region";
/// The key of an endpoint that is not the region's own, such as that of a VPC.
pub const ADDRESS: &str = "address";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// CloudWatch takes no more at once.
const MOST_QUERIES: usize = 500;

impl CloudWatchQuery {
    /// What it wants of the Secret that it names.
    pub(super) fn secrets(&self) -> BTreeSet<Wanted> {
        let Some(secret) = &self.secret else {
            return BTreeSet::new();
        };
        let wanted = |key| Wanted::credential(secret, key);
        [
            wanted(ACCESS_KEY),
            wanted(SECRET_KEY),
            wanted(SESSION_TOKEN).optional(),
            wanted(REGION).optional().open(),
            wanted(ADDRESS).optional().open(),
        ]
        .into()
    }
}

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<CloudWatchQuery> {
    field.only(&["interval", "metricDataQueries", "secretRef"]);
    let interval = field.optional("interval").and_then(|written| {
        let interval = args.duration(&written)?;
        if interval.is_zero() {
            written.expected("more than no time");
        }
        Some(interval)
    });
    let secret = field.optional("secretRef").and_then(|written| {
        written.only(&["name"]);
        args.secret_name(&written.required("name", "the name of a Secret")?)
    });
    let written = field.required("metricDataQueries", "a list of queries")?;
    Some(CloudWatchQuery {
        interval: interval.unwrap_or(DEFAULT_INTERVAL),
        queries: queries(&written, args),
        secret,
    })
}

fn queries(field: &Field<'_>, args: Args) -> Vec<DataQuery> {
    let written = field.list();
    if written.len() > MOST_QUERIES {
        let count = written.len();
        field.refuse(format_args!(
            "has {count} queries, expected at most {MOST_QUERIES}"
        ));
        return Vec::new();
    }
    let queries = written.iter().filter_map(|each| query::read(each, args));
    let queries: Vec<DataQuery> = queries.collect();
    let mut seen = BTreeSet::new();
    for (query, each) in queries.iter().zip(&written) {
        if queries.len() == written.len() && !seen.insert(&query.id) && !args.unknown(&query.id) {
            each.refuse(format_args!(
                "has id {:?}, expected one that no other query has",
                query.id
            ));
        }
    }
    let quiet = queries.iter().all(|query| !query.return_data);
    if field.value().is_array() && quiet && queries.len() == written.len() {
        field.refuse("returns no data, expected a query without returnData: false");
    }
    queries
}

#[cfg(test)]
mod tests;

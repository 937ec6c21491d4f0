//! `provider.newRelic`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

use super::{Args, request};
use crate::analysis::{SecretKey, Wanted};
use crate::field::Field;

/// A query to New Relic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRelicQuery {
    /// The query in NRQL.
    pub query: String,
    /// How long New Relic may take for it.
    pub timeout: Duration,
    /// The Secret with the account, its key and where to ask.
    pub profile: String,
}

const DEFAULT_PROFILE: &str = "newrelic";
const DEFAULT_TIMEOUT_SECONDS: u64 = 5;

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<NewRelicQuery> {
    field.only(&["profile", "query", "timeout"]);
    let profile = match field.optional("profile").filter(|f| f.value() != "") {
        Some(profile) => args.secret_name(&profile)?,
        None => DEFAULT_PROFILE.to_string(),
    };
    Some(NewRelicQuery {
        timeout: request::seconds(field, "timeout", DEFAULT_TIMEOUT_SECONDS),
        profile,
        query: field.required("query", "a query")?.name()?.to_string(),
    })
}

impl NewRelicQuery {
    /// Where the user's key is.
    pub fn api_key(&self) -> SecretKey {
        self.entry("personal-api-key")
    }

    /// Where the account's number is.
    pub fn account(&self) -> SecretKey {
        self.entry("account-id")
    }

    /// Where the region is, if it is not us.
    pub fn region(&self) -> SecretKey {
        self.entry("region")
    }

    /// Where the URL of NerdGraph is, if it is not the region's.
    pub fn nerdgraph(&self) -> SecretKey {
        self.entry("base-url-nerdgraph")
    }

    /// What it wants of its Secret.
    pub fn secrets(&self) -> BTreeSet<Wanted> {
        [
            Wanted::from(&self.api_key()),
            Wanted::from(&self.account()).open(),
            Wanted::from(&self.region()).optional().open(),
            Wanted::from(&self.nerdgraph()).optional().open(),
        ]
        .into()
    }

    fn entry(&self, key: &str) -> SecretKey {
        SecretKey {
            name: self.profile.clone(),
            key: key.to_string(),
        }
    }
}

//! Who asks AWS, where, and with which key: Secrets or the controller's environment in.

use serin_core::analysis::metric::cloud_watch::{
    ACCESS_KEY, ADDRESS, REGION, SECRET_KEY, SESSION_TOKEN,
};
use serin_core::analysis::{SecretKey, Secrets};
use std::fmt;

use super::environment::Environment;
use crate::provider;

/// An access key.
#[derive(Clone, PartialEq)]
pub(super) struct Credentials {
    /// Its id.
    pub(super) access_key: String,
    /// What signs.
    pub(super) secret_key: String,
    /// The token of one that is temporary.
    pub(super) session_token: Option<String>,
}

/// Secrets stay out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// What is never told: these beside all else. AWS repeats key and token to who signs wrongly.
    pub(super) fn hidden(&self, others: &Secrets) -> Secrets {
        let own = |key: &str| SecretKey {
            name: String::new(),
            key: key.to_string(),
        };
        let mut hidden = others.clone();
        hidden.insert(own(ACCESS_KEY), self.access_key.clone());
        hidden.insert(own(SECRET_KEY), self.secret_key.clone());
        if let Some(token) = &self.session_token {
            hidden.insert(own(SESSION_TOKEN), token.clone());
        }
        hidden
    }
}

/// Whom to ask in which region.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// The region.
    pub(super) region: String,
    /// An endpoint that is not the region's own.
    pub(super) address: Option<String>,
}

impl Place {
    /// What the Secret `name` says. The region may be the controller's own, but not the address: a
    /// Secret's key is sent where its Secret says, or to AWS.
    pub(super) fn of_secret(
        name: &str,
        secrets: &Secrets,
        environment: &Environment,
    ) -> Result<Place, String> {
        let own = || environment.region.clone();
        let region = entry(name, REGION, secrets).or_else(own).ok_or_else(|| {
            format!(
                "no region (give key {REGION} to Secret {name}, or AWS_REGION to the controller)"
            )
        })?;
        let address = entry(name, ADDRESS, secrets);
        Ok(Place { region, address })
    }

    /// What the controller's environment says.
    pub(super) fn of_environment(environment: &Environment) -> Result<Place, String> {
        let region = environment.region.clone().ok_or_else(|| {
            format!(
                "no region (give AWS_REGION to the controller, or name a Secret with {REGION} in \
                 provider.cloudWatch.secretRef)"
            )
        })?;
        let address = environment.address.clone();
        Ok(Place { region, address })
    }
}

/// The access key in the Secret `name`.
pub(super) fn of_secret(name: &str, secrets: &Secrets) -> Result<Credentials, String> {
    let required = |key: &str| {
        let found = entry(name, key, secrets);
        found.ok_or_else(|| format!("key {key} of Secret {name} is missing or empty"))
    };
    Ok(Credentials {
        access_key: required(ACCESS_KEY)?,
        secret_key: required(SECRET_KEY)?,
        session_token: entry(name, SESSION_TOKEN, secrets),
    })
}

fn entry(name: &str, key: &str, secrets: &Secrets) -> Option<String> {
    let key = SecretKey {
        name: name.to_string(),
        key: key.to_string(),
    };
    provider::entry(secrets, &key).map(str::to_string)
}

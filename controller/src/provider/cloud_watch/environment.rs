//! What the controller's environment says of AWS, by the names that AWS' own tools read.

use std::fmt;
use std::path::PathBuf;

use super::credentials::Credentials;

/// The controller's own access to AWS.
#[derive(Clone, Default, PartialEq)]
pub struct Environment {
    pub(super) region: Option<String>,
    /// The endpoint of CloudWatch, where it is not the region's own.
    pub(super) address: Option<String>,
    pub(super) identity: Identity,
}

/// What the controller is to AWS.
#[derive(Clone, Default, PartialEq)]
pub(super) enum Identity {
    /// Nobody.
    #[default]
    Nobody,
    /// Who holds this key.
    Key(Credentials),
    /// Who may take a role.
    Role(Role),
}

/// A role that a service account may take (IAM roles for service accounts).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Role {
    /// The role's name.
    pub(super) arn: String,
    /// Where the service account's token is; it is changed from time to time.
    pub(super) token_file: PathBuf,
    /// What the session is called.
    pub(super) session: String,
    /// The endpoint of STS, where it is not the region's own.
    pub(super) address: Option<String>,
}

const DEFAULT_SESSION: &str = "serin";

impl Environment {
    /// Reads the environment by `variable`. Keys go before roles, as in AWS' own tools.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Environment {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let either = |name, other| text(name).or_else(|| text(other));
        let key = || {
            Some(Identity::Key(Credentials {
                access_key: text("AWS_ACCESS_KEY_ID")?,
                secret_key: text("AWS_SECRET_ACCESS_KEY")?,
                session_token: text("AWS_SESSION_TOKEN"),
            }))
        };
        let role = || {
            let session = text("AWS_ROLE_SESSION_NAME");
            Some(Identity::Role(Role {
                arn: text("AWS_ROLE_ARN")?,
                token_file: text("AWS_WEB_IDENTITY_TOKEN_FILE")?.into(),
                session: session.unwrap_or_else(|| DEFAULT_SESSION.to_string()),
                address: either("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"),
            }))
        };
        Environment {
            region: either("AWS_REGION", "AWS_DEFAULT_REGION"),
            address: either("AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_ENDPOINT_URL"),
            identity: key().or_else(role).unwrap_or_default(),
        }
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Environment {
        Environment::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn a_key_goes_before_a_role() {
        let role = [
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ];
        let Identity::Role(found) = read(&role).identity else {
            panic!("a role");
        };
        assert_eq!(found.session, "serin");
        let key = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "k")];
        let both = read(&[role, key].concat());
        assert!(matches!(both.identity, Identity::Key(_)));
        assert!(!format!("{both:?}").contains("id"), "{both:?}");
    }

    #[test]
    fn an_empty_variable_is_none() {
        let found = read(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-1")]);
        assert_eq!(found.region.as_deref(), Some("eu-west-1"));
        assert!(matches!(found.identity, Identity::Nobody));
    }
}

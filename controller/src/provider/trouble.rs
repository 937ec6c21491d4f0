//! Why a server could not be asked: errors of the HTTP client in, messages without secrets out.

use std::error::Error;
use std::io;

use reqwest::Url;

use super::exchange::Server;

/// The innermost cause, since the outer ones repeat the URL, with what to look at.
pub(super) fn of(server: &Server, error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    let mut tls = None;
    loop {
        tls = tls.or_else(|| as_tls(cause));
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    let insecure = |takes: &str| match server.insecure {
        Some(field) => format!(" {field}: true {takes}"),
        None => String::new(),
    };
    let hint = match tls {
        Some(rustls::Error::InvalidCertificate(_)) => format!(
            " (is it for this host, and signed by a root certificate of this machine?{})",
            insecure("takes any")
        ),
        Some(rustls::Error::General(_)) => format!(
            " (are root certificates installed?{})",
            insecure("needs none")
        ),
        Some(_) => " (does this port speak https?)".to_string(),
        None if error.is_connect() => {
            let name = server.name;
            format!(" (is {name} running, and the address right?)")
        }
        None => String::new(),
    };
    format!("{cause}{hint}")
}

/// An I/O error shows the text of what it wraps, but does not name it as its source.
fn as_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = || as_tls(error.downcast_ref::<io::Error>()?.get_ref()?);
    error.downcast_ref().or_else(wrapped)
}

/// An address with user name and password left out. Where it is no URL, all before the last `@` may
/// be a password.
pub(super) fn without_secrets(address: &str) -> String {
    if Url::parse(address).is_ok_and(|url| url.username().is_empty() && url.password().is_none()) {
        return address.to_string();
    }
    match address.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, place)) => format!("{scheme}://*****@{place}"),
            None => address.to_string(),
        },
        None => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password_only() {
        for (address, shown) in [
            ("http://h/?to=a@b", "http://h/?to=a@b"),
            ("http://me:hunter2@h/?to=a", "http://*****@h/?to=a"),
            ("http://:hunter2@h", "http://*****@h"),
            ("http://me:hunter/2@h", "http://*****@h"),
            ("h", "h"),
        ] {
            assert_eq!(without_secrets(address), shown);
        }
    }
}

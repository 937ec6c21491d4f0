//! Why Prometheus could not be asked: errors of the HTTP client in, messages without secrets out.

use std::error::Error;
use std::io;

/// The innermost cause, since the outer ones repeat the URL, with what to look at.
pub(super) fn of(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    let mut tls = None;
    loop {
        tls = tls.or_else(|| as_tls(cause));
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    let hint = match tls {
        Some(rustls::Error::InvalidCertificate(_)) => {
            " (is it for this host, and signed by a root certificate of this machine? \
             provider.prometheus.insecure: true takes any)"
        }
        Some(rustls::Error::General(_)) => {
            " (are root certificates installed? provider.prometheus.insecure: true needs none)"
        }
        Some(_) => " (does this port speak https?)",
        None if error.is_connect() => " (is Prometheus running, and the address right?)",
        None => "",
    };
    format!("{cause}{hint}")
}

/// An I/O error shows the text of what it wraps, but does not name it as its source.
fn as_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = || as_tls(error.downcast_ref::<io::Error>()?.get_ref()?);
    error.downcast_ref().or_else(wrapped)
}

/// An address with user name and password left out.
pub(super) fn without_secrets(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, place)) => format!("{scheme}://*****@{place}"),
            None => address.to_string(),
        },
        None => address.to_string(),
    }
}

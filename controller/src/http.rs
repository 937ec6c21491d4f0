//! HTTP clients, by whom they trust. All are built here: a client as reqwest makes it by default
//! wants a provider of cryptography, and cannot be made on a machine without root certificates.

use reqwest::{Client, ClientBuilder};

/// For http only: it trusts nobody, so it reads no root certificates and needs none.
pub fn plain() -> ClientBuilder {
    builder().tls_certs_only([])
}

/// For https: it trusts whom this machine trusts. Building it reads the machine's root
/// certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, and fails if there are none.
pub fn verified() -> ClientBuilder {
    builder()
}

/// For https: it trusts everybody.
pub fn insecure() -> ClientBuilder {
    builder().tls_danger_accept_invalid_certs(true)
}

/// Has this process do cryptography with ring, clients that are made elsewhere too.
pub fn use_ring() {
    // An error says that the process has a provider already, and that one does.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn builder() -> ClientBuilder {
    use_ring();
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    Client::builder()
}

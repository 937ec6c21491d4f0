//! Over https, with a server whose certificate nobody knows.

use super::*;
use axum::response::Redirect;
use axum::serve::Listener;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::process::Command;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const ANSWER: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"10"]}}"#;

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (tcp, from) = self.tcp.accept().await.unwrap();
            // A client that does not take the certificate hangs up; the next one may.
            if let Ok(stream) = self.acceptor.accept(tcp).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves `router` with a certificate for 127.0.0.1 that it signed itself: the address, and the
/// certificate as PEM.
async fn serve_tls(router: Router) -> (String, String) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", tcp.local_addr().unwrap());
    let signing_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_string()]).unwrap();
    // Two certificates of one name would be taken for one with a wrong signature.
    params
        .distinguished_name
        .push(DnType::CommonName, address.as_str());
    let cert = params.self_signed(&signing_key).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move { axum::serve(Tls { tcp, acceptor }, router).await });
    (address, cert.pem())
}

async fn asked(query: &PrometheusQuery) -> Result<String, String> {
    super::asked(query).await.map(|outcome| outcome.shown)
}

/// The same in a process of its own, where these are all the machine's root certificates.
async fn asked_with_roots(address: &str, roots: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), roots).unwrap();
    let mut asking = Command::new(std::env::current_exe().unwrap());
    asking
        .args(["provider::prometheus::tests::tls::ask_the_address"])
        .args(["--exact", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", file.path())
        .env_remove("SSL_CERT_DIR")
        .env("ADDRESS", address);
    let output = tokio::task::spawn_blocking(move || asking.output());
    String::from_utf8(output.await.unwrap().unwrap().stdout).unwrap()
}

#[tokio::test]
#[ignore = "run by asked_with_roots, with an environment of its own"]
async fn ask_the_address() {
    let query = query(&std::env::var("ADDRESS").unwrap());
    println!("asked: {:?}", asked(&query).await);
}

#[tokio::test]
async fn an_unknown_certificate_is_an_error_and_insecure_takes_it() {
    let (address, _) = serve_tls(Router::new().fallback(any(|| async { ANSWER }))).await;
    let (_, other) = serve_tls(Router::new()).await;
    let why = asked_with_roots(&address, &other).await;
    assert!(
        why.contains("invalid peer certificate: UnknownIssuer (is it for this host, and signed by"),
        "{why}"
    );
    let mut query = query(&address);
    query.insecure = true;
    assert_eq!(asked(&query).await, Ok("10".to_string()));
}

#[tokio::test]
async fn a_certificate_by_a_root_of_the_machine_is_taken() {
    let (address, root) = serve_tls(Router::new().fallback(any(|| async { ANSWER }))).await;
    let found = asked_with_roots(&address, &root).await;
    assert!(found.contains(r#"asked: Ok("10")"#), "{found}");
    let elsewhere = asked_with_roots(&address.replace("127.0.0.1", "localhost"), &root).await;
    assert!(elsewhere.contains("not valid for name"), "{elsewhere}");
}

#[tokio::test]
async fn without_root_certificates_https_says_so_and_http_works() {
    let (address, _) = serve_tls(Router::new()).await;
    let why = asked_with_roots(&address, "").await;
    assert!(why.contains("(are root certificates installed?"), "{why}");
    let address = serve(Router::new().fallback(any(|| async { ANSWER }))).await;
    let found = asked_with_roots(&address, "").await;
    assert!(found.contains(r#"asked: Ok("10")"#), "{found}");
}

#[tokio::test]
async fn a_server_without_tls_and_a_redirect_to_it_are_named() {
    let plain = serve(Router::new()).await;
    let mut query = query(&plain.replace("http:", "https:"));
    query.insecure = true;
    let why = asked(&query).await.unwrap_err();
    assert!(why.ends_with("(does this port speak https?)"), "{why}");

    let (address, _) = serve_tls(Router::new().fallback(any(|| async { ANSWER }))).await;
    let redirect = any(move || async move { Redirect::temporary(&format!("{address}/x")) });
    query.address = Some(serve(Router::new().fallback(redirect)).await);
    assert_eq!(asked(&query).await, Ok("10".to_string()));
    query.insecure = false;
    let why = asked(&query).await.unwrap_err();
    assert!(
        why.ends_with("it redirects to https (give that address)"),
        "{why}"
    );
}

#[tokio::test]
async fn no_message_has_a_secret_of_the_query() {
    let (address, _) = serve_tls(Router::new()).await;
    let mut query = query(&address.replace("://", "://me:hidden-1@"));
    query.authentication = Some(Authentication::Basic(BasicAuth {
        username: "me".into(),
        password: "hidden-2".into(),
    }));
    query.headers = vec![Header {
        key: "Authorization".into(),
        value: "Bearer hidden-3\n".into(),
    }];
    for insecure in [false, true] {
        query.insecure = insecure;
        let why = asked(&query).await.unwrap_err();
        assert!(why.contains("://*****@127.0.0.1:"), "{why}");
        assert!(!why.contains("hidden"), "{why}");
    }
}

//! AWS' Signature Version 4 of a POST to the path `/`: a request in, the headers that sign it out.

use hmac::{Hmac, Mac};
use serin_core::time::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt::Write;

use super::credentials::Credentials;

/// What is signed, and for which service.
pub(super) struct Request<'a> {
    /// The host as the header `host` has it, with a port that is not the scheme's own.
    pub(super) host: &'a str,
    /// Headers that are signed, by their names in small letters.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub(super) body: &'a [u8],
    /// The region that is asked.
    pub(super) region: &'a str,
    /// The service's name in signatures, such as `monitoring`.
    pub(super) service: &'a str,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The headers to send beside `host` and those of the request.
pub(super) fn sign(
    request: &Request<'_>,
    credentials: &Credentials,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let time = time(now);
    let day = time.get(..8).unwrap_or_default();
    let mut added = vec![("x-amz-date", time.clone())];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token", token.clone()));
    }

    let mut headers = vec![("host", request.host)];
    headers.extend(request.headers);
    headers.extend(added.iter().map(|(name, value)| (*name, value.as_str())));
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");

    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let canonical = hash(canonical(&headers, &names, request.body).as_bytes());
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{canonical}");
    let signature = hex(&mac(&key(request, credentials, day), &text));
    let id = &credentials.access_key;
    let authorization = format!(
        "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    added.push(("authorization", authorization));
    added
}

/// The request in the one form that both sides hash.
fn canonical(headers: &[(&str, &str)], names: &str, body: &[u8]) -> String {
    let mut text = "POST\n/\n\n".to_string();
    for (name, value) in headers {
        text.extend([name, ":", value.trim(), "\n"]);
    }
    text.extend(["\n", names, "\n", &hash(body)]);
    text
}

/// The key of one day, region and service.
fn key(request: &Request<'_>, credentials: &Credentials, day: &str) -> Vec<u8> {
    let secret = format!("AWS4{}", credentials.secret_key);
    [day, request.region, request.service, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn time(now: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 August 2015, 12:36, as in all of AWS' test vectors.
    const NOW: Timestamp = Timestamp(1_440_938_160_000);
    const SCOPE: &str = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";

    fn credentials(session_token: Option<&str>) -> Credentials {
        Credentials {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: session_token.map(Into::into),
        }
    }

    fn check(headers: &[(&str, &str)], body: &str, token: Option<&str>, expected: &str) {
        let request = Request {
            host: "example.amazonaws.com",
            headers,
            body: body.as_bytes(),
            region: "us-east-1",
            service: "service",
        };
        let signed = sign(&request, &credentials(token), NOW);
        assert_eq!(signed[0], ("x-amz-date", "20150830T123600Z".into()));
        let expected = format!("{ALGORITHM} Credential={SCOPE}, {expected}");
        assert_eq!(signed.last(), Some(&("authorization", expected)));
    }

    #[test]
    fn aws_vector_post_vanilla() {
        let expected = "SignedHeaders=host;x-amz-date, \
            Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        check(&[], "", None, expected);
    }

    #[test]
    fn aws_vector_post_header_value_case() {
        let expected = "SignedHeaders=host;my-header1;x-amz-date, \
            Signature=cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d";
        check(&[("my-header1", "VALUE1")], "", None, expected);
    }

    #[test]
    fn aws_vector_post_x_www_form_urlencoded() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let expected = "SignedHeaders=content-type;host;x-amz-date, \
            Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        check(&form, "Param1=value1", None, expected);
    }

    #[test]
    fn aws_vector_post_sts_header_before() {
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuF\
            qwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZ\
            ampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD\
            0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let expected = "SignedHeaders=host;x-amz-date;x-amz-security-token, \
            Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        check(&[], "", Some(token), expected);
    }

    #[test]
    fn the_canonical_request_is_that_of_the_vector() {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let text = canonical(&headers, "content-type;host;x-amz-date", b"Param1=value1");
        assert_eq!(
            text,
            "POST\n/\n\ncontent-type:application/x-www-form-urlencoded\n\
             host:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\n\
             content-type;host;x-amz-date\n\
             9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
        );
        assert_eq!(
            hash(text.as_bytes()),
            "42a5e5bb34198acb3e84da4f085bb7927f2bc277ca766e6d19c73c2154021281"
        );
    }
}

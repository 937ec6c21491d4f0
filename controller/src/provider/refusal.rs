//! What a server says where it refuses: an answer in, its body or one line out.

use serde_json::Value;
use serin_core::analysis::Secrets;

use super::exchange::Answer;
use super::hide::cut_out;

/// The body, if the status is a good one.
///
/// # Errors
/// The status, and the message in the body, be it JSON, XML, a page or plain text.
pub(super) fn good<'a>(answer: &'a Answer, hidden: &Secrets) -> Result<&'a [u8], String> {
    if answer.status.is_success() {
        return Ok(&answer.body);
    }
    match message(&answer.body) {
        // A page that redirects says nothing else.
        Some(message) if !answer.status.is_redirection() => {
            let status = answer.status;
            let message = answer.without_credential(&cut_out(&message, hidden));
            Err(format!("status {status}: {}", cut(&message)))
        }
        _ => answer.good(hidden),
    }
}

/// AWS tells who signs wrongly all that it would have signed.
fn cut(message: &str) -> String {
    const LONGEST: usize = 400;
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_string(),
    }
}

/// The message in a body, without what surrounds it.
fn message(body: &[u8]) -> Option<String> {
    let json = || json_message(&serde_json::from_slice(body).ok()?);
    let markup = || markup_message(std::str::from_utf8(body).ok()?);
    let message = json().or_else(markup)?;
    Some(message.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A code and a message under the names that InfluxDB and AWS give them.
fn json_message(body: &Value) -> Option<String> {
    let text = |name: &str| body.get(name)?.as_str().filter(|text| !text.is_empty());
    // AWS writes a namespace before the code.
    let kind = text("__type").map(|kind| kind.rsplit_once('#').map_or(kind, |(_, code)| code));
    let code = kind.or_else(|| text("code"));
    let message = ["message", "Message", "error"].into_iter().find_map(text);
    match (code, message) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (one, other) => one.or(other).map(str::to_string),
    }
}

/// Code and message of AWS' XML, or a page's title.
fn markup_message(body: &str) -> Option<String> {
    if let Ok(document) = roxmltree::Document::parse(body) {
        let text = |name: &str| element(&document, name);
        if let (Some(code), Some(message)) = (text("Code"), text("Message")) {
            return Some(format!("{code}: {message}"));
        }
    }
    // Pages are seldom well formed.
    let lower = body.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower.get(start..)?.find("</title>")?;
    body.get(start..end).map(str::to_string)
}

/// The text of the first element of this name, whatever its namespace.
pub(super) fn element(document: &roxmltree::Document<'_>, name: &str) -> Option<String> {
    let mut all = document.descendants();
    let found = all.find(|node| node.tag_name().name() == name)?;
    found.text().map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_found_in_every_kind_of_body() {
        let bodies = [
            ("no access", None),
            (
                r#"{"code":"unauthorized","message":"unauthorized access"}"#,
                Some("unauthorized: unauthorized access"),
            ),
            (
                r#"{"__type":"com.amazon.coral.service#AccessDenied","Message":"no"}"#,
                Some("AccessDenied: no"),
            ),
            (
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                 <Type>Sender</Type><Code>ExpiredToken</Code><Message>old</Message></Error>\
                 </ErrorResponse>",
                Some("ExpiredToken: old"),
            ),
            (
                "<HTML><head><Title>403\nForbidden</title><p>",
                Some("403 Forbidden"),
            ),
        ];
        for (body, line) in bodies {
            assert_eq!(message(body.as_bytes()).as_deref(), line);
        }
    }
}

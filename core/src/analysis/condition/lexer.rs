//! From text to tokens.

/// A token and the byte it begins at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Integer(i64),
    Float(f64),
    Text(String),
    /// A name, or a word such as `and`.
    Word(String),
    /// `#`, `#index` or `#acc`, without the `#`.
    Pointer(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longest first, so that the first that fits is the right one.
const SIGNS: [&str; 35] = [
    "**", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "..", "(", ")", "[", "]", "{", "}", ",",
    ":", ";", "?", ".", "+", "-", "*", "/", "%", "^", "!", "<", ">", "|", "=", "@", "$", "&",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = skip_blank(rest)?;
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let at = text.len() - rest.len();
        let (kind, tail) = token(first, rest).map_err(|why| format!("{why} at byte {at}"))?;
        tokens.push(Token { kind, at });
        rest = tail;
    }
}

/// Skips white space and comments.
fn skip_blank(text: &str) -> Result<&str, String> {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment
                .split_once('\n')
                .map_or("", |(_, tail)| tail)
                .trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let (_, tail) = comment.split_once("*/").ok_or("a comment does not end")?;
            rest = tail.trim_start();
        } else {
            return Ok(rest);
        }
    }
}

fn token(first: char, rest: &str) -> Result<(TokenKind, &str), String> {
    let after_dot = rest
        .strip_prefix('.')
        .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
    match first {
        '0'..='9' => number(rest),
        '.' if after_dot => number(rest),
        '\'' | '"' | '`' => quoted(first, rest),
        '#' => {
            let (name, tail) = word(rest.get(1..).unwrap_or_default());
            Ok((TokenKind::Pointer(name.to_string()), tail))
        }
        c if c.is_alphabetic() || c == '_' || c == '$' => {
            let (name, tail) = word(rest);
            Ok((TokenKind::Word(name.to_string()), tail))
        }
        _ => {
            let sign = SIGNS
                .iter()
                .find_map(|sign| Some((*sign, rest.strip_prefix(sign)?)));
            let (sign, tail) = sign.ok_or_else(|| format!("unexpected {first:?}"))?;
            Ok((TokenKind::Sign(sign), tail))
        }
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

fn number(text: &str) -> Result<(TokenKind, &str), String> {
    let radix = match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    let end = if radix == 10 {
        decimal_end(text)
    } else {
        word(text).0.len()
    };
    let (written, tail) = text.split_at_checked(end).unwrap_or((text, ""));
    if tail.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(format!("bad number {written:?}"));
    }
    let digits = written.replace('_', "");
    let bad = |_| format!("bad number {written:?}");
    if radix != 10 {
        let value = i64::from_str_radix(digits.get(2..).unwrap_or_default(), radix);
        return value
            .map(|value| (TokenKind::Integer(value), tail))
            .map_err(|_| bad(()));
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return digits
            .parse()
            .map(|n| (TokenKind::Integer(n), tail))
            .map_err(|_| bad(()));
    }
    let value: f64 = digits.parse().map_err(|_| bad(()))?;
    if value.is_finite() {
        Ok((TokenKind::Float(value), tail))
    } else {
        Err(bad(()))
    }
}

/// Where a decimal number ends: digits, a point that is no range, digits, an exponent.
fn decimal_end(text: &str) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'_')
            .count()
    };
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let mut end = digits(0);
    if byte(end) == Some(b'.') && byte(end + 1) != Some(b'.') {
        end = digits(end + 1);
    }
    if matches!(byte(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(byte(end + 1), Some(b'+' | b'-')));
        if byte(end + 1 + sign).is_some_and(|b| b.is_ascii_digit()) {
            end = digits(end + 1 + sign);
        }
    }
    end
}

fn quoted(quote: char, text: &str) -> Result<(TokenKind, &str), String> {
    let body = text.get(1..).unwrap_or_default();
    let unended = || "a string does not end".to_string();
    if quote == '`' {
        let (raw, tail) = body.split_once('`').ok_or_else(unended)?;
        return Ok((TokenKind::Text(raw.to_string()), tail));
    }
    let mut read = String::new();
    let mut chars = body.chars();
    loop {
        match chars.next().ok_or_else(unended)? {
            c if c == quote => return Ok((TokenKind::Text(read), chars.as_str())),
            '\n' => return Err(unended()),
            '\\' => read.push(escaped(&mut chars)?),
            c => read.push(c),
        }
    }
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let code = |length: usize, chars: &mut std::str::Chars<'_>| {
        let digits: String = chars.by_ref().take(length).collect();
        let code = u32::from_str_radix(&digits, 16)
            .ok()
            .filter(|_| digits.len() == length);
        code.and_then(char::from_u32)
            .ok_or_else(|| format!("bad escape {digits:?}"))
    };
    match chars.next() {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('a') => Ok('\u{7}'),
        Some('b') => Ok('\u{8}'),
        Some('f') => Ok('\u{c}'),
        Some('v') => Ok('\u{b}'),
        Some(c @ ('\\' | '\'' | '"' | '/')) => Ok(c),
        Some('x') => code(2, chars),
        Some('u') => code(4, chars),
        Some('U') => code(8, chars),
        other => Err(format!(
            "bad escape {:?}",
            other.map(String::from).unwrap_or_default()
        )),
    }
}

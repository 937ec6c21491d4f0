//! PromQL's tokens, as far as a query's shape depends on them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'q> {
    Word(&'q str),
    /// A number, or a text.
    Number,
    /// `{{args.x}}`
    Argument,
    /// `{...}`
    Selector,
    /// `[...]`
    Range,
    Open,
    Close,
    Comma,
    Comparison,
    Operator(char),
}

/// Words that mean the same in capitals, which names of functions and metrics do not.
const KEYWORDS: [&str; 11] = [
    "or",
    "and",
    "unless",
    "bool",
    "offset",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "by",
    "without",
];

pub(super) fn tokens(query: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = token(first, rest);
        found.extend(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    found
}

/// The token that begins `text`, if it is one, and its length.
fn token(first: char, text: &str) -> (Option<Token<'_>>, usize) {
    let while_is = |is: fn(char) -> bool| text.find(|c| !is(c)).unwrap_or(text.len());
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    match first {
        '#' => (None, text.find('\n').unwrap_or(text.len())),
        '"' | '\'' | '`' => (Some(Token::Number), quoted(first, text)),
        '{' if text.starts_with("{{") && !text.starts_with("{{{") => {
            (Some(Token::Argument), through(text, "}}"))
        }
        '{' => (Some(Token::Selector), selector(text)),
        '[' => (Some(Token::Range), through(text, "]")),
        '(' => (Some(Token::Open), 1),
        ')' => (Some(Token::Close), 1),
        ',' => (Some(Token::Comma), 1),
        '=' | '!' | '<' | '>' => {
            let length = while_is(|c| matches!(c, '=' | '!' | '<' | '>' | '~'));
            (Some(Token::Comparison), length)
        }
        '0'..='9' | '.' => (Some(Token::Number), while_is(number)),
        _ if word(first) => {
            let length = while_is(word);
            let word = text.get(..length).unwrap_or_default();
            let keyword = KEYWORDS
                .into_iter()
                .find(|one| one.eq_ignore_ascii_case(word));
            let word = keyword.unwrap_or(word);
            (Some(Token::Word(word)), length)
        }
        other => (Some(Token::Operator(other)), other.len_utf8()),
    }
}

/// The length up to and with `end`, or of all.
fn through(text: &str, end: &str) -> usize {
    text.find(end).map_or(text.len(), |at| at + end.len())
}

/// The length of the text in quotes that begins here.
fn quoted(quote: char, text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of the selector that begins here; arguments may stand in it.
fn selector(text: &str) -> usize {
    let mut at = 1;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let next = rest.chars().next().unwrap_or_default();
        at += match next {
            '}' => return at + 1,
            '"' | '\'' | '`' => quoted(next, rest),
            '{' if rest.starts_with("{{") => through(rest, "}}"),
            other => other.len_utf8(),
        };
    }
    text.len()
}

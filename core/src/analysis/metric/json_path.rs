//! JSONPath as kubectl writes it: `{$.a.b}` in, the first value that it finds out. It is put into the
//! form of RFC 9535, in which a crate reads and follows it.

use serde_json::Value;
use serde_json_path::JsonPath as Standard;

/// A path into a document.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Standard);

/// Longer than any path written by hand.
const LONGEST: usize = 1024;
/// How deep brackets may nest: the crate reads them by recursion.
const DEEPEST: usize = 16;
/// Each descent and each further choice in brackets may multiply what the crate gathers before the
/// first of it is taken: with more of them a small answer could fill the memory.
const MOST_DESCENTS: usize = 2;
const MOST_CHOICES: usize = 4;

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        if text.len() > LONGEST {
            let length = text.len();
            return Err(format!(
                "is {length} bytes long, at most {LONGEST} are read"
            ));
        }
        let standard = standard(braced(text)?)?;
        let path = Standard::parse(&standard).map_err(|why| why.to_string())?;
        Ok(JsonPath(path))
    }

    /// The first value that it finds in `document`.
    pub fn first<'d>(&self, document: &'d Value) -> Option<&'d Value> {
        self.0.query(document).first()
    }
}

/// What stands in the one pair of braces, or the text itself without any.
fn braced(text: &str) -> Result<&str, String> {
    let text = first_braces(text.trim());
    let inside = match (text.strip_prefix('{'), text.strip_suffix('}')) {
        (None, None) => text,
        (Some(rest), Some(_)) => rest.strip_suffix('}').unwrap_or(rest),
        _ => return Err("a brace is not closed, or text stands beside it".to_string()),
    };
    let inside = inside.trim();
    let word = |word| inside == word || inside.starts_with(&format!("{word} "));
    if word("range") || word("end") {
        return Err("range and end make text, one value is wanted".to_string());
    }
    Ok(inside)
}

/// The first of several pairs of braces, whose result Argo Rollouts takes.
fn first_braces(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '}') => {
                let (first, rest) = text.split_at(at + 1);
                let are_braces = rest.starts_with('{') && rest.ends_with('}');
                return if are_braces { first } else { text };
            }
            (None, _) => {}
        }
    }
    text
}

/// The same path in the form of RFC 9535: it begins at `$`, and a name that is more than letters,
/// digits and `_` stands in brackets.
fn standard(path: &str) -> Result<String, String> {
    let rest = path.strip_prefix(['$', '@']).unwrap_or(path);
    let mut standard = String::from("$");
    if !rest.is_empty() && !rest.starts_with(['.', '[']) {
        standard.push('.');
    }
    let mut reading = Reading {
        standard,
        ..Reading::default()
    };
    let mut chars = rest.chars().peekable();
    // A path may begin with a name.
    if reading.standard.ends_with('.') {
        reading.name(&mut chars);
    }
    while let Some(c) = chars.next() {
        reading.take(c)?;
        if c == '.' && reading.quote.is_none() && !reading.in_number {
            if chars.next_if_eq(&'.').is_some() {
                reading.descend()?;
            }
            reading.name(&mut chars);
        }
    }
    if reading.quote.is_some() || reading.depth > 0 {
        return Err("a quote or bracket is not closed".to_string());
    }
    Ok(reading.standard)
}

#[derive(Default)]
struct Reading {
    standard: String,
    quote: Option<char>,
    escaped: bool,
    depth: usize,
    choices: usize,
    descents: usize,
    /// Whether a number of a filter has just been read, be it up to its point.
    in_number: bool,
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

impl Reading {
    /// Takes a character as it is, and knows where it stands.
    fn take(&mut self, c: char) -> Result<(), String> {
        self.standard.push(c);
        // Digits of names are not taken one by one.
        let goes_on = c == '.' && self.in_number;
        self.in_number = self.depth > 0 && (c.is_ascii_digit() || goes_on);
        match (self.quote, c) {
            (Some(_), _) if self.escaped => self.escaped = false,
            (Some(_), '\\') => self.escaped = true,
            (Some(quote), c) if c == quote => self.quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => self.quote = Some(c),
            (None, '[' | '(') => self.depth += 1,
            (None, ']' | ')') => self.depth = self.depth.saturating_sub(1),
            (None, ',') => self.choices += 1,
            (None, '{' | '}') => return Err("more than one pair of braces".to_string()),
            (None, _) => {}
        }
        if self.depth > DEEPEST {
            return Err(format!("brackets nest deeper than {DEEPEST}"));
        }
        if self.choices > MOST_CHOICES {
            return Err(format!("more than {MOST_CHOICES} commas"));
        }
        Ok(())
    }

    fn descend(&mut self) -> Result<(), String> {
        self.standard.push('.');
        self.descents += 1;
        if self.descents > MOST_DESCENTS {
            return Err(format!("more than {MOST_DESCENTS} descents by \"..\""));
        }
        Ok(())
    }

    /// A name after a dot. `\.` is a dot in it. It ends as in kubectl, in brackets also where an
    /// operator may begin.
    fn name(&mut self, chars: &mut Chars<'_>) {
        let mut name = String::new();
        loop {
            let in_brackets = self.depth > 0;
            let letter = |c: &char| match in_brackets {
                true => c.is_alphanumeric() || ['_', '-', '/', '\\'].contains(c),
                false => !c.is_whitespace() && !".,[]$@{}".contains(*c),
            };
            match chars.next_if(letter) {
                Some('\\') => name.extend(chars.next()),
                Some(c) => name.push(c),
                None => break,
            }
        }
        self.in_number = false;
        let plain = name == "*" || name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if plain && !name.starts_with(|c: char| c.is_numeric()) {
            self.standard.push_str(&name);
            return;
        }
        // `.` before a bracket is written for a descent only.
        if !self.standard.ends_with("..") {
            self.standard.pop();
        }
        let quoted = name.replace('\\', "\\\\").replace('\'', "\\'");
        self.standard.push_str(&format!("['{quoted}']"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(path: &str) -> Option<Value> {
        let document = json!({
            "a": {"b": 1, "b-c": 2, "b.c/d": 3, "é": 4, "0": 5}, "none": null,
            "list": [{"n": "x", "v": 10}, {"n": "y", "v": 20}], "istio:error": 6, "it's": 7,
        });
        let path = JsonPath::parse(path).unwrap_or_else(|why| panic!("{path}: {why}"));
        path.first(&document).cloned()
    }

    #[test]
    fn paths_are_read_as_kubectl_reads_them() {
        for (path, value) in [
            ("{$.a.b}", json!(1)),
            ("{.a.b}", json!(1)),
            ("{@.a.b}", json!(1)),
            ("{a.b}", json!(1)),
            ("$.a.b", json!(1)),
            ("{ .a.b }", json!(1)),
            ("{.a.b-c}", json!(2)),
            ("{.a['b-c']}", json!(2)),
            (r"{.a.b\.c/d}", json!(3)),
            ("{.a.é}", json!(4)),
            ("{.a.0}", json!(5)),
            ("{.none}", json!(null)),
            ("{.list[1].v}", json!(20)),
            ("{.list[-1:].v}", json!(20)),
            ("{.list[*].v}", json!(10)),
            ("{.list[?(@.n==\"y\")].v}", json!(20)),
            ("{.list[?(@.n=='y')].v}", json!(20)),
            ("{.list[?(@.v > 15)].n}", json!("y")),
            ("{..v}", json!(10)),
            ("{$..['b-c']}", json!(2)),
            ("{..b-c}", json!(2)),
            ("{['a']['b']}", json!(1)),
            ("{.list[?(@.v > 10.5)].n}", json!("y")),
            ("{.list[?(@.v>-1.5e1)].n}", json!("x")),
            ("{.istio:error}", json!(6)),
            ("{.it's}", json!(7)),
            ("{.list.*.v}", json!(10)),
            ("{.a.b}{.a.0}", json!(1)),
        ] {
            assert_eq!(found(path), Some(value), "{path}");
        }
        assert!(found("{$}").is_some_and(|all| all.is_object()));
        assert!(found("{}").is_some_and(|all| all.is_object()));
        assert_eq!(found("{.a.missing}"), None);
        assert_eq!(found("{.list[7]}"), None);
    }

    #[test]
    fn what_is_no_path_to_one_value_is_refused() {
        for (path, why) in [
            ("{range .a[*]}", "range and end make text"),
            ("{.a}, {.b}", "more than one pair of braces"),
            (
                "total: {.a}",
                "a brace is not closed, or text stands beside it",
            ),
            ("{.a[", "a brace is not closed"),
            ("{.a['b}", "a quote or bracket is not closed"),
            ("{..a..b..c}", "more than 2 descents"),
            ("{.a[0,0][0,0][0,0,0,0]}", "more than 4 commas"),
        ] {
            let told = JsonPath::parse(path).unwrap_err();
            assert!(told.contains(why), "{path}: {told}");
        }
        let deep = format!("{{.a[?{}@.b{}]}}", "(".repeat(300), ")".repeat(300));
        assert!(JsonPath::parse(&deep).is_err());
        assert!(JsonPath::parse(&"a".repeat(2000)).is_err());
    }
}

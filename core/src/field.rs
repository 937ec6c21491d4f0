//! Reading a manifest field by field: in goes JSON, out come values and, for everything that is
//! not as the API wants it, an error with the field's path, its value and what is accepted.

use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use crate::time::{DURATION_ACCEPTED, LONGEST, parse_duration};

/// One field that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FieldError {
    /// Where the field is: `spec.strategy.canary.steps[2].setWeight`.
    pub path: String,
    /// Its value and what is accepted.
    pub message: String,
}

/// All that is wrong with one document, in the order of the fields read; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl std::error::Error for FieldErrors {}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// Where errors are gathered while a document is read, so that a user sees all of them at once.
#[derive(Default, Debug)]
pub struct Report(RefCell<Vec<FieldError>>);

impl Report {
    /// `value` if nothing was reported, otherwise all that was.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, FieldErrors> {
        match value {
            Some(value) if self.0.borrow().is_empty() => Ok(value),
            _ => Err(FieldErrors(self.0.into_inner())),
        }
    }

    /// Adds an error about the field at `path`.
    pub fn add(&self, path: impl fmt::Display, message: impl fmt::Display) {
        self.0.borrow_mut().push(FieldError {
            path: path.to_string(),
            message: message.to_string(),
        });
    }
}

/// A value in a document, with its path and the report that takes its errors.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    path: String,
    value: &'a Value,
    report: &'a Report,
}

impl<'a> Field<'a> {
    /// The whole document; `path` is what errors start with and may be empty.
    pub fn root(path: &str, value: &'a Value, report: &'a Report) -> Self {
        Field {
            path: path.to_string(),
            value,
            report,
        }
    }

    /// Where this field is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The JSON as it stands.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Reports that this field's value is not `accepted`.
    pub fn expected(&self, accepted: impl fmt::Display) {
        self.report.add(
            &self.path,
            format_args!("is {}, expected {accepted}", shown(self.value)),
        );
    }

    /// Reports `message` about this field.
    pub fn refuse(&self, message: impl fmt::Display) {
        self.report.add(&self.path, message);
    }

    /// The field `name` of this object; `None` if it is absent or null.
    pub fn optional(&self, name: &str) -> Option<Field<'a>> {
        let value = self.value.as_object()?.get(name)?;
        (!value.is_null()).then(|| Field {
            path: self.child(name),
            value,
            report: self.report,
        })
    }

    /// The field `name` of this object; its absence is reported.
    pub fn required(&self, name: &str, accepted: &str) -> Option<Field<'a>> {
        let found = self.optional(name);
        if found.is_none() {
            self.report.add(
                self.child(name),
                format_args!("is missing, expected {accepted}"),
            );
        }
        found
    }

    /// The field `name` with a value that stands elsewhere.
    pub fn beside<'b>(&self, name: &str, value: &'b Value) -> Field<'b>
    where
        'a: 'b,
    {
        Field {
            path: self.child(name),
            value,
            report: self.report,
        }
    }

    /// This object's fields; anything but an object is reported.
    pub fn object(&self) -> Option<&'a Map<String, Value>> {
        let object = self.value.as_object();
        if object.is_none() {
            self.expected("an object");
        }
        object
    }

    /// Reports every field of this object that `known` does not list: nothing is silently ignored.
    pub fn only(&self, known: &[&str]) {
        let Some(object) = self.object() else { return };
        for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            if !known.contains(&name.as_str()) {
                let hint = nearest(name, known)
                    .map(|near| format!(" (did you mean {near}?)"))
                    .unwrap_or_default();
                self.report.add(
                    self.child(name),
                    format_args!(
                        "is {}, expected one of {}{hint}",
                        shown(value),
                        known.join(", ")
                    ),
                );
            }
        }
    }

    /// The elements of this list; anything but a list is reported and empty.
    pub fn list(&self) -> Vec<Field<'a>> {
        let Some(list) = self.value.as_array() else {
            self.expected("a list");
            return Vec::new();
        };
        list.iter()
            .enumerate()
            .map(|(i, value)| Field {
                path: format!("{}[{i}]", self.path),
                value,
                report: self.report,
            })
            .collect()
    }

    /// The strings of this list, none of which may be empty.
    pub fn names(&self) -> Option<Vec<String>> {
        let items = self.list();
        let names: Vec<_> = items.iter().map(Field::name).collect();
        names
            .into_iter()
            .map(|name| name.map(str::to_string))
            .collect()
    }

    /// This string.
    pub fn string(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.expected("a string");
        }
        text
    }

    /// This string, which may not be empty.
    pub fn name(&self) -> Option<&'a str> {
        let text = self.string()?;
        if text.is_empty() {
            self.expected("a name");
        }
        (!text.is_empty()).then_some(text)
    }

    /// This boolean.
    pub fn boolean(&self) -> Option<bool> {
        let truth = self.value.as_bool();
        if truth.is_none() {
            self.expected("true or false");
        }
        truth
    }

    /// This whole number, which must lie between `low` and `high`.
    pub fn integer(&self, low: i64, high: i64) -> Option<i64> {
        let number = self.value.as_i64().filter(|n| (low..=high).contains(n));
        if number.is_none() {
            self.expected(format_args!("a whole number from {low} to {high}"));
        }
        number
    }

    /// This duration: a whole number of seconds, or text as [`parse_duration`] reads it.
    pub fn duration(&self) -> Option<Duration> {
        let read = match self.value {
            Value::String(text) => parse_duration(text),
            other => other.as_u64().map(Duration::from_secs),
        };
        let read = read.filter(|duration| *duration <= LONGEST);
        if read.is_none() {
            self.expected(DURATION_ACCEPTED);
        }
        read
    }

    fn child(&self, name: &str) -> String {
        let separator = if self.path.is_empty() { "" } else { "." };
        format!("{}{separator}{name}", self.path)
    }
}

/// A value as an error shows it: JSON, cut where it would fill the line.
pub fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

/// The known name that a misspelt one probably meant: equal but for case, or two edits away.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    const FAR: usize = 3;
    known
        .iter()
        .map(|near| (edits(&name.to_lowercase(), &near.to_lowercase()), *near))
        .min()
        .filter(|(distance, near)| *distance < FAR && *distance < near.len())
        .map(|(_, near)| near)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn errors(value: &Value, read: impl Fn(Field<'_>)) -> Vec<String> {
        let report = Report::default();
        read(Field::root("spec", value, &report));
        let all = report.0.into_inner();
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_error_names_path_value_and_what_is_accepted() {
        let value = json!({"steps": [{"setWeight": 120}]});
        let found = errors(&value, |spec| {
            for step in spec.optional("steps").unwrap().list() {
                step.optional("setWeight").unwrap().integer(0, 100);
            }
        });
        assert_eq!(
            found,
            ["spec.steps[0].setWeight: is 120, expected a whole number from 0 to 100"]
        );
    }

    #[test]
    fn a_misspelt_field_is_refused_with_the_likely_name() {
        let found = errors(&json!({"setweight": 1}), |spec| {
            spec.only(&["setWeight", "pause"])
        });
        assert_eq!(
            found,
            ["spec.setweight: is 1, expected one of setWeight, pause (did you mean setWeight?)"]
        );
    }

    #[test]
    fn all_errors_are_told_at_once() {
        let found = errors(&json!({"a": 1, "b": "x"}), |spec| {
            spec.optional("a").unwrap().string();
            spec.optional("b").unwrap().integer(0, 1);
            spec.required("c", "a name");
        });
        assert_eq!(found.len(), 3);
        assert_eq!(found[2], "spec.c: is missing, expected a name");
    }

    #[test]
    fn edit_distance_counts_changes() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
    }
}

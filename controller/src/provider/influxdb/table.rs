//! The tables of an annotated CSV, row by row: a row in, its value out.

use super::value::Value;

/// What the rows so far say of the next one.
#[derive(Default)]
pub(super) struct Tables {
    at: At,
    kinds: Vec<String>,
    defaults: Vec<String>,
    /// Which column the values are in; none: the table has no such column.
    column: Option<usize>,
    /// Columns of the table, without that of the annotations.
    width: usize,
}

#[derive(Default)]
enum At {
    /// No table has begun.
    #[default]
    Begin,
    /// Among the annotations: more of them come, or the header.
    Annotations,
    Rows,
    /// The next row is an error's.
    Error,
}

/// Why a row is not taken.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    /// InfluxDB's own error.
    Query(String),
    /// No annotated CSV.
    Strange(String),
}

impl Tables {
    /// Takes a row. What comes back is the value of one with data.
    pub(super) fn take(&mut self, row: &[&str]) -> Result<Option<Value>, Refused> {
        match row {
            // Tables are set apart by empty lines, which may hold a carriage return.
            [] | [_] if row.concat().trim().is_empty() => Ok(None),
            ["error", "reference", ..] => {
                self.at = At::Error;
                Ok(None)
            }
            [annotation, columns @ ..] if annotation.starts_with('#') => {
                self.annotate(annotation, columns).map(|()| None)
            }
            ["", columns @ ..] => self.columns(columns),
            [message, reference @ ..] if matches!(self.at, At::Error) => {
                Err(error(message, reference))
            }
            _ => Err(strange("is no row of an annotated CSV")),
        }
    }

    fn annotate(&mut self, annotation: &str, columns: &[&str]) -> Result<(), Refused> {
        if !matches!(self.at, At::Annotations) {
            *self = Tables {
                at: At::Annotations,
                width: columns.len(),
                ..Tables::default()
            };
        }
        self.as_wide(columns)?;
        let texts = || columns.iter().map(ToString::to_string).collect();
        match annotation {
            "#datatype" => self.kinds = texts(),
            "#default" => self.defaults = texts(),
            _ => {}
        }
        Ok(())
    }

    fn columns(&mut self, columns: &[&str]) -> Result<Option<Value>, Refused> {
        match self.at {
            At::Begin => Err(strange("comes before any annotation")),
            At::Error => Err(match columns {
                [message, reference @ ..] => error(message, reference),
                [] => error("", &[]),
            }),
            At::Annotations if columns.first() == Some(&"error") => {
                self.at = At::Error;
                Ok(None)
            }
            At::Annotations => {
                self.as_wide(columns)?;
                if self.kinds.is_empty() {
                    return Err(strange("comes without the annotation #datatype"));
                }
                self.column = columns.iter().position(|name| *name == "_value");
                self.at = At::Rows;
                Ok(None)
            }
            At::Rows => {
                self.as_wide(columns)?;
                self.value(columns).map(Some)
            }
        }
    }

    /// A row without the column has nil, as has one whose column is empty.
    fn value(&self, columns: &[&str]) -> Result<Value, Refused> {
        let Some(column) = self.column else {
            return Ok(Value::Nil);
        };
        let written = columns.get(column).copied().unwrap_or_default();
        let default = self.defaults.get(column).map_or("", String::as_str);
        let text = if written.is_empty() { default } else { written };
        let kind = self.kinds.get(column).map_or("", String::as_str);
        Value::read(kind, text).map_err(Refused::Strange)
    }

    /// A row that broke off is shorter.
    fn as_wide(&self, columns: &[&str]) -> Result<(), Refused> {
        let (found, width) = (columns.len(), self.width);
        if found != width {
            return Err(Refused::Strange(format!(
                "has {found} columns, expected {width}"
            )));
        }
        Ok(())
    }
}

fn strange(why: &str) -> Refused {
    Refused::Strange(why.to_string())
}

fn error(message: &str, reference: &[&str]) -> Refused {
    let message = match message {
        "" => "unknown query error",
        message => message,
    };
    Refused::Query(match reference.first() {
        Some(reference) if !reference.is_empty() => format!("{message} (reference {reference})"),
        _ => message.to_string(),
    })
}

//! What operators do to values.

use expr::Value;
use std::cmp::Ordering;

use super::checker::Kind;

/// An operator between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

/// An operator before a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
}

impl Unary {
    pub(super) fn precedence(self) -> u16 {
        match self {
            Unary::Not => 50,
            Unary::Minus | Unary::Plus => 90,
        }
    }

    pub(super) fn apply(self, value: Value) -> Result<Value, String> {
        match (self, value) {
            (Unary::Not, Value::Bool(truth)) => Ok(Value::Bool(!truth)),
            (Unary::Minus, Value::Integer(n)) => Ok(Value::Integer(n.wrapping_neg())),
            (Unary::Minus, Value::Float(n)) => Ok(Value::Float(-n)),
            (Unary::Plus, number @ (Value::Integer(_) | Value::Float(_))) => Ok(number),
            (Unary::Not, other) => Err(format!("invalid operation: ! ({})", Kind::of(&other))),
            (_, other) => Err(format!("invalid operation: - ({})", Kind::of(&other))),
        }
    }
}

impl Binary {
    pub(super) fn of(token: &str) -> Option<Binary> {
        Some(match token {
            "||" | "or" => Binary::Or,
            "&&" | "and" => Binary::And,
            "==" => Binary::Equal,
            "!=" => Binary::NotEqual,
            "<" => Binary::Less,
            "<=" => Binary::LessOrEqual,
            ">" => Binary::Greater,
            ">=" => Binary::GreaterOrEqual,
            "in" => Binary::In,
            "contains" => Binary::Contains,
            "startsWith" => Binary::StartsWith,
            "endsWith" => Binary::EndsWith,
            "matches" => Binary::Matches,
            ".." => Binary::Range,
            "+" => Binary::Add,
            "-" => Binary::Subtract,
            "*" => Binary::Multiply,
            "/" => Binary::Divide,
            "%" => Binary::Modulo,
            "**" | "^" => Binary::Power,
            "??" => Binary::Coalesce,
            _ => return None,
        })
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessOrEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterOrEqual => ">=",
            Binary::In => "in",
            Binary::Contains => "contains",
            Binary::StartsWith => "startsWith",
            Binary::EndsWith => "endsWith",
            Binary::Matches => "matches",
            Binary::Range => "..",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Modulo => "%",
            Binary::Power => "**",
            Binary::Coalesce => "??",
        }
    }

    /// How tight it binds.
    pub(super) fn precedence(self) -> u16 {
        match self {
            Binary::Or => 10,
            Binary::And => 15,
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessOrEqual
            | Binary::Greater
            | Binary::GreaterOrEqual
            | Binary::In
            | Binary::Contains
            | Binary::StartsWith
            | Binary::EndsWith
            | Binary::Matches => 20,
            Binary::Range => 25,
            Binary::Add | Binary::Subtract => 30,
            Binary::Multiply | Binary::Divide | Binary::Modulo => 60,
            Binary::Power => 100,
            Binary::Coalesce => 500,
        }
    }

    /// Whether `not` may stand before it.
    pub(super) fn negatable(self) -> bool {
        use Binary::{Contains, EndsWith, In, Matches, StartsWith};
        matches!(self, In | Contains | StartsWith | EndsWith | Matches)
    }

    /// The answer for two values; the operators that may not need their right one are the
    /// evaluator's.
    pub(super) fn apply(self, left: Value, right: Value) -> Result<Value, String> {
        use Value::{Array, DateTime, Duration, Float, Integer, Map, String};
        if matches!(left, DateTime(_) | Duration(_)) || matches!(right, DateTime(_) | Duration(_)) {
            return self.apply_to_times(left, right);
        }
        Ok(match (self, left, right) {
            (Binary::Equal, left, right) => equal(&left, &right).into(),
            (Binary::NotEqual, left, right) => (!equal(&left, &right)).into(),
            (Binary::In, left, Array(list)) => list.iter().any(|each| equal(&left, each)).into(),
            (Binary::In, String(key), Map(map)) => map.contains_key(&key).into(),
            (Binary::In, _, Value::Nil) => false.into(),
            (Binary::Contains, String(text), String(part)) => text.contains(&part).into(),
            (Binary::StartsWith, String(text), String(part)) => text.starts_with(&part).into(),
            (Binary::EndsWith, String(text), String(part)) => text.ends_with(&part).into(),
            (Binary::Matches, String(text), String(pattern)) => {
                let pattern = regex_lite::Regex::new(&pattern);
                pattern
                    .map_err(|why| why.to_string())?
                    .is_match(&text)
                    .into()
            }
            (Binary::Add, String(left), String(right)) => (left + &right).into(),
            (Binary::Add, Integer(left), Integer(right)) => left.wrapping_add(right).into(),
            (Binary::Subtract, Integer(left), Integer(right)) => left.wrapping_sub(right).into(),
            (Binary::Multiply, Integer(left), Integer(right)) => left.wrapping_mul(right).into(),
            (Binary::Modulo, Integer(_), Integer(0)) => {
                return Err("integer divide by zero".to_string());
            }
            (Binary::Modulo, Integer(left), Integer(right)) => left.wrapping_rem(right).into(),
            (
                Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual,
                l,
                r,
            ) => self.ordered(&l, &r)?.into(),
            (_, left, right) => match (float(&left), float(&right)) {
                (Some(l), Some(r)) => Float(
                    self.on_floats(l, r)
                        .ok_or_else(|| self.misfit(&left, &right))?,
                ),
                _ => return Err(self.misfit(&left, &right)),
            },
        })
    }

    /// The crate knows time zones and durations.
    fn apply_to_times(self, left: Value, right: Value) -> Result<Value, String> {
        // The crate's errors repeat the values, which may be secrets.
        let misfit = self.misfit(&left, &right);
        let mut context = expr::Context::default();
        context.insert("left", left);
        context.insert("right", right);
        let text = format!("left {} right", self.sign());
        expr::eval(&text, &context).map_err(|_| misfit)
    }

    fn on_floats(self, left: f64, right: f64) -> Option<f64> {
        match self {
            Binary::Add => Some(left + right),
            Binary::Subtract => Some(left - right),
            Binary::Multiply => Some(left * right),
            Binary::Divide => Some(left / right),
            Binary::Power => Some(left.powf(right)),
            _ => None,
        }
    }

    /// With NaN every comparison is false.
    fn ordered(self, left: &Value, right: &Value) -> Result<bool, String> {
        let order = match (left, right) {
            (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            _ => match (float(left), float(right)) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => return Err(self.misfit(left, right)),
            },
        };
        let Some(order) = order else { return Ok(false) };
        Ok(match self {
            Binary::Less => order == Ordering::Less,
            Binary::LessOrEqual => order != Ordering::Greater,
            Binary::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        })
    }

    fn misfit(self, left: &Value, right: &Value) -> String {
        misfit(self, &Kind::of(left), &Kind::of(right))
    }
}

/// Go's text for operands that do not fit.
pub(super) fn misfit(operator: Binary, left: &Kind, right: &Kind) -> String {
    format!(
        "invalid operation: {} (mismatched types {left} and {right})",
        operator.sign()
    )
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Integer(left), Value::Integer(right)) => left == right,
        _ => match (float(left), float(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
    }
}

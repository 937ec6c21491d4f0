//! The functions that conditions may call.

use expr::{Context, Environment, Value};
use std::sync::LazyLock;

use super::checker::Kind;
use super::operator::Binary;
use super::parser::Node;
use crate::time::Timestamp;

/// A function that asks a predicate about the elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Any,
    One,
    None,
    Map,
    Filter,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    Count,
    Sum,
    Reduce,
}

pub(super) const EACH: [Each; 13] = [
    Each::All,
    Each::Any,
    Each::One,
    Each::None,
    Each::Map,
    Each::Filter,
    Each::Find,
    Each::FindIndex,
    Each::FindLast,
    Each::FindLastIndex,
    Each::Count,
    Each::Sum,
    Each::Reduce,
];

impl Each {
    pub(super) fn name(self) -> &'static str {
        match self {
            Each::All => "all",
            Each::Any => "any",
            Each::One => "one",
            Each::None => "none",
            Each::Map => "map",
            Each::Filter => "filter",
            Each::Find => "find",
            Each::FindIndex => "findIndex",
            Each::FindLast => "findLast",
            Each::FindLastIndex => "findLastIndex",
            Each::Count => "count",
            Each::Sum => "sum",
            Each::Reduce => "reduce",
        }
    }

    /// Whether the predicate must say true or false.
    pub(super) fn asks(self) -> bool {
        !matches!(self, Each::Map | Each::Sum | Each::Reduce)
    }

    /// A call without a predicate, which `count` and `sum` allow.
    pub(super) fn alone(self, list: Node) -> Result<Node, String> {
        match self {
            Each::Count | Each::Sum => Ok(Node::Call(self.name().to_string(), vec![list])),
            _ => Err(format!(
                "not enough arguments to call {} (expected a predicate)",
                self.name()
            )),
        }
    }
}

/// Argo Rollouts' own helpers.
const HELPERS: [&str; 6] = ["asInt", "asFloat", "isNaN", "isInf", "isNil", "default"];

/// The crate's functions that are safe with any argument once [`cost`] has been paid.
const BUILTINS: [&str; 50] = [
    "len",
    "count",
    "sum",
    "max",
    "min",
    "mean",
    "median",
    "abs",
    "ceil",
    "floor",
    "round",
    "int",
    "float",
    "string",
    "type",
    "first",
    "last",
    "take",
    "reverse",
    "uniq",
    "concat",
    "flatten",
    "join",
    "sort",
    "keys",
    "values",
    "get",
    "toPairs",
    "fromPairs",
    "trim",
    "trimPrefix",
    "trimSuffix",
    "upper",
    "lower",
    "split",
    "splitAfter",
    "replace",
    "repeat",
    "indexOf",
    "lastIndexOf",
    "hasPrefix",
    "hasSuffix",
    "bitand",
    "bitor",
    "bitxor",
    "bitnand",
    "now",
    "date",
    "duration",
    "timezone",
];

pub(super) fn is_function(name: &str) -> bool {
    HELPERS.contains(&name) || BUILTINS.contains(&name)
}

/// The kind of a call's answer, or why its arguments do not fit.
pub(super) fn kind(name: &str, args: &[Kind]) -> Result<Kind, String> {
    let misfit = |kind: &Kind| format!("invalid argument for {name} (type {kind})");
    let element = |list: &Kind| match list {
        Kind::List(element) => Ok((**element).clone()),
        Kind::Any => Ok(Kind::Any),
        other => Err(misfit(other)),
    };
    let (least, most) = arity(name);
    if args.len() < least || args.len() > most {
        let many = if args.len() < least {
            "not enough"
        } else {
            "too many"
        };
        return Err(format!("{many} arguments to call {name}"));
    }
    let Some(first) = args.first() else {
        return Ok(Kind::Any);
    };
    match name {
        "asInt" | "int" | "indexOf" | "lastIndexOf" => Ok(Kind::Integer),
        "asFloat" | "float" | "ceil" | "floor" | "round" | "mean" | "median" => Ok(Kind::Float),
        "isNaN" | "isInf" if !first.may_be_number() => Err(misfit(first)),
        "isNaN" | "isInf" | "isNil" | "hasPrefix" | "hasSuffix" => Ok(Kind::Bool),
        "len" => match first {
            Kind::List(_) | Kind::Map | Kind::Text | Kind::Any => Ok(Kind::Integer),
            other => Err(misfit(other)),
        },
        "count" => element(first).map(|_| Kind::Integer),
        "sum" | "first" | "last" => element(first),
        "abs" if !first.may_be_number() => Err(misfit(first)),
        "abs" => Ok(first.clone()),
        "sort" | "reverse" | "uniq" | "take" => element(first).map(|_| first.clone()),
        "string" | "type" | "trim" | "trimPrefix" | "trimSuffix" | "upper" | "lower"
        | "replace" | "repeat" | "join" => Ok(Kind::Text),
        "split" | "splitAfter" => Ok(Kind::List(Box::new(Kind::Text))),
        _ => Ok(Kind::Any),
    }
}

/// The least and the most arguments.
fn arity(name: &str) -> (usize, usize) {
    match name {
        "asInt" | "asFloat" | "isNaN" | "isInf" | "isNil" | "len" | "count" | "sum" | "abs"
        | "ceil" | "floor" | "round" | "int" | "float" | "string" | "type" | "first" | "last"
        | "reverse" | "uniq" | "flatten" | "keys" | "values" | "toPairs" | "fromPairs"
        | "upper" | "lower" | "duration" => (1, 1),
        "default" | "take" | "get" | "repeat" | "indexOf" | "lastIndexOf" | "hasPrefix"
        | "hasSuffix" | "bitand" | "bitor" | "bitxor" | "bitnand" => (2, 2),
        "now" => (0, 1),
        _ => (1, 64),
    }
}

/// Calls a function. `result` is what the condition judges: `isNil` and `default` ask about it,
/// whatever their first argument.
pub(super) fn call(name: &str, args: Vec<Value>, result: &Value) -> Result<Value, String> {
    match (name, args.as_slice()) {
        ("isNil", _) => Ok(result.is_nil().into()),
        ("default", [_, other]) if result.is_nil() => Ok(other.clone()),
        ("default", _) => Ok(result.clone()),
        ("asInt", [value]) => as_int(value),
        ("asFloat", [value]) => as_float(value),
        ("isNaN", [value]) => number(name, value).map(|n| n.is_nan().into()),
        ("isInf", [value]) => number(name, value).map(|n| n.is_infinite().into()),
        _ => builtin(name, args),
    }
}

/// A point in time as the crate's functions and operators know it.
pub(super) fn moment(at: Timestamp) -> Result<Value, String> {
    const NANOS_PER_MILLI: i64 = 1_000_000;
    let epoch = builtin("date", vec![Value::from("1970-01-01T00:00:00Z")])?;
    let since = Value::Duration(at.0.saturating_mul(NANOS_PER_MILLI));
    Binary::Add.apply(epoch, since)
}

fn as_int(value: &Value) -> Result<Value, String> {
    match value {
        Value::Integer(number) => Ok(Value::Integer(*number)),
        // Go truncates; beyond the range its answer is undefined, here it is the nearest.
        Value::Float(number) => Ok(Value::Integer(*number as i64)),
        Value::String(text) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| no_number("asInt", text)),
        other => Err(format!("asInt() not supported on type {}", Kind::of(other))),
    }
}

fn as_float(value: &Value) -> Result<Value, String> {
    match value {
        Value::Integer(number) => Ok(Value::Float(*number as f64)),
        Value::Float(number) => Ok(Value::Float(*number)),
        Value::String(text) => text
            .parse()
            .map(Value::Float)
            .map_err(|_| no_number("asFloat", text)),
        other => Err(format!(
            "asFloat() not supported on type {}",
            Kind::of(other)
        )),
    }
}

/// What a text says may be a secret that an answer repeats: errors are told, so it is not in them.
fn no_number(name: &str, text: &str) -> String {
    let length = text.len();
    format!("{name}: a text of {length} bytes is no number (invalid syntax)")
}

fn number(name: &str, value: &Value) -> Result<f64, String> {
    match value {
        Value::Integer(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => Err(format!(
            "invalid argument for {name} (type {})",
            Kind::of(other)
        )),
    }
}

fn builtin(name: &str, args: Vec<Value>) -> Result<Value, String> {
    static BUILTIN: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);
    let context = Context::default();
    let kinds = args.iter().map(|arg| Kind::of(arg).to_string());
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    // The crate states no promise that it never panics, and a template's author chooses the
    // arguments.
    let call = || BUILTIN.eval_func(&context, name, args, None);
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
        Ok(Ok(answer)) => Ok(answer),
        // The crate's errors repeat the arguments, which may be secrets.
        Ok(Err(_)) | Err(_) => Err(format!("{name} cannot take these arguments ({kinds})")),
    }
}

/// How much work and memory a call may take, by the size of its arguments.
pub(super) fn cost(name: &str, args: &[Value]) -> usize {
    let sizes = args.iter().map(size);
    match (name, args) {
        ("repeat", [text, Value::Integer(times)]) => {
            size(text).saturating_mul(usize::try_from(*times).unwrap_or(0))
        }
        ("replace" | "join", _) => sizes.fold(1, usize::saturating_mul),
        ("uniq" | "fromPairs", _) => sizes.map(|size| size.saturating_mul(size)).sum(),
        _ => sizes.fold(1, usize::saturating_add),
    }
}

/// Elements, keys and bytes of a value, at least 1.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 1,
        Value::Bytes(bytes) => bytes.len() + 1,
        Value::Array(list) => list.iter().map(size).fold(1, usize::saturating_add),
        Value::Map(map) => map
            .iter()
            .map(|(k, v)| k.len() + size(v))
            .fold(1, usize::saturating_add),
        Value::KeyedMap(map) => map
            .iter()
            .map(|(k, v)| size(k) + size(v))
            .fold(1, usize::saturating_add),
        _ => 1,
    }
}

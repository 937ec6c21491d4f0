//! From a tree and `result` to a value, within bounds of work and memory.

use expr::Value;

use super::checker::Kind;
use super::function::{self, Each};
use super::operator::Binary;
use super::parser::Node;
use crate::analysis::reading::Reading;
use crate::time::Timestamp;

/// Nodes visited and elements copied. A few hundred thousand suffice for the largest answer that
/// Prometheus gives; this many take well under a second.
const MOST_WORK: usize = 10_000_000;

/// `result` as conditions see it.
pub(super) fn value(reading: &Reading) -> Value {
    match reading {
        Reading::Scalar(number) => Value::Float(*number),
        Reading::Vector(numbers) => numbers.clone().into(),
        Reading::Json(json) => json_value(json),
    }
}

/// JSON numbers are floats, as Go decodes them.
fn json_value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(text.clone()),
        serde_json::Value::Array(list) => Value::Array(list.iter().map(json_value).collect()),
        serde_json::Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), json_value(value)))
            .collect(),
    }
}

pub(super) fn evaluate(node: &Node, result: Value) -> Result<Value, String> {
    Evaluator::new(result, None).value(node)
}

/// The same without a `result`, where it is `now`.
pub(super) fn evaluate_at(node: &Node, now: Timestamp) -> Result<Value, String> {
    Evaluator::new(Value::Nil, Some(now)).value(node)
}

struct Evaluator<'n> {
    result: Value,
    /// What `now()` is; none: what the crate's clock says.
    now: Option<Timestamp>,
    names: Vec<(&'n str, Value)>,
    /// Of the predicates under way, innermost last.
    elements: Vec<Element>,
    work: usize,
}

struct Element {
    value: Value,
    index: usize,
    sum: Value,
}

impl<'n> Evaluator<'n> {
    fn new(result: Value, now: Option<Timestamp>) -> Self {
        Evaluator {
            names: Vec::new(),
            elements: Vec::new(),
            work: 0,
            result,
            now,
        }
    }

    fn value(&mut self, node: &'n Node) -> Result<Value, String> {
        self.pay(1)?;
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Name(name) => self.named(name),
            Node::Pointer(name) => self.pointer(name),
            Node::List(nodes) => self.values(nodes).map(Value::Array),
            Node::Map(entries) => {
                let entry = |(key, node): &'n (String, Node)| Ok((key.clone(), self.value(node)?));
                let entries = entries
                    .iter()
                    .map(entry)
                    .collect::<Result<Vec<_>, String>>()?;
                Ok(entries.into_iter().collect())
            }
            Node::Unary(operator, node) => self.value(node).and_then(|value| operator.apply(value)),
            Node::Binary(operator, left, right) => self.binary(*operator, left, right),
            Node::Choice(nodes) => {
                let [condition, then, otherwise] = &**nodes;
                let chosen = if self.truth(condition)? {
                    then
                } else {
                    otherwise
                };
                self.value(chosen)
            }
            Node::Index(base, index, optional) => {
                let base = self.value(base)?;
                if *optional && base.is_nil() {
                    return Ok(Value::Nil);
                }
                let index = self.value(index)?;
                indexed(base, &index)
            }
            Node::Slice(base, from, to) => self.slice(base, from.as_deref(), to.as_deref()),
            Node::Call(name, args) => self.call(name, args),
            Node::Each(each, list, predicate, begin) => {
                self.each(*each, list, predicate, begin.as_deref())
            }
            Node::Let(name, value, body) => {
                let value = self.value(value)?;
                self.names.push((name, value));
                let answer = self.value(body);
                self.names.pop();
                answer
            }
        }
    }

    fn pay(&mut self, work: usize) -> Result<(), String> {
        self.work = self.work.saturating_add(work);
        if self.work > MOST_WORK {
            Err("takes too much work".to_string())
        } else {
            Ok(())
        }
    }

    fn named(&mut self, name: &str) -> Result<Value, String> {
        let known = self.names.iter().rev().find(|(known, _)| *known == name);
        let value = match known {
            Some((_, value)) => value,
            None if name == "result" => &self.result,
            None => return Err(format!("unknown name {name}")),
        };
        let value = value.clone();
        self.pay(function::size(&value))?;
        Ok(value)
    }

    fn pointer(&mut self, name: &str) -> Result<Value, String> {
        let element = self.elements.last().ok_or("# stands for nothing here")?;
        let value = match name {
            "index" => Value::from(element.index),
            "acc" => element.sum.clone(),
            _ => element.value.clone(),
        };
        self.pay(function::size(&value))?;
        Ok(value)
    }

    fn values(&mut self, nodes: &'n [Node]) -> Result<Vec<Value>, String> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn truth(&mut self, node: &'n Node) -> Result<bool, String> {
        match self.value(node)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(format!("expected bool, but got {}", Kind::of(&other))),
        }
    }

    fn binary(
        &mut self,
        operator: Binary,
        left: &'n Node,
        right: &'n Node,
    ) -> Result<Value, String> {
        match operator {
            Binary::Or => return Ok((self.truth(left)? || self.truth(right)?).into()),
            Binary::And => return Ok((self.truth(left)? && self.truth(right)?).into()),
            _ => {}
        }
        let left = self.value(left)?;
        if operator == Binary::Coalesce && !left.is_nil() {
            return Ok(left);
        }
        let right = self.value(right)?;
        match (operator, left, right) {
            (Binary::Coalesce, _, right) => Ok(right),
            (Binary::Range, Value::Integer(from), Value::Integer(to)) => {
                let length = to.saturating_sub(from).saturating_add(1);
                self.pay(usize::try_from(length).unwrap_or(0))?;
                Ok(Value::Array((from..=to).map(Value::Integer).collect()))
            }
            (operator, left, right) => {
                self.pay(function::size(&left).saturating_add(function::size(&right)))?;
                operator.apply(left, right)
            }
        }
    }

    fn slice(
        &mut self,
        base: &'n Node,
        from: Option<&'n Node>,
        to: Option<&'n Node>,
    ) -> Result<Value, String> {
        let base = self.value(base)?;
        let mut bound = |node: Option<&'n Node>, absent: usize, length: usize| {
            let Some(node) = node else { return Ok(absent) };
            match self.value(node)? {
                Value::Integer(at) if at < 0 => {
                    Ok(length.saturating_sub(usize::try_from(at.unsigned_abs()).unwrap_or(length)))
                }
                Value::Integer(at) => Ok(usize::try_from(at).unwrap_or(length).min(length)),
                other => Err(format!("non-integer slice index {}", Kind::of(&other))),
            }
        };
        match base {
            Value::Array(list) => {
                let from = bound(from, 0, list.len())?;
                let to = bound(to, list.len(), list.len())?;
                let count = to.saturating_sub(from);
                Ok(Value::Array(
                    list.into_iter().skip(from).take(count).collect(),
                ))
            }
            Value::String(text) => {
                let length = text.chars().count();
                let from = bound(from, 0, length)?;
                let to = bound(to, length, length)?;
                let count = to.saturating_sub(from);
                Ok(text
                    .chars()
                    .skip(from)
                    .take(count)
                    .collect::<String>()
                    .into())
            }
            other => Err(format!("cannot slice {}", Kind::of(&other))),
        }
    }

    fn call(&mut self, name: &str, args: &'n [Node]) -> Result<Value, String> {
        let args = self.values(args)?;
        self.pay(function::cost(name, &args))?;
        match (name, self.now) {
            ("now", Some(now)) => function::moment(now),
            _ => function::call(name, args, &self.result),
        }
    }

    fn each(
        &mut self,
        each: Each,
        list: &'n Node,
        predicate: &'n Node,
        begin: Option<&'n Node>,
    ) -> Result<Value, String> {
        let mut elements = match self.value(list)? {
            Value::Array(elements) => elements,
            other => {
                let kind = Kind::of(&other);
                return Err(format!(
                    "builtin {} takes only array (got {kind})",
                    each.name()
                ));
            }
        };
        match each {
            Each::Reduce => {
                let begin = begin.map(|node| self.value(node)).transpose()?;
                return self.reduce(elements, predicate, begin);
            }
            Each::Map | Each::Sum => {
                let mut answers = Vec::with_capacity(elements.len());
                for (index, value) in elements.into_iter().enumerate() {
                    answers.push(self.ask(
                        predicate,
                        Element {
                            value,
                            index,
                            sum: Value::Nil,
                        },
                    )?);
                }
                return match each {
                    Each::Sum => function::call("sum", vec![Value::Array(answers)], &self.result),
                    _ => Ok(Value::Array(answers)),
                };
            }
            _ => {}
        }
        let last_first = matches!(each, Each::FindLast | Each::FindLastIndex);
        let length = elements.len();
        if last_first {
            elements.reverse();
        }
        let mut found = Vec::new();
        for (place, value) in elements.into_iter().enumerate() {
            let index = if last_first {
                length - 1 - place
            } else {
                place
            };
            let element = Element {
                value: value.clone(),
                index,
                sum: Value::Nil,
            };
            let holds = match self.ask(predicate, element)? {
                Value::Bool(holds) => holds,
                other => {
                    let kind = Kind::of(&other);
                    return Err(format!("predicate should return boolean (got {kind})"));
                }
            };
            match (each, holds) {
                (Each::All, false) | (Each::None, true) => return Ok(false.into()),
                (Each::Any, true) => return Ok(true.into()),
                (Each::Find | Each::FindLast, true) => return Ok(value),
                (Each::FindIndex | Each::FindLastIndex, true) => return Ok(index.into()),
                (_, true) => found.push(value),
                (_, false) => {}
            }
        }
        Ok(match each {
            Each::All | Each::None => true.into(),
            Each::Any => false.into(),
            Each::One => (found.len() == 1).into(),
            Each::Count => found.len().into(),
            Each::FindIndex | Each::FindLastIndex => Value::Integer(-1),
            Each::Find | Each::FindLast => Value::Nil,
            _ => Value::Array(found),
        })
    }

    fn reduce(
        &mut self,
        elements: Vec<Value>,
        reducer: &'n Node,
        begin: Option<Value>,
    ) -> Result<Value, String> {
        let mut elements = elements.into_iter().enumerate();
        let mut sum = match begin {
            Some(begin) => begin,
            None => {
                elements
                    .next()
                    .ok_or("reduce of empty array with no initial value")?
                    .1
            }
        };
        for (index, value) in elements {
            sum = self.ask(reducer, Element { value, index, sum })?;
        }
        Ok(sum)
    }

    fn ask(&mut self, predicate: &'n Node, element: Element) -> Result<Value, String> {
        self.elements.push(element);
        let answer = self.value(predicate);
        self.elements.pop();
        answer
    }
}

fn indexed(base: Value, index: &Value) -> Result<Value, String> {
    match (base, index) {
        (Value::Array(mut list), Value::Integer(at)) => {
            let length = list.len();
            let place = if *at < 0 {
                at.saturating_add_unsigned(length as u64)
            } else {
                *at
            };
            match usize::try_from(place) {
                Ok(place) if place < length => Ok(list.swap_remove(place)),
                _ => Err(format!(
                    "index out of range: {at} (array length is {length})"
                )),
            }
        }
        (Value::Map(map), Value::String(key)) => Ok(map.get(key).cloned().unwrap_or(Value::Nil)),
        (base, Value::String(key)) => Err(format!("cannot fetch {key} from {}", Kind::of(&base))),
        (base, _) => Err(format!(
            "cannot index {} with {}",
            Kind::of(&base),
            Kind::of(index)
        )),
    }
}

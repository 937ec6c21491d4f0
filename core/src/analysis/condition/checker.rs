//! Types, checked before anything is evaluated, as Go's compiler for expressions does: an operand
//! that cannot fit is an error even where evaluation would never reach it.

use expr::Value;
use std::fmt;

use super::function::{self, Each};
use super::operator::{Binary, Unary, misfit};
use super::parser::Node;

/// What a value is known to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Nil,
    Bool,
    Integer,
    Float,
    Text,
    List(Box<Kind>),
    Map,
    /// Known when it is evaluated.
    Any,
}

/// The kind of `node` where `result` is of kind `result`; none: there is no `result`.
pub(super) fn kind(node: &Node, result: Option<Kind>) -> Result<Kind, String> {
    Checker {
        names: result.map(|kind| ("result", kind)).into_iter().collect(),
        elements: Vec::new(),
    }
    .kind(node)
}

impl Kind {
    pub(super) fn of(value: &Value) -> Kind {
        match value {
            Value::Nil => Kind::Nil,
            Value::Bool(_) => Kind::Bool,
            Value::Integer(_) => Kind::Integer,
            Value::Float(_) => Kind::Float,
            Value::String(_) => Kind::Text,
            Value::Map(_) => Kind::Map,
            Value::Array(list) => Kind::List(Box::new(common(list.iter().map(Kind::of)))),
            _ => Kind::Any,
        }
    }

    pub(super) fn may_be(&self, other: &Kind) -> bool {
        self == other || *self == Kind::Any
    }

    pub(super) fn may_be_number(&self) -> bool {
        matches!(self, Kind::Integer | Kind::Float | Kind::Any)
    }

    fn comparable(&self, other: &Kind) -> bool {
        use Kind::{Any, List, Nil};
        let open = |kind: &Kind| matches!(kind, Any | Nil);
        let lists = matches!((self, other), (List(_), List(_)));
        let numbers = self.may_be_number() && other.may_be_number();
        self == other || lists || numbers || open(self) || open(other)
    }

    fn element(&self) -> Option<Kind> {
        match self {
            Kind::List(element) => Some((**element).clone()),
            Kind::Any => Some(Kind::Any),
            _ => None,
        }
    }
}

/// The kind that all have, or any.
fn common(kinds: impl Iterator<Item = Kind>) -> Kind {
    let mut kinds = kinds;
    let Some(first) = kinds.next() else {
        return Kind::Any;
    };
    if kinds.all(|kind| kind == first) {
        first
    } else {
        Kind::Any
    }
}

/// Go's names, which users of Argo Rollouts know from its messages.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Nil => f.write_str("nil"),
            Kind::Bool => f.write_str("bool"),
            Kind::Integer => f.write_str("int"),
            Kind::Float => f.write_str("float64"),
            Kind::Text => f.write_str("string"),
            Kind::List(element) => write!(f, "[]{element}"),
            Kind::Map => f.write_str("map[string]any"),
            Kind::Any => f.write_str("any"),
        }
    }
}

struct Checker<'n> {
    names: Vec<(&'n str, Kind)>,
    /// Of the lists whose predicates are being checked, innermost last.
    elements: Vec<Kind>,
}

impl<'n> Checker<'n> {
    fn kind(&mut self, node: &'n Node) -> Result<Kind, String> {
        match node {
            Node::Literal(value) => Ok(Kind::of(value)),
            Node::Name(name) => {
                let known = self.names.iter().rev().find(|(known, _)| known == name);
                known
                    .map(|(_, kind)| kind.clone())
                    .ok_or_else(|| format!("unknown name {name}"))
            }
            Node::Pointer(name) => match name.as_str() {
                "" => Ok(self.elements.last().cloned().unwrap_or(Kind::Any)),
                "index" => Ok(Kind::Integer),
                "acc" => Ok(Kind::Any),
                other => Err(format!("unknown pointer #{other}")),
            },
            Node::List(nodes) => {
                let kinds = nodes.iter().map(|node| self.kind(node));
                let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
                Ok(Kind::List(Box::new(common(kinds.into_iter()))))
            }
            Node::Map(entries) => {
                entries
                    .iter()
                    .try_for_each(|(_, node)| self.kind(node).map(drop))?;
                Ok(Kind::Map)
            }
            Node::Unary(operator, node) => {
                let kind = self.kind(node)?;
                unary(*operator, kind)
            }
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.kind(left)?, self.kind(right)?);
                binary(*operator, left, right)
            }
            Node::Choice(nodes) => self.choice(nodes),
            Node::Index(base, index, _) => {
                let base = self.kind(base)?;
                let key = self.kind(index)?;
                indexed(&base, &key, index)
            }
            Node::Slice(base, from, to) => self.slice(base, from.as_deref(), to.as_deref()),
            Node::Call(name, args) => {
                let kinds = args
                    .iter()
                    .map(|arg| self.kind(arg))
                    .collect::<Result<Vec<_>, _>>()?;
                function::kind(name, &kinds)
            }
            Node::Each(each, list, predicate, begin) => {
                self.each(*each, list, predicate, begin.as_deref())
            }
            Node::Let(name, value, body) => {
                let kind = self.kind(value)?;
                self.names.push((name, kind));
                let kind = self.kind(body);
                self.names.pop();
                kind
            }
        }
    }

    fn choice(&mut self, nodes: &'n [Node; 3]) -> Result<Kind, String> {
        let [condition, then, otherwise] = nodes;
        let kind = self.kind(condition)?;
        if !kind.may_be(&Kind::Bool) {
            return Err(format!(
                "non-bool expression (type {kind}) used as condition"
            ));
        }
        let (then, otherwise) = (self.kind(then)?, self.kind(otherwise)?);
        Ok(common([then, otherwise].into_iter()))
    }

    fn slice(
        &mut self,
        base: &'n Node,
        from: Option<&'n Node>,
        to: Option<&'n Node>,
    ) -> Result<Kind, String> {
        let base = self.kind(base)?;
        for bound in [from, to].into_iter().flatten() {
            let kind = self.kind(bound)?;
            if !kind.may_be(&Kind::Integer) {
                return Err(format!("non-integer slice index {kind}"));
            }
        }
        match base {
            Kind::List(_) | Kind::Text | Kind::Any => Ok(base),
            other => Err(format!("cannot slice {other}")),
        }
    }

    fn each(
        &mut self,
        each: Each,
        list: &'n Node,
        predicate: &'n Node,
        begin: Option<&'n Node>,
    ) -> Result<Kind, String> {
        let list = self.kind(list)?;
        let element = list
            .element()
            .ok_or_else(|| format!("builtin {} takes only array (got {list})", each.name()))?;
        if let Some(begin) = begin {
            self.kind(begin)?;
        }
        self.elements.push(element.clone());
        let answer = self.kind(predicate);
        self.elements.pop();
        let answer = answer?;
        if each.asks() && !answer.may_be(&Kind::Bool) {
            return Err(format!("predicate should return boolean (got {answer})"));
        }
        Ok(match each {
            Each::All | Each::Any | Each::One | Each::None => Kind::Bool,
            Each::Count | Each::FindIndex | Each::FindLastIndex => Kind::Integer,
            Each::Map => Kind::List(Box::new(answer)),
            Each::Filter => Kind::List(Box::new(element)),
            Each::Find | Each::FindLast => element,
            Each::Sum => answer,
            Each::Reduce => Kind::Any,
        })
    }
}

fn unary(operator: Unary, kind: Kind) -> Result<Kind, String> {
    match operator {
        Unary::Not if kind.may_be(&Kind::Bool) => Ok(Kind::Bool),
        Unary::Not => Err(format!("invalid operation: ! (mismatched type {kind})")),
        Unary::Minus | Unary::Plus if kind.may_be_number() => Ok(kind),
        Unary::Minus | Unary::Plus => Err(format!("invalid operation: - (mismatched type {kind})")),
    }
}

fn binary(operator: Binary, left: Kind, right: Kind) -> Result<Kind, String> {
    use Kind::{Any, Bool, Float, Integer, Map, Nil, Text};
    let both = |kind: &Kind| left.may_be(kind) && right.may_be(kind);
    let numbers = left.may_be_number() && right.may_be_number();
    let open = left == Any || right == Any;
    let found = match operator {
        Binary::Or | Binary::And => both(&Bool).then_some(Bool),
        Binary::Equal | Binary::NotEqual => left.comparable(&right).then_some(Bool),
        Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
            (numbers || both(&Text)).then_some(Bool)
        }
        Binary::In => match &right {
            Any | Nil => Some(Bool),
            Map => left.may_be(&Text).then_some(Bool),
            list => list
                .element()
                .is_some_and(|each| left.comparable(&each))
                .then_some(Bool),
        },
        Binary::Contains | Binary::StartsWith | Binary::EndsWith | Binary::Matches => {
            both(&Text).then_some(Bool)
        }
        Binary::Range => both(&Integer).then(|| Kind::List(Box::new(Integer))),
        Binary::Add if both(&Text) && !open => Some(Text),
        Binary::Add if open && (numbers || both(&Text)) => Some(Any),
        Binary::Add | Binary::Subtract | Binary::Multiply if numbers && open => Some(Any),
        Binary::Add | Binary::Subtract | Binary::Multiply if numbers => {
            Some(if both(&Integer) { Integer } else { Float })
        }
        Binary::Divide | Binary::Power => numbers.then_some(Float),
        Binary::Modulo => both(&Integer).then_some(Integer),
        Binary::Coalesce if left == Nil => return Ok(right),
        Binary::Coalesce => return Ok(common([left, right].into_iter())),
        Binary::Add | Binary::Subtract | Binary::Multiply => None,
    };
    found.ok_or_else(|| misfit(operator, &left, &right))
}

fn indexed(base: &Kind, key: &Kind, index: &Node) -> Result<Kind, String> {
    let field = match index {
        Node::Literal(Value::String(name)) => Some(name),
        _ => None,
    };
    match (base, field) {
        (Kind::Any, _) => Ok(Kind::Any),
        (Kind::Map, _) if key.may_be(&Kind::Text) => Ok(Kind::Any),
        (Kind::Map, _) => Err(format!("cannot use {key} to get an element from {base}")),
        (Kind::List(element), None) if key.may_be(&Kind::Integer) => Ok((**element).clone()),
        (Kind::List(_), None) => Err(format!(
            "array elements can only be selected using an integer (got {key})"
        )),
        (_, Some(field)) => Err(format!("type {base} has no field {field}")),
        (_, None) => Err(format!("type {base} cannot be indexed")),
    }
}

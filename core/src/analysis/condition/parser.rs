//! From tokens to a tree, by the precedences of Go's expr.

use expr::Value;

use super::function::{EACH, Each, is_function};
use super::lexer::{Token, TokenKind};
use super::operator::{Binary, Unary};

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Literal(Value),
    /// `result`, or what `let` names.
    Name(String),
    /// `#`, `#index` or `#acc`, without the `#`.
    Pointer(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// Condition, then, else.
    Choice(Box<[Node; 3]>),
    /// Value, index, and whether a missing value is nil (`?.`).
    Index(Box<Node>, Box<Node>, bool),
    Slice(Box<Node>, Option<Box<Node>>, Option<Box<Node>>),
    Call(String, Vec<Node>),
    /// A function over the elements of a list, with its predicate, and `reduce`'s begin.
    Each(Each, Box<Node>, Box<Node>, Option<Box<Node>>),
    Let(String, Box<Node>, Box<Node>),
}

impl Node {
    /// Whether this is so of the node, or of any in it.
    pub(super) fn any(&self, is: &dyn Fn(&Node) -> bool) -> bool {
        is(self) || self.inside().iter().any(|node| node.any(is))
    }

    fn inside(&self) -> Vec<&Node> {
        match self {
            Node::Literal(_) | Node::Name(_) | Node::Pointer(_) => Vec::new(),
            Node::List(nodes) | Node::Call(_, nodes) => nodes.iter().collect(),
            Node::Map(entries) => entries.iter().map(|(_, node)| node).collect(),
            Node::Unary(_, node) => vec![node],
            Node::Binary(_, left, right)
            | Node::Index(left, right, _)
            | Node::Let(_, left, right) => vec![left, right],
            Node::Choice(nodes) => nodes.iter().collect(),
            Node::Slice(base, from, to) => {
                let bounds = [from, to].into_iter().flatten().map(|bound| &**bound);
                [&**base].into_iter().chain(bounds).collect()
            }
            Node::Each(_, list, predicate, begin) => {
                let begin = begin.iter().map(|begin| &**begin);
                [&**list, &**predicate].into_iter().chain(begin).collect()
            }
        }
    }
}

/// How often operators, calls and brackets may stand in each other or in a row: it bounds the
/// stack that checking and evaluation need.
const MOST_NODES: usize = 200;

pub(super) fn parse(tokens: &[Token]) -> Result<Node, String> {
    let mut parser = Parser {
        tokens,
        nodes: 0,
        predicates: 0,
    };
    let node = parser.program()?;
    match parser.tokens.first() {
        Some(_) => Err(parser.unexpected("an operator or the end")),
        None => Ok(node),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    nodes: usize,
    predicates: usize,
}

impl Parser<'_> {
    fn program(&mut self) -> Result<Node, String> {
        if !self.takes_word("let") {
            return self.expression(0);
        }
        self.grow()?;
        let name = self.word("a name")?;
        self.sign("=")?;
        let value = self.expression(0)?;
        self.sign(";")?;
        let body = self.program()?;
        Ok(Node::Let(name, Box::new(value), Box::new(body)))
    }

    /// An expression whose operators bind at least as tight as `least`; 0 takes `?:` and `|` too.
    fn expression(&mut self, least: u16) -> Result<Node, String> {
        self.grow()?;
        let mut left = self.prefix()?;
        loop {
            left = self.operations(left, least)?;
            if least == 0 && self.takes("|") {
                self.grow()?;
                let name = self.word("a function")?;
                left = self.call(name, Some(left))?;
                left = self.postfix(left)?;
            } else if least == 0 && self.takes("?") {
                let then = self.expression(0)?;
                self.sign(":")?;
                let otherwise = self.expression(0)?;
                left = Node::Choice(Box::new([left, then, otherwise]));
            } else {
                return Ok(left);
            }
        }
    }

    fn operations(&mut self, mut left: Node, least: u16) -> Result<Node, String> {
        while let Some((operator, negated, length)) = self.binary() {
            if operator.precedence() < least {
                break;
            }
            self.grow()?;
            self.skip(length);
            let tighter = u16::from(operator != Binary::Power);
            let right = self.expression(operator.precedence() + tighter)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
            if negated {
                left = Node::Unary(Unary::Not, Box::new(left));
            }
        }
        Ok(left)
    }

    /// The operator that comes next, whether `not` stands before it, and its tokens.
    fn binary(&self) -> Option<(Binary, bool, usize)> {
        let operator = |token: Option<&Token>| match &token?.kind {
            TokenKind::Sign(sign) => Binary::of(sign),
            TokenKind::Word(word) => Binary::of(word),
            _ => None,
        };
        if self.is_word("not") {
            let operator = operator(self.tokens.get(1)).filter(|found| found.negatable())?;
            return Some((operator, true, 2));
        }
        operator(self.tokens.first()).map(|operator| (operator, false, 1))
    }

    fn prefix(&mut self) -> Result<Node, String> {
        let operator = match self.tokens.first().map(|token| &token.kind) {
            Some(TokenKind::Sign("!")) => Unary::Not,
            Some(TokenKind::Word(word)) if word == "not" => Unary::Not,
            Some(TokenKind::Sign("-")) => Unary::Minus,
            Some(TokenKind::Sign("+")) => Unary::Plus,
            _ => {
                let primary = self.primary()?;
                return self.postfix(primary);
            }
        };
        self.skip(1);
        let node = self.expression(operator.precedence())?;
        Ok(Node::Unary(operator, Box::new(node)))
    }

    fn primary(&mut self) -> Result<Node, String> {
        let Some((token, rest)) = self.tokens.split_first() else {
            return Err(self.unexpected("a value"));
        };
        let literal = match &token.kind {
            TokenKind::Integer(number) => Value::Integer(*number),
            TokenKind::Float(number) => Value::Float(*number),
            TokenKind::Text(text) => Value::String(text.clone()),
            TokenKind::Pointer(name) => {
                if self.predicates == 0 {
                    return Err(self.unexpected("a value (# stands for an element in a predicate)"));
                }
                self.tokens = rest;
                return Ok(Node::Pointer(name.clone()));
            }
            TokenKind::Word(word) => {
                let word = word.clone();
                return self.named(word);
            }
            TokenKind::Sign(sign) => return self.bracketed(sign),
        };
        self.tokens = rest;
        Ok(Node::Literal(literal))
    }

    fn named(&mut self, word: String) -> Result<Node, String> {
        const RESERVED: [&str; 10] = [
            "and",
            "or",
            "in",
            "contains",
            "startsWith",
            "endsWith",
            "matches",
            "let",
            "else",
            "not",
        ];
        if RESERVED.contains(&word.as_str()) {
            return Err(self.unexpected("a value"));
        }
        self.skip(1);
        Ok(match word.as_str() {
            "true" => Node::Literal(Value::Bool(true)),
            "false" => Node::Literal(Value::Bool(false)),
            "nil" => Node::Literal(Value::Nil),
            "if" => return self.conditional(),
            _ if self.is("(") => return self.call(word, None),
            _ => Node::Name(word),
        })
    }

    fn conditional(&mut self) -> Result<Node, String> {
        self.grow()?;
        let condition = self.expression(0)?;
        let then = self.block()?;
        if !self.takes_word("else") {
            return Err(self.unexpected("else"));
        }
        let otherwise = if self.takes_word("if") {
            self.conditional()?
        } else {
            self.block()?
        };
        Ok(Node::Choice(Box::new([condition, then, otherwise])))
    }

    fn block(&mut self) -> Result<Node, String> {
        self.sign("{")?;
        let node = self.program()?;
        self.sign("}")?;
        Ok(node)
    }

    fn bracketed(&mut self, sign: &str) -> Result<Node, String> {
        match sign {
            "(" => {
                self.skip(1);
                let node = self.expression(0)?;
                self.sign(")")?;
                Ok(node)
            }
            "[" => {
                self.skip(1);
                self.listed("]", |parser| parser.expression(0))
                    .map(Node::List)
            }
            "{" => {
                self.skip(1);
                self.listed("}", Self::entry).map(Node::Map)
            }
            // `.field` in a predicate is `#.field`.
            "." if self.predicates > 0 => {
                let element = Node::Pointer(String::new());
                self.postfix(element)
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    fn entry(&mut self) -> Result<(String, Node), String> {
        let Some((token, rest)) = self.tokens.split_first() else {
            return Err(self.unexpected("a key"));
        };
        let key = match &token.kind {
            TokenKind::Word(key) | TokenKind::Text(key) => key.clone(),
            TokenKind::Integer(key) => key.to_string(),
            _ => return Err(self.unexpected("a key")),
        };
        self.tokens = rest;
        self.sign(":")?;
        Ok((key, self.expression(0)?))
    }

    /// Elements up to `close`, separated by commas; one comma may end them.
    fn listed<T>(
        &mut self,
        close: &'static str,
        mut element: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.grow()?;
        let mut elements = Vec::new();
        while !self.takes(close) {
            elements.push(element(self)?);
            if !self.takes(",") {
                self.sign(close)?;
                break;
            }
        }
        Ok(elements)
    }

    /// `.name`, `?.name`, `[index]`, `?.[index]` and `[from:to]` after a value.
    fn postfix(&mut self, mut node: Node) -> Result<Node, String> {
        loop {
            let optional = self.is("?.");
            if self.takes("?.") || self.takes(".") {
                self.grow()?;
                if optional && self.takes("[") {
                    node = self.index(node, true)?;
                    continue;
                }
                let name = self.word("a field's name")?;
                if self.is("(") {
                    return Err(self.unexpected("a field (methods are not supported)"));
                }
                let name = Box::new(Node::Literal(Value::String(name)));
                node = Node::Index(Box::new(node), name, optional);
            } else if self.takes("[") {
                self.grow()?;
                node = self.index(node, false)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn index(&mut self, base: Node, optional: bool) -> Result<Node, String> {
        let base = Box::new(base);
        let from = if self.is(":") {
            None
        } else {
            Some(Box::new(self.expression(0)?))
        };
        if self.takes(":") {
            let to = if self.is("]") {
                None
            } else {
                Some(Box::new(self.expression(0)?))
            };
            self.sign("]")?;
            return Ok(Node::Slice(base, from, to));
        }
        self.sign("]")?;
        match from {
            Some(index) => Ok(Node::Index(base, index, optional)),
            None => Err(self.unexpected("an index")),
        }
    }

    /// A call; `piped` is its first argument.
    fn call(&mut self, name: String, piped: Option<Node>) -> Result<Node, String> {
        let each = EACH.iter().find(|each| each.name() == name).copied();
        if each.is_none() && !is_function(&name) {
            return Err(format!("unknown name {name} (no such function)"));
        }
        self.sign("(")?;
        let Some(each) = each else {
            let mut args: Vec<Node> = piped.into_iter().collect();
            args.extend(self.listed(")", |parser| parser.expression(0))?);
            return Ok(Node::Call(name, args));
        };
        self.grow()?;
        let list = match piped {
            Some(list) => list,
            None => {
                let list = self.expression(0)?;
                if !self.takes(",") {
                    self.sign(")")?;
                    return each.alone(list);
                }
                list
            }
        };
        if self.takes(")") {
            return each.alone(list);
        }
        self.predicates += 1;
        let predicate = if self.is("{") {
            self.block()?
        } else {
            self.expression(0)?
        };
        self.predicates -= 1;
        let begin = match each == Each::Reduce && self.takes(",") {
            true => Some(Box::new(self.expression(0)?)),
            false => None,
        };
        self.takes(",");
        self.sign(")")?;
        Ok(Node::Each(each, Box::new(list), Box::new(predicate), begin))
    }

    /// Counts a node that holds others.
    fn grow(&mut self) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(format!(
                "is too large, expected at most {MOST_NODES} operators and brackets"
            ));
        }
        Ok(())
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.tokens.first().map(|t| &t.kind), Some(TokenKind::Sign(next)) if *next == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.tokens.first().map(|t| &t.kind), Some(TokenKind::Word(next)) if next == word)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.skip(usize::from(found));
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.skip(usize::from(found));
        found
    }

    fn sign(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(self.unexpected(sign))
        }
    }

    fn word(&mut self, what: &str) -> Result<String, String> {
        let Some(TokenKind::Word(word)) = self.tokens.first().map(|token| &token.kind) else {
            return Err(self.unexpected(what));
        };
        let word = word.clone();
        self.skip(1);
        Ok(word)
    }

    fn skip(&mut self, count: usize) {
        self.tokens = self.tokens.get(count..).unwrap_or_default();
    }

    fn unexpected(&self, expected: &str) -> String {
        let Some(token) = self.tokens.first() else {
            return format!("unexpected end, expected {expected}");
        };
        let found = match &token.kind {
            TokenKind::Integer(number) => number.to_string(),
            TokenKind::Float(number) => number.to_string(),
            TokenKind::Text(text) => format!("{text:?}"),
            TokenKind::Word(word) => word.clone(),
            TokenKind::Pointer(name) => format!("#{name}"),
            TokenKind::Sign(sign) => (*sign).to_string(),
        };
        format!(
            "unexpected {found} at byte {}, expected {expected}",
            token.at
        )
    }
}

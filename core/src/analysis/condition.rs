//! Conditions: an expression over `result` in, true or false out.
//!
//! The language is Go's expr with Argo Rollouts' helpers. Values and functions are those of the
//! `expr-lang` crate; parsing, types and operators are done here, because the crate checks no types
//! (`result == 10` on a vector must be an error, not false), answers nil for an index out of range,
//! panics on a map with computed values, and bounds neither its stack nor its memory.

use super::reading::Reading;

pub use moment::Moment;

mod checker;
mod evaluator;
mod function;
mod lexer;
mod moment;
mod operator;
mod parser;

/// An expression, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(parser::Node);

/// Longer than any condition written by hand.
const LONGEST: usize = 4096;

impl Condition {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Condition, String> {
        parsed(text).map(Condition)
    }

    /// Whether it calls this function anywhere.
    pub fn calls(&self, function: &str) -> bool {
        self.0
            .any(&|node| matches!(node, parser::Node::Call(name, _) if name == function))
    }

    /// Whether it holds for `result`.
    ///
    /// # Errors
    /// A type that does not fit, found before anything is evaluated, or what went wrong then.
    pub fn holds(&self, result: &Reading) -> Result<bool, String> {
        let result = evaluator::value(result);
        let kind = checker::kind(&self.0, Some(checker::Kind::of(&result)))?;
        if !kind.may_be(&checker::Kind::Bool) {
            return Err(format!("expected bool, but got {kind}"));
        }
        match evaluator::evaluate(&self.0, result)? {
            expr::Value::Bool(answer) => Ok(answer),
            other => Err(format!(
                "expected bool, but got {}",
                checker::Kind::of(&other)
            )),
        }
    }
}

fn parsed(text: &str) -> Result<parser::Node, String> {
    if text.len() > LONGEST {
        return Err(format!(
            "is {} bytes long, expected at most {LONGEST}",
            text.len()
        ));
    }
    let tokens = lexer::tokens(text)?;
    parser::parse(&tokens)
}

#[cfg(test)]
mod tests;

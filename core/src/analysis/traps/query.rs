//! What a query to Prometheus brings, as far as its text tells: PromQL in, a shape out.

use token::{Token, tokens};

mod token;

/// What a query brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A number.
    Scalar,
    /// A list of numbers.
    Vector {
        /// Whether a value stands in for what is not found.
        never_empty: bool,
    },
    /// Arguments decide.
    Unknown,
}

pub(super) fn shape(query: &str) -> Shape {
    let tokens = tokens(query);
    let mut reader = Reader {
        tokens: &tokens,
        depth: 0,
    };
    reader.expression()
}

/// Deeper than any query written by hand: it bounds the stack.
const DEEPEST: usize = 50;

/// Words between operands, after which a list of labels may stand.
const MODIFIERS: [&str; 6] = [
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "by",
    "without",
];

/// Functions that tell of this moment where they have no argument.
const OF_NOW: [&str; 8] = [
    "hour",
    "minute",
    "month",
    "year",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
];

/// Whether it names a value for what is not found.
pub(super) fn names_stand_in(query: &str) -> bool {
    let tokens = tokens(query);
    tokens.contains(&Token::Word("or")) || tokens.contains(&Token::Word("vector"))
}

/// Whether it may bring NaN, as far as its text tells: an argument, or a metric that a rule records,
/// may be anything.
pub(super) fn may_be_nan(query: &str) -> bool {
    const MAY: [&str; 9] = [
        "histogram_",
        "quantile",
        "avg",
        "stddev",
        "stdvar",
        "sqrt",
        "ln",
        "log",
        "nan",
    ];
    tokens(query).iter().any(|token| match token {
        Token::Operator(operator) => "/%^".contains(*operator),
        Token::Argument => true,
        Token::Word(word) => {
            let word = word.to_ascii_lowercase();
            word.contains(':') || MAY.iter().any(|one| word.starts_with(one))
        }
        _ => false,
    })
}

struct Reader<'t> {
    tokens: &'t [Token<'t>],
    depth: usize,
}

/// Operands joined by operators that bind tighter than `or`.
#[derive(Default)]
struct Chain {
    operands: Vec<Shape>,
    /// Whether an operator leaves out what it does not hold for.
    filters: bool,
}

impl Reader<'_> {
    /// Reads up to what closes or separates, which is left.
    fn expression(&mut self) -> Shape {
        let (mut alternatives, mut chain) = (Vec::new(), Chain::default());
        while let Some(token) = self.tokens.first().copied() {
            if matches!(token, Token::Close | Token::Comma) {
                break;
            }
            self.skip();
            match token {
                Token::Word("or") => alternatives.push(std::mem::take(&mut chain).shape()),
                Token::Word("and" | "unless") => chain.filters = true,
                Token::Comparison if self.tokens.first() != Some(&Token::Word("bool")) => {
                    chain.filters = true;
                }
                Token::Word("offset") => self.skip(),
                Token::Word(word) if MODIFIERS.contains(&word) => self.labels(),
                Token::Word("bool") | Token::Comparison | Token::Operator(_) | Token::Range => {}
                Token::Number => chain.operands.push(Shape::Scalar),
                Token::Argument => chain.operands.push(Shape::Unknown),
                Token::Selector => chain.operands.push(Shape::Vector { never_empty: false }),
                Token::Open => {
                    let inside = self.list().pop();
                    chain.operands.extend(inside);
                }
                Token::Word(word) => {
                    let operand = self.named(word);
                    chain.operands.push(operand);
                }
                Token::Close | Token::Comma => {}
            }
        }
        if alternatives.is_empty() {
            return chain.shape();
        }
        alternatives.push(chain.shape());
        Shape::Vector {
            never_empty: alternatives.iter().any(|one| one.is_always_there()),
        }
    }

    /// A call, or a metric.
    fn named(&mut self, word: &str) -> Shape {
        if let Some(Token::Word("by" | "without")) = self.tokens.first() {
            self.skip();
            self.labels();
        }
        if self.tokens.first() != Some(&Token::Open) {
            return match word.to_ascii_lowercase().as_str() {
                "inf" | "nan" => Shape::Scalar,
                _ => Shape::Vector { never_empty: false },
            };
        }
        self.skip();
        let arguments = self.list();
        let stand_in = Shape::Vector { never_empty: true };
        match word {
            "scalar" | "time" | "pi" => Shape::Scalar,
            "vector" => stand_in,
            _ if arguments.is_empty() && OF_NOW.contains(&word) => stand_in,
            "absent" | "absent_over_time" => Shape::Vector { never_empty: false },
            _ => Shape::Vector {
                never_empty: arguments.contains(&stand_in),
            },
        }
    }

    /// What stands between brackets, the first of which is read already.
    fn list(&mut self) -> Vec<Shape> {
        let mut found = Vec::new();
        self.depth += 1;
        if self.depth > DEEPEST {
            self.tokens = &[];
            return vec![Shape::Unknown];
        }
        while let Some(token) = self.tokens.first() {
            match token {
                Token::Close => {
                    self.skip();
                    break;
                }
                Token::Comma => self.skip(),
                _ => found.push(self.expression()),
            }
        }
        self.depth -= 1;
        found
    }

    /// Passes over a list of labels, if there is one.
    fn labels(&mut self) {
        if self.tokens.first() == Some(&Token::Open) {
            self.skip();
            self.list();
        }
    }

    fn skip(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or_default();
    }
}

impl Chain {
    fn shape(self) -> Shape {
        let all = &self.operands;
        let is_vector = |one: &Shape| matches!(one, Shape::Vector { .. });
        if all.iter().any(is_vector) {
            let there = all.iter().all(|one| one.is_always_there());
            return Shape::Vector {
                never_empty: there && !self.filters,
            };
        }
        match all.is_empty() || all.contains(&Shape::Unknown) {
            true => Shape::Unknown,
            false => Shape::Scalar,
        }
    }
}

impl Shape {
    /// What the same query brings over a range, which is a list whatever it asks.
    pub(super) fn over_range(self) -> Shape {
        Shape::Vector {
            never_empty: self.is_always_there(),
        }
    }

    fn is_always_there(self) -> bool {
        matches!(self, Shape::Scalar | Shape::Vector { never_empty: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_brings_a_vector_unless_it_is_made_of_numbers() {
        let found = Shape::Vector { never_empty: false };
        let there = Shape::Vector { never_empty: true };
        for (query, wanted) in [
            ("up", found),
            ("up{job=\"a\"}[5m]", found),
            ("{__name__=\"up\"}", found),
            ("sum by (le) (rate(a{b=\"or vector(0)\"}[1m])) > 1", found),
            ("1 - (sum(a) / sum(b)) * 100 offset 5m", found),
            ("histogram_quantile(0.99, sum by (le) (a))", found),
            ("up{{args.suffix}}", found),
            ("sum(rate(a{{{args.matchers}}}[{{args.window}}]))", found),
            ("up # or vector(0)\n", found),
            ("absent(a or vector(0))", found),
            ("(a or on() vector(0)) / sum(b)", found),
            ("(a or vector(0)) > 1", found),
            ("a unless on(x) vector(1)", found),
            ("a or b", found),
            ("scalar(a)", Shape::Scalar),
            ("scalar(a) / (scalar(b) + 1e-3)", Shape::Scalar),
            ("-time() * Inf", Shape::Scalar),
            ("scalar(a) > bool 1", Shape::Scalar),
            ("scalar(a) * b", found),
            ("a or vector(0)", there),
            ("sum(a) or on() vector(1)", there),
            ("sum by (x) (a or vector(0))", there),
            ("(a or vector(0)) / (b or vector(1))", there),
            ("(a or vector(0)) > bool 1", there),
            ("up OR ON() vector(0)", there),
            ("sum BY (x) (a) Unless b", found),
            ("hour()", there),
            ("hour(a)", found),
            ("a and ON() hour() > 6", found),
            ("{{args.query}}", Shape::Unknown),
            ("({{ args.query }}) * 2", Shape::Unknown),
            ("", Shape::Unknown),
        ] {
            assert_eq!(shape(query), wanted, "{query}");
        }
    }

    #[test]
    fn what_divides_or_is_not_known_may_be_nan() {
        for (query, may) in [
            ("sum(a{path=\"/x\"})", false),
            ("a / b", true),
            ("histogram_quantile(0.9, a)", true),
            ("AVG(a)", true),
            ("job:errors:ratio", true),
            ("{{args.query}}", true),
            ("sum(rate(a[1m])) * 60", false),
        ] {
            assert_eq!(may_be_nan(query), may, "{query}");
        }
    }

    #[test]
    fn depth_is_bounded_and_no_text_is_too_odd() {
        assert_eq!(shape(&"(".repeat(100_000)), Shape::Unknown);
        for odd in [
            "\"", "{", "{{", "a{\"", "[", ")(", "}", "a{{", "'\\", "ä(ö", ")))", ",,",
        ] {
            shape(odd);
        }
    }
}

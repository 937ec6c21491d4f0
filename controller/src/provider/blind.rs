//! Queries that see nothing: a query in, another out that tells whether it can see anything. A wrong
//! workload's name finds no series, and `or vector(1)` makes that look like success.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serin_core::analysis::{Outcome, PrometheusQuery, Reading};
use serin_core::judge::verdict::grouped;
use serin_core::time::Timestamp;
use std::time::Duration;

use super::Asking;
use super::compare::{self, Subject};
use super::prometheus;

/// Labels that say how a request ended: no series of this kind may only mean that none ended so.
const ENDINGS: [&str; 7] = [
    "response_code",
    "code",
    "status",
    "status_code",
    "grpc_response_status",
    "response_flags",
    "response_code_class",
];
/// What the filter counted is compared over this time before the measurement.
const WINDOW: Duration = Duration::from_secs(300);
/// What is younger may be scraped yet.
const SCRAPED: Duration = Duration::from_secs(15);

/// Why the query is blind: what it measured came from no series at all, while the filter counted
/// requests to the canary.
pub(super) async fn why(
    asking: &Asking,
    query: &PrometheusQuery,
    subject: &Subject,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<String> {
    if !could_be(&query.query, outcome) {
        return None;
    }
    let looks = looks(&query.query)?;
    let looked = PrometheusQuery {
        query: looks,
        ..query.clone()
    };
    // Whether it is blind is only asked where all that it needs can be read.
    let seen = prometheus::series(&asking.http, &looked, &asking.tokens, now)
        .await
        .ok()?;
    if seen.iter().any(|(_, series)| *series > 0.0) {
        return None;
    }
    let before = |time: Duration| Timestamp(now.0.saturating_sub(compare::millis(time)));
    let (from, to) = (before(WINDOW), before(SCRAPED));
    let requests = compare::requests(asking, query, subject, from, to).await;
    let requests = requests.ok()?;
    (requests > 0).then(|| {
        format!(
            "blind: the query finds no series, while the filter counted {} requests to the canary in \
             {} s (is the workload's name right?)",
            grouped(requests),
            to.since(from).as_secs()
        )
    })
}

/// Whether this value may come from no series: it is none, or the query has something to say without.
fn could_be(query: &str, outcome: &Outcome) -> bool {
    let nothing = match &outcome.value {
        Reading::Scalar(number) => number.is_nan(),
        Reading::Vector(numbers) => numbers.iter().all(|number| number.is_nan()),
        Reading::Json(_) => false,
    };
    nothing
        || ["vector", "absent", "scalar"]
            .iter()
            .any(|word| query.contains(word))
}

/// A query for how many series this one can see, however requests ended; none if it cannot be read or
/// looks at none.
fn looks(query: &str) -> Option<String> {
    let parsed = parser::parse(query).ok()?;
    let mut selectors = Selectors::default();
    walk_expr(&mut selectors, &parsed).ok()?;
    let counts: Vec<String> = selectors
        .0
        .iter()
        .map(|selector| format!("count({selector})"))
        .collect();
    (!counts.is_empty()).then(|| counts.join(" or "))
}

/// The selectors of a query, however requests ended.
#[derive(Default)]
struct Selectors(Vec<VectorSelector>);

impl ExprVisitor for Selectors {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.add(selector),
            Expr::MatrixSelector(matrix) => self.add(&matrix.vs),
            _ => {}
        }
        Ok(true)
    }
}

impl Selectors {
    fn add(&mut self, selector: &VectorSelector) {
        let mut selector = selector.clone();
        let matchers = &mut selector.matchers;
        matchers.matchers.retain(|matcher| !is_ending(matcher));
        for either in &mut matchers.or_matchers {
            either.retain(|matcher| !is_ending(matcher));
        }
        if !self.0.contains(&selector) {
            self.0.push(selector);
        }
    }
}

fn is_ending(matcher: &Matcher) -> bool {
    ENDINGS.contains(&matcher.name.as_str())
        && !matches!(matcher.op, MatchOp::Equal if matcher.value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_for_any_series_however_requests_ended() {
        let query = r#"(sum(rate(r{w="a",response_code!~"5.*"}[1m])) / sum(rate(r{w="a"}[1m]))) or on() vector(1)"#;
        assert_eq!(looks(query).unwrap(), r#"count(r{w="a"})"#);
        let two = r#"sum(increase(e{code=~"5.."}[5m])) / scalar(sum(t{w="b"}))"#;
        assert_eq!(looks(two).unwrap(), r#"count(e) or count(t{w="b"})"#);
        let quantile = r#"histogram_quantile(0.99, sum by (le) (rate(d_bucket{w="a"}[10s])))"#;
        assert_eq!(looks(quantile).unwrap(), r#"count(d_bucket{w="a"})"#);
        assert_eq!(looks("vector(1)"), None);
        assert_eq!(looks("sum(("), None);
    }

    #[test]
    fn a_value_that_series_gave_is_not_doubted() {
        let value = |reading| Outcome::from(reading);
        assert!(!could_be("sum(up)", &value(Reading::Vector(vec![0.5]))));
        assert!(could_be("sum(up)", &value(Reading::Vector(vec![]))));
        assert!(could_be("sum(up)", &value(Reading::Vector(vec![f64::NAN]))));
        assert!(could_be(
            "up or vector(1)",
            &value(Reading::Vector(vec![1.0]))
        ));
    }
}

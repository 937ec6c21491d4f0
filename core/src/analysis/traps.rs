//! Traps: what a template says that does not mean what it seems to. A template comes in, out come
//! warnings that say what really happens; nothing is refused for them. Conditions are judged by
//! asking them about what a query may bring, not by how they are written.

use serde_json::Value;
use std::fmt;

use super::condition::Condition;
use super::draft::chosen;
use super::metric::{Args, Metric, Provider};
use super::reading::Reading;
use super::template::Template;
use super::verdict::judge;
use crate::field::{Field, Report, shown};
use crate::plan::AnalysisRef;
use crate::step::RunPhase;
use query::Shape;

mod count;
mod empty;
mod failure_limit;
mod hidden;
mod misfit;
mod nan;
mod number;
mod pattern;
mod query;
mod unjudged;

/// A trap, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The field.
    pub path: String,
    /// What really happens.
    pub trap: Trap,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.trap)
    }
}

/// What really happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A limit is what is tolerated, not what fails.
    FailureLimit {
        /// The limit.
        limit: u32,
        /// The count, if it is reached before the limit is exceeded.
        never_by: Option<u32>,
    },
    /// A count of nothing is none.
    ZeroCount {
        /// Whether there is an interval.
        has_interval: bool,
    },
    /// A text where a number should be.
    NoNumber {
        /// The text.
        text: String,
    },
    /// Nothing judges what is measured.
    Unjudged,
    /// A condition that NaN passes.
    NanPasses {
        /// How conditions name the number.
        number: &'static str,
    },
    /// A condition that does not fit what the query brings.
    Misfit {
        /// The condition.
        condition: String,
        /// What is wrong.
        why: String,
        /// How conditions name the number, if that mends it.
        number: Option<&'static str>,
    },
    /// A condition that cannot be asked about an empty vector.
    EmptyIsError {
        /// The error in a row that ends the run.
        fatal: u32,
    },
    /// A value that stands in for what the query does not find.
    StandIn,
    /// A rule that is no pattern.
    NoPattern {
        /// The rule.
        text: String,
    },
}

impl Trap {
    /// Whether it is likely that something else was meant. What a limit tolerates is told to those
    /// who have their files checked, and to others only where it never fails a run.
    fn is_likely(&self) -> bool {
        !matches!(self, Trap::FailureLimit { never_by: None, .. })
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trap::FailureLimit { limit, never_by } => failure_limit::tell(f, *limit, *never_by),
            Trap::ZeroCount { has_interval: true } => f.write_str(
                "is 0, which is as if it were not there: it is measured until the run is ended, \
                 which a step does not wait for, expected 1 or more",
            ),
            Trap::ZeroCount {
                has_interval: false,
            } => f.write_str(
                "is 0, which is as if it were not there: it is measured once, expected 1 or more",
            ),
            Trap::NoNumber { text } => write!(
                f,
                "is {text:?}, which counts as 0, expected a whole number"
            ),
            Trap::Unjudged => f.write_str(
                "has neither successCondition nor failureCondition: whatever is measured is \
                 Successful",
            ),
            Trap::NanPasses { number } => write!(
                f,
                "is false for NaN as every comparison with it, so a query that divides 0 by 0, such \
                 as one without requests, is Successful, expected isNaN({number}) || ... before it"
            ),
            Trap::Misfit {
                condition,
                why,
                number,
            } => {
                let condition = shown(&Value::from(condition.as_str()));
                write!(f, "is {condition}, which is an Error each time: {why}")?;
                match number {
                    Some(number) => {
                        let wrong = match *number {
                            ELEMENT => WHOLE,
                            _ => ELEMENT,
                        };
                        write!(f, ", expected {number} in the place of {wrong}")
                    }
                    None => Ok(()),
                }
            }
            Trap::EmptyIsError { fatal } => write!(
                f,
                "is an Error while the query finds nothing, and {fatal} in a row, 10 seconds apart, \
                 end the run in Error, expected len(result) == 0 || ... or len(result) > 0 && ... \
                 before it (isNil and default do not see an empty vector)"
            ),
            Trap::StandIn => f.write_str(
                "puts a value in the place of what it does not find, so a metric or label that is \
                 not there, or no requests at all, look like that value, expected no or vector(...), \
                 and len(result) in the conditions",
            ),
            Trap::NoPattern { text } => write!(
                f,
                "is {text:?}, which is no pattern, and the run is an Error (Rule didn't match any \
                 metric name(s)), expected a regular expression, such as \".*\" for all metrics"
            ),
        }
    }
}

/// A field of a metric, and its trap.
type Found = (&'static str, Trap);

/// One kind of trap.
type Check = fn(&Written<'_>) -> Vec<Found>;

const CHECKS: [Check; 8] = [
    failure_limit::find,
    count::find,
    number::find,
    unjudged::find,
    misfit::find,
    nan::find,
    empty::find,
    hidden::find,
];

impl Template {
    /// Its traps.
    pub fn warnings(&self) -> Vec<Warning> {
        let metrics = self.metrics.iter().enumerate();
        let of_metrics = metrics.flat_map(|(index, fields)| of_metric(index, fields));
        let rules = pattern::find("spec", &self.dry_run, &self.measurement_retention);
        of_metrics.chain(rules).collect()
    }
}

/// The traps of what a Rollout itself says of its analysis, which stands at `path`.
pub fn warnings_of(path: &str, analysis: &AnalysisRef) -> Vec<Warning> {
    pattern::find(path, &analysis.dry_run, &analysis.measurement_retention)
}

/// The traps of the templates that these analyses use, each once, for those who look at the
/// Rollout. `templates` are all that it may refer to.
pub fn notices<'a>(
    templates: &[Template],
    analyses: impl IntoIterator<Item = &'a AnalysisRef>,
) -> Vec<String> {
    let mut used: Vec<&Template> = Vec::new();
    for analysis in analyses {
        // What is not there is told elsewhere.
        for template in chosen(templates, &analysis.templates).unwrap_or_default() {
            if !used.iter().any(|known| std::ptr::eq(*known, template)) {
                used.push(template);
            }
        }
    }
    let told = used.into_iter().flat_map(|template| {
        let warnings = template.warnings().into_iter();
        let warnings = warnings.filter(|warning| warning.trap.is_likely());
        warnings.map(move |warning| format!("{} {}: {warning}", template.kind(), template.name))
    });
    told.collect()
}

fn of_metric(index: usize, fields: &Value) -> Vec<Warning> {
    let report = Report::default();
    let Some(metric) = Metric::read(&Field::root("", fields, &report), Args::Open) else {
        return Vec::new();
    };
    let query = match &metric.provider {
        Provider::Prometheus(query) => {
            let shape = query::shape(&query.query);
            Some(match query.range {
                Some(_) => shape.over_range(),
                None => shape,
            })
        }
        _ => None,
    };
    let written = Written {
        fields,
        metric: &metric,
        query,
    };
    let found = CHECKS.iter().flat_map(|check| check(&written));
    let warning = |(field, trap): Found| Warning {
        path: match field {
            "" => format!("spec.metrics[{index}]"),
            field => format!("spec.metrics[{index}].{field}"),
        },
        trap,
    };
    found.map(warning).collect()
}

/// A metric of a template.
struct Written<'a> {
    /// As written.
    fields: &'a Value,
    /// The same, read; what depends on arguments has a default's value.
    metric: &'a Metric,
    /// What its query to Prometheus brings; none: it has another provider.
    query: Option<Shape>,
}

impl Written<'_> {
    /// Its conditions with their fields; none if one depends on arguments or is not there to be
    /// judged.
    fn conditions(&self) -> Option<Vec<(&'static str, &str, Condition)>> {
        let both = [
            ("successCondition", &self.metric.success_condition),
            ("failureCondition", &self.metric.failure_condition),
        ];
        let written = both
            .into_iter()
            .filter_map(|(field, text)| Some((field, text.as_deref()?)));
        let parsed = written.map(|(field, text)| {
            let is_known = !text.contains("{{");
            let condition = Condition::parse(text).ok().filter(|_| is_known)?;
            Some((field, text, condition))
        });
        parsed.collect()
    }

    /// What conditions see of a query that finds this number; none for other providers.
    fn sample(&self, number: f64) -> Option<Reading> {
        let vector = Reading::Vector(vec![number]);
        let scalar = Reading::Scalar(number);
        let all_fit = |reading: &Reading| {
            let conditions = self.conditions().unwrap_or_default();
            conditions
                .iter()
                .all(|(.., one)| one.holds(reading).is_ok())
        };
        match self.query? {
            Shape::Scalar => Some(scalar),
            Shape::Vector { .. } => Some(vector),
            Shape::Unknown => [vector, scalar].into_iter().find(all_fit),
        }
    }

    fn verdict(&self, reading: &Reading) -> RunPhase {
        judge(self.metric, reading).0
    }
}

/// How conditions name the number of a reading.
fn name_of(reading: &Reading) -> &'static str {
    match reading {
        Reading::Scalar(_) => WHOLE,
        _ => ELEMENT,
    }
}

const WHOLE: &str = "result";
const ELEMENT: &str = "result[0]";

#[cfg(test)]
mod tests;

//! Whose a series is: counters and what a run is for in, selectors and sorted counts out.

use regex_lite::Regex;
use serin_core::analysis::metric::compare::pattern;
use serin_core::analysis::{Counters, Selectors};
use serin_core::judge::{Boundary, Count, Pair, Tick};
use serin_core::metric;
use serin_core::time::Timestamp;

use super::Subject;
use crate::provider::prometheus::Labels;

/// Both sides' counters.
#[derive(Debug)]
pub(super) enum Sides {
    Filter {
        rollout: String,
        namespace: String,
        revision: String,
        reporter: String,
        errors: Regex,
    },
    Given {
        canary: Selectors,
        stable: Selectors,
    },
}

/// A selector, and what its series count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) text: String,
    counts: Counts,
}

impl Selector {
    /// The unit of its buckets' bounds in milliseconds, by the convention of Prometheus that a metric's
    /// name ends with its unit.
    fn milliseconds(&self) -> f64 {
        let name = self.text.split('{').next().unwrap_or_default();
        match name.contains("seconds") && !name.contains("milliseconds") {
            true => 1000.0,
            false => 1.0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// Whatever the series' own labels say.
    AsLabelled,
    /// Something of the canary, or else of stable.
    Of { canary: bool, what: What },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Requests,
    Errors,
    Buckets,
}

impl Sides {
    /// # Errors
    /// If it is not known which Rollout or version is meant.
    pub(super) fn of(counters: &Counters, subject: &Subject) -> Result<Sides, String> {
        match counters {
            Counters::Given { canary, stable } => Ok(Sides::Given {
                canary: canary.clone(),
                stable: stable.clone(),
            }),
            Counters::Filter {
                rollout,
                revision,
                reporter,
                codes,
            } => {
                let known = |own: &Option<String>, of: &Option<String>, what: &str| {
                    own.clone().or_else(|| of.clone()).ok_or_else(|| {
                        format!(
                            "nothing says which {what} is compared, since no Rollout made this run \
                             (set serin/compare.{what})"
                        )
                    })
                };
                Ok(Sides::Filter {
                    rollout: known(rollout, &subject.rollout, "rollout")?,
                    namespace: subject.namespace.clone(),
                    revision: known(revision, &subject.revision, "revision")?,
                    reporter: reporter.clone(),
                    errors: pattern(codes).map_err(|why| format!("errors.codes: {why}"))?,
                })
            }
        }
    }

    /// What to ask for; each sample is counted once.
    pub(super) fn selectors(&self, with_latency: bool) -> Vec<Selector> {
        match self {
            Sides::Filter {
                rollout,
                namespace,
                reporter,
                ..
            } => {
                let buckets = format!("{}_bucket", metric::DURATION);
                let mut names = vec![metric::REQUESTS.to_string()];
                names.extend(with_latency.then_some(buckets));
                let selector = |name: String| Selector {
                    text: format!(
                        "{name}{{rollout={rollout:?},namespace={namespace:?},reporter={reporter:?}}}"
                    ),
                    counts: Counts::AsLabelled,
                };
                names.into_iter().map(selector).collect()
            }
            Sides::Given { canary, stable } => [(true, canary), (false, stable)]
                .into_iter()
                .flat_map(|(canary, selectors)| {
                    let buckets = selectors.buckets.as_ref().filter(|_| with_latency);
                    let all = [
                        (What::Requests, Some(&selectors.requests)),
                        (What::Errors, Some(&selectors.errors)),
                        (What::Buckets, buckets),
                    ];
                    all.into_iter().filter_map(move |(what, text)| {
                        Some(Selector {
                            text: text?.clone(),
                            counts: Counts::Of { canary, what },
                        })
                    })
                })
                .collect(),
        }
    }

    /// The selectors of stable's requests and errors.
    pub(super) fn of_stable(&self) -> Vec<Selector> {
        let selectors = self.selectors(false);
        let stable =
            |selector: &Selector| !matches!(selector.counts, Counts::Of { canary: true, .. });
        selectors.into_iter().filter(stable).collect()
    }

    /// A tick that ends at `at`, to be filled.
    pub(super) fn tick(&self, at: Timestamp) -> Sorted<'_> {
        Sorted {
            sides: self,
            at,
            canary: Side::default(),
            stable: Side::default(),
        }
    }

    /// What a series counts; none: nothing of either version.
    fn sort(&self, counts: Counts, labels: &Labels) -> Option<(bool, What, bool)> {
        let Counts::Of { canary, what } = counts else {
            return self.sort_by_labels(labels);
        };
        Some((canary, what, what == What::Errors))
    }

    fn sort_by_labels(&self, labels: &Labels) -> Option<(bool, What, bool)> {
        let Sides::Filter {
            revision, errors, ..
        } = self
        else {
            return None;
        };
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let canary = match label("variant") {
            // Another revision's was the canary of an earlier release.
            "canary" if label("revision") == revision => true,
            "stable" => false,
            _ => return None,
        };
        let what = match labels.contains_key("le") {
            true => What::Buckets,
            false => What::Requests,
        };
        Some((canary, what, errors.is_match(label("response_code"))))
    }
}

/// Counts as they come, sorted.
pub(super) struct Sorted<'a> {
    sides: &'a Sides,
    at: Timestamp,
    canary: Side,
    stable: Side,
}

#[derive(Debug, Default)]
struct Side {
    requests: f64,
    errors: f64,
    /// Requests up to a bound, and all of the histogram.
    buckets: Vec<(f64, f64)>,
}

impl Sorted<'_> {
    /// Adds what a series of `selector` has grown by.
    ///
    /// # Errors
    /// If a bucket's bound is no number.
    pub(super) fn add(
        &mut self,
        selector: &Selector,
        labels: &Labels,
        by: f64,
    ) -> Result<(), String> {
        let Some((canary, what, is_error)) = self.sides.sort(selector.counts, labels) else {
            return Ok(());
        };
        let by_labels = selector.counts == Counts::AsLabelled;
        let side = if canary {
            &mut self.canary
        } else {
            &mut self.stable
        };
        match what {
            What::Requests => {
                side.requests += by;
                side.errors += if is_error && by_labels { by } else { 0.0 };
            }
            What::Errors => side.errors += by,
            What::Buckets => side.bucket(labels, by, selector.milliseconds())?,
        }
        Ok(())
    }

    /// The tick.
    pub(super) fn tick(self) -> Tick {
        let pair = |of: &dyn Fn(&Side) -> Count| Pair {
            canary: of(&self.canary),
            stable: of(&self.stable),
        };
        let mut bounds: Vec<f64> = self.canary.bounds().chain(self.stable.bounds()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let boundary = |bound: f64| Boundary {
            bound,
            slower: pair(&|side| side.slower(bound)),
        };
        // A scrape that was read in parts would make requests slow that are not.
        if !self.canary.is_histogram() || !self.stable.is_histogram() {
            bounds.clear();
        }
        Tick {
            at: self.at,
            errors: pair(&|side| Count::new(whole(side.requests), whole(side.errors))),
            latency: bounds.into_iter().map(boundary).collect(),
        }
    }
}

impl Side {
    /// Adds to a bucket whose bound is so many milliseconds.
    fn bucket(&mut self, labels: &Labels, by: f64, unit: f64) -> Result<(), String> {
        let le = labels.get("le").map_or("", String::as_str);
        let bound: f64 = le.parse().map_err(|_| {
            format!("a bucket has le={le:?}, expected a number (is it a histogram?)")
        })?;
        let bound = bound * unit;
        match self.buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, below)) => *below += by,
            None => self.buckets.push((bound, by)),
        }
        Ok(())
    }

    fn bounds(&self) -> impl Iterator<Item = f64> {
        let bounds = self.buckets.iter().map(|(bound, _)| *bound);
        bounds.filter(|bound| bound.is_finite())
    }

    /// Whether a larger bound has as many requests below it, at least.
    fn is_histogram(&self) -> bool {
        let mut buckets = self.buckets.clone();
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        buckets.is_sorted_by(|(_, one), (_, other)| *one <= *other + 0.5)
    }

    /// All requests of the histogram, and those that took longer than `bound`.
    fn slower(&self, bound: f64) -> Count {
        let below = |bound: f64| {
            let found = self.buckets.iter().find(|(known, _)| *known == bound);
            found.map(|(_, below)| *below)
        };
        let all = below(f64::INFINITY).unwrap_or(0.0);
        // A version without this bucket has had no request yet.
        let slower = below(bound).map_or(0.0, |below| all - below);
        Count::new(whole(all), whole(slower))
    }
}

/// A count to reckon with; counts stay far below 2^53.
pub(super) fn float(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let number = count as f64;
    number
}

/// The count nearest to a number.
pub(super) fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as saturates, and counts are not negative"
    )]
    let whole = number.round() as u64;
    whole
}

#[cfg(test)]
mod tests;

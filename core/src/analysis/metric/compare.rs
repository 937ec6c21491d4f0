//! `provider.plugin.serin/compare`: the sequential judge.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::prometheus::{self, PrometheusQuery};
use super::{Args, Metric};
use crate::field::Field;
use crate::judge::parameters::Practical;
use crate::judge::{LatencyParameters, OnInconclusive, Parameters};
use counters::counters;
use number::{Shares, between};

mod counters;
mod number;

pub use counters::{Counters, Selectors, whole as pattern};

/// What is compared, and how it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// The judge's parameters.
    pub parameters: Parameters,
    /// The time from one tick to the next: the metric's `interval`.
    pub tick: Duration,
    /// How long a sample may take from its time until it can be read.
    pub lag: Duration,
    /// The Prometheus that has the counters; its query is empty.
    pub prometheus: PrometheusQuery,
    /// The counters.
    pub counters: Counters,
}

/// The plugin's name.
pub const NAME: &str = "serin/compare";

const FIELDS: [&str; 16] = [
    "alpha",
    "slo",
    "capTicks",
    "dispersion",
    "deadline",
    "lag",
    "onInconclusive",
    "errors",
    "latency",
    "promotion",
    "prometheus",
    "rollout",
    "revision",
    "reporter",
    "canary",
    "stable",
];

/// Where no interval is given, and the least that makes sense: Prometheus scrapes no faster.
const DEFAULT_TICK: Duration = Duration::from_secs(5);
const SHORTEST_TICK: Duration = Duration::from_secs(1);
/// A scrape of a large proxy takes a second or two; a remote store may take half a minute.
const DEFAULT_LAG: Duration = Duration::from_secs(2);
/// Prometheus looks back no longer for a sample.
const LONGEST_LAG: Duration = Duration::from_secs(300);

/// Reads the plugin's configuration.
pub(super) fn read(field: &Field<'_>, args: Args) -> Option<Compare> {
    field.only(&FIELDS);
    let mut parameters = Parameters::default();
    let alpha = field.optional("alpha");
    if let Some(alpha) = alpha.and_then(|f| between(&f, args, Shares::PROBABILITY)) {
        parameters.alpha = alpha;
    }
    let slo = field.optional("slo");
    if let Some(slo) = slo.and_then(|f| between(&f, args, Shares::OBJECTIVE)) {
        parameters.allowed = 1.0 - slo;
        parameters.promotion.tolerated = parameters.allowed;
    }
    if let Some(ticks) = whole(field, "capTicks", args, 0, 100) {
        parameters.cap_ticks = u32::try_from(ticks).unwrap_or(0);
    }
    parameters.dispersion = field
        .optional("dispersion")
        .filter(|f| f.value().as_str() != Some("auto"))
        .and_then(|f| between(&f, args, Shares::DISPERSION));
    if let Some(deadline) = time(field, "deadline", args) {
        parameters.deadline = deadline;
    }
    if let Some(found) = field.optional("onInconclusive") {
        parameters.on_inconclusive = on_inconclusive(&found, args).unwrap_or_default();
    }
    if let Some(errors) = field.optional("errors") {
        errors.only(&["codes", "minErrors", "minRatio", "minDifference"]);
        practical(&errors, args, "minErrors", &mut parameters.errors);
    }
    latency(field, args, &mut parameters.latency);
    if let Some(promotion) = field.optional("promotion") {
        read_promotion(&promotion, args, &mut parameters);
    }
    let prometheus = match field.optional("prometheus") {
        Some(connection) => prometheus::connection(&connection, args),
        None => Some(PrometheusQuery::default()),
    };
    let counters = counters(field, args)?;
    if let Counters::Given { canary, stable } = &counters
        && (canary.buckets.is_none() || stable.buckets.is_none())
    {
        if let Some(latency) = field.optional("latency")
            && latency.value() != &serde_json::Value::Bool(false)
        {
            latency.expected("false, or buckets of both canary and stable");
        }
        parameters.latency = None;
    }
    Some(Compare {
        parameters,
        tick: DEFAULT_TICK,
        lag: lag(field, args),
        prometheus: prometheus?,
        counters,
    })
}

/// What the metric's own fields say to the judge; reports those that mean nothing to it.
pub(super) fn fit(metric: &mut Metric, field: &Field<'_>) {
    let super::Provider::Compare(compare) = &mut metric.provider else {
        return;
    };
    const MEANINGLESS: [&str; 6] = [
        "successCondition",
        "failureCondition",
        "failureLimit",
        "inconclusiveLimit",
        "consecutiveErrorLimit",
        "consecutiveSuccessLimit",
    ];
    for name in MEANINGLESS {
        if let Some(found) = field.optional(name) {
            found.refuse(format_args!(
                "has no meaning with {NAME}, which finds the verdict itself, expected it left out"
            ));
        }
    }
    if metric.count.is_some_and(|count| count > 1)
        && let Some(count) = field.optional("count")
    {
        count.expected("1, or none: one measurement goes on until there is a verdict");
    }
    if let Some(interval) = metric.interval {
        if interval < SHORTEST_TICK
            && let Some(found) = field.optional("interval")
        {
            found.expected("1s or more");
        }
        compare.tick = interval;
    }
    compare.parameters.endless = metric.count.is_none() && metric.interval.is_some();
}

fn practical(field: &Field<'_>, args: Args, least: &str, into: &mut Practical) {
    if let Some(bad) = whole(field, least, args, 1, 1_000_000) {
        into.bad = u64::try_from(bad).unwrap_or(1);
    }
    let number = |name, shares| field.optional(name).and_then(|f| between(&f, args, shares));
    if let Some(ratio) = number("minRatio", Shares::RATIO) {
        into.ratio = ratio;
    }
    if let Some(difference) = number("minDifference", Shares::DIFFERENCE) {
        into.difference = difference;
    }
}

fn latency(field: &Field<'_>, args: Args, into: &mut Option<LatencyParameters>) {
    let Some(latency) = field.optional("latency") else {
        return;
    };
    match latency.value().as_bool() {
        Some(true) => {}
        Some(false) => *into = None,
        None if latency.value().is_object() => {
            latency.only(&["minSlow", "minRatio", "minDifference"]);
            let mut parameters = LatencyParameters::default();
            practical(&latency, args, "minSlow", &mut parameters.practical);
            *into = Some(parameters);
        }
        None => latency.expected("true, false, or an object such as {minRatio: 1.2}"),
    }
}

fn read_promotion(field: &Field<'_>, args: Args, parameters: &mut Parameters) {
    field.only(&["beta", "tolerated", "ratio", "minDuration"]);
    let number = |name, shares| field.optional(name).and_then(|f| between(&f, args, shares));
    let promotion = &mut parameters.promotion;
    if let Some(beta) = number("beta", Shares::PROBABILITY) {
        promotion.beta = beta;
    }
    if let Some(tolerated) = number("tolerated", Shares::TOLERATED) {
        promotion.tolerated = tolerated;
    }
    if let Some(ratio) = number("ratio", Shares::ABOVE_ONE) {
        promotion.ratio = ratio;
    }
    if let Some(minimum) = time(field, "minDuration", args) {
        promotion.minimum = minimum;
    }
}

fn on_inconclusive(field: &Field<'_>, args: Args) -> Option<OnInconclusive> {
    match field.value().as_str() {
        Some("pause") => Some(OnInconclusive::Pause),
        Some("promote") => Some(OnInconclusive::Promote),
        Some("rollback") => Some(OnInconclusive::Rollback),
        Some(text) if args.unknown(text) => None,
        _ => {
            field.expected("pause, promote or rollback");
            None
        }
    }
}

fn lag(field: &Field<'_>, args: Args) -> Duration {
    let lag = time(field, "lag", args);
    if lag.is_some_and(|lag| lag > LONGEST_LAG)
        && let Some(found) = field.optional("lag")
    {
        found.expected("5m or less");
    }
    lag.unwrap_or(DEFAULT_LAG)
}

fn whole(field: &Field<'_>, name: &str, args: Args, low: i32, high: i32) -> Option<i32> {
    let field = field.optional(name)?;
    let number = args.number(&field, low)?;
    if number > high {
        field.expected(format_args!("a whole number from {low} to {high}"));
        return None;
    }
    Some(number)
}

fn time(field: &Field<'_>, name: &str, args: Args) -> Option<Duration> {
    args.duration(&field.optional(name)?)
}

#[cfg(test)]
mod tests;

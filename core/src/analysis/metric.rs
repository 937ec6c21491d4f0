//! One metric of a template, read into types that cannot be wrong.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::condition::Condition;
use super::wanted::{Wanted, secret_name};
use crate::field::Field;

pub use authentication::{Authentication, BasicAuth, OAuth2};
pub use cloud_watch::CloudWatchQuery;
pub use compare::{Compare, Counters, Selectors};
pub use datadog::{DatadogQuery, DatadogQuestion};
pub use graphite::GraphiteQuery;
pub use influxdb::InfluxdbQuery;
pub use job::JobTemplate;
pub use json_path::JsonPath;
pub use new_relic::NewRelicQuery;
pub use prometheus::{PrometheusQuery, RangeQuery};
pub use request::Header;
pub use web::{WebBody, WebMethod, WebQuery};

mod authentication;
pub mod cloud_watch;
pub mod compare;
mod datadog;
mod graphite;
pub mod influxdb;
mod job;
mod json_path;
mod new_relic;
mod plugin;
mod prometheus;
mod request;
mod web;

/// What is measured, how often, and what is good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name, unique in a run.
    pub name: String,
    /// The time from the end of a measurement to the next; none: there is no next but after an
    /// error.
    pub interval: Option<Duration>,
    /// The time from the run's begin to the first measurement.
    pub initial_delay: Duration,
    /// How many measurements are wanted; none: as `interval` says, see
    /// [`Metric::effective_count`].
    pub count: Option<u32>,
    /// What is good.
    pub success_condition: Option<String>,
    /// What is bad.
    pub failure_condition: Option<String>,
    /// How many bad measurements are tolerated; none: any number.
    pub failure_limit: Option<u32>,
    /// How many measurements that cannot tell are tolerated.
    pub inconclusive_limit: u32,
    /// How many errors in a row are tolerated.
    pub consecutive_error_limit: u32,
    /// After how many good ones in a row it has succeeded; 0: that does not end it.
    pub consecutive_success_limit: u32,
    /// What measures.
    pub provider: Provider,
    /// Whether it is only watched.
    pub dry_run: bool,
    /// How many measurements are kept.
    pub retention: usize,
}

/// What measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Provider {
    /// A Prometheus server.
    Prometheus(PrometheusQuery),
    /// A URL that answers with JSON.
    Web(WebQuery),
    /// Datadog.
    Datadog(DatadogQuery),
    /// New Relic.
    NewRelic(NewRelicQuery),
    /// A Graphite server.
    Graphite(GraphiteQuery),
    /// An InfluxDB server.
    Influxdb(InfluxdbQuery),
    /// Amazon CloudWatch.
    CloudWatch(CloudWatchQuery),
    /// A Job in the cluster.
    Job(JobTemplate),
    /// The sequential judge on counters of both versions.
    Compare(Box<Compare>),
}

/// How many measurements are kept where nothing is said.
pub const DEFAULT_RETENTION: usize = 10;
/// The fifth error in a row ends a metric.
const DEFAULT_CONSECUTIVE_ERROR_LIMIT: u32 = 4;

/// Providers of Argo Rollouts that are refused as not supported rather than as unknown.
const LATER_PROVIDERS: [&str; 3] = ["kayenta", "wavefront", "skywalking"];

/// Reads a provider's field.
type ReadProvider = fn(&Field<'_>, Args) -> Option<Provider>;

/// The providers that there are.
const PROVIDERS: [(&str, ReadProvider); 9] = [
    ("prometheus", |field, args| {
        prometheus::read(field, args).map(Provider::Prometheus)
    }),
    ("web", |field, args| {
        web::read(field, args).map(Provider::Web)
    }),
    ("datadog", |field, args| {
        datadog::read(field, args).map(Provider::Datadog)
    }),
    ("newRelic", |field, args| {
        new_relic::read(field, args).map(Provider::NewRelic)
    }),
    ("graphite", |field, args| {
        graphite::read(field, args).map(Provider::Graphite)
    }),
    ("influxdb", |field, args| {
        influxdb::read(field, args).map(Provider::Influxdb)
    }),
    ("cloudWatch", |field, args| {
        cloud_watch::read(field, args).map(Provider::CloudWatch)
    }),
    ("job", |field, _| job::read(field).map(Provider::Job)),
    ("plugin", plugin::read),
];

const FIELDS: [&str; 11] = [
    "name",
    "interval",
    "initialDelay",
    "count",
    "successCondition",
    "failureCondition",
    "failureLimit",
    "inconclusiveLimit",
    "consecutiveErrorLimit",
    "consecutiveSuccessLimit",
    "provider",
];

/// The fields that are numbers, or texts that may depend on arguments.
pub(super) const NUMBERS: [&str; 5] = [
    "count",
    "failureLimit",
    "inconclusiveLimit",
    "consecutiveErrorLimit",
    "consecutiveSuccessLimit",
];

impl Metric {
    /// How many measurements end the metric: `count`, or 1 where neither count nor interval is
    /// given; none: it goes on until the run is terminated.
    pub fn effective_count(&self) -> Option<u32> {
        self.count.or(self.interval.is_none().then_some(1))
    }

    /// Reads `field`. With `args` open, a text that holds `{{` is taken as it is: its value is not
    /// known before the run is made.
    pub(super) fn read(field: &Field<'_>, args: Args) -> Option<Metric> {
        field.only(&FIELDS);
        let name = field
            .required("name", "a name")
            .and_then(|f| f.name().map(str::to_string));
        let number = |name, low| field.optional(name).and_then(|f| args.number(&f, low));
        let duration = |name| field.optional(name).and_then(|f| args.duration(&f));
        let condition = |name| {
            let condition = field.optional(name)?;
            let text = condition.string().filter(|text| !text.trim().is_empty())?;
            if !args.unknown(text)
                && let Err(why) = Condition::parse(text)
            {
                condition.expected(format_args!("an expression: {why}"));
            }
            Some(text.to_string())
        };
        let failure_limit = number("failureLimit", -1).unwrap_or(0);
        let mut metric = Metric {
            interval: duration("interval"),
            initial_delay: duration("initialDelay").unwrap_or_default(),
            count: number("count", 0).map(to_u32).filter(|count| *count > 0),
            success_condition: condition("successCondition"),
            failure_condition: condition("failureCondition"),
            failure_limit: u32::try_from(failure_limit).ok(),
            inconclusive_limit: number("inconclusiveLimit", 0).map_or(0, to_u32),
            consecutive_error_limit: number("consecutiveErrorLimit", 0)
                .map_or(DEFAULT_CONSECUTIVE_ERROR_LIMIT, to_u32),
            consecutive_success_limit: number("consecutiveSuccessLimit", 0).map_or(0, to_u32),
            dry_run: false,
            retention: DEFAULT_RETENTION,
            provider: field
                .required("provider", "what measures, such as prometheus")
                .and_then(|f| provider(&f, args.in_provider()))?,
            name: name?,
        };
        compare::fit(&mut metric, field);
        metric.limits_fit(field, args);
        Some(metric)
    }

    /// Reports limits that contradict each other.
    fn limits_fit(&self, field: &Field<'_>, args: Args) {
        let open = |name| field.optional(name).is_some_and(|f| args.unknown_field(&f));
        if let Some(interval) = field.optional("interval")
            && self.interval.is_some_and(|interval| interval.is_zero())
        {
            interval.expected("more than no time");
        }
        if self.failure_limit.is_none()
            && self.consecutive_success_limit == 0
            && !open("consecutiveSuccessLimit")
            && let Some(limit) = field.optional("failureLimit")
        {
            limit.expected("0 or more (-1 needs a consecutiveSuccessLimit)");
        }
        let (Some(count), Some(written)) = (self.count, field.optional("count")) else {
            return;
        };
        if count > 1 && self.interval.is_none() && !open("interval") {
            written.expected("1, or an interval beside it");
        }
        let need = self
            .failure_limit
            .unwrap_or(0)
            .saturating_add(self.consecutive_success_limit);
        if count < need {
            written.expected(format_args!(
                "at least failureLimit and consecutiveSuccessLimit together, {need}"
            ));
        }
        if count < self.inconclusive_limit {
            let limit = self.inconclusive_limit;
            written.expected(format_args!("at least inconclusiveLimit, {limit}"));
        }
    }
}

/// Whether the arguments of a document are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Args {
    /// A template as written; `{{args.x}}` may stand anywhere.
    Open,
    /// All but those that come from Secrets, which stand in the provider only.
    Masked,
    /// After substitution.
    Filled,
}

impl Args {
    /// The same within the provider.
    fn in_provider(self) -> Args {
        match self {
            Args::Masked => Args::Open,
            other => other,
        }
    }

    /// Whether `text` depends on an argument that is not known yet.
    pub(super) fn unknown(self, text: &str) -> bool {
        self == Args::Open && text.contains("{{")
    }

    fn unknown_field(self, field: &Field<'_>) -> bool {
        field
            .value()
            .as_str()
            .is_some_and(|text| self.unknown(text))
    }

    /// A whole number, as such or as text; a text that is none counts as 0, as in Kubernetes.
    fn number(self, field: &Field<'_>, low: i32) -> Option<i32> {
        if self.unknown_field(field) {
            return None;
        }
        let read = match field.value().as_str() {
            Some(text) => Some(text.parse().unwrap_or(0)),
            None => field.value().as_i64(),
        };
        let number = read.and_then(|number: i64| i32::try_from(number).ok());
        let number = number.filter(|number| *number >= low);
        if number.is_none() {
            field.expected(format_args!(
                "a whole number from {low}, as such or as text"
            ));
        }
        number
    }

    /// The name of a Secret.
    fn secret_name(self, field: &Field<'_>) -> Option<String> {
        let name = match field.value().as_str() {
            Some(open) if self.unknown(open) => open,
            _ => secret_name(field)?,
        };
        Some(name.to_string())
    }

    fn duration(self, field: &Field<'_>) -> Option<Duration> {
        if self.unknown_field(field) {
            None
        } else {
            field.duration()
        }
    }
}

fn to_u32(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn provider(field: &Field<'_>, args: Args) -> Option<Provider> {
    let named = field.object()?;
    let here = PROVIDERS.map(|(name, _)| name);
    for later in LATER_PROVIDERS {
        if let Some(found) = field.optional(later) {
            let here = here.join(", ");
            found.refuse(format_args!("is not supported, expected one of {here}"));
        }
    }
    let known: Vec<&str> = here.into_iter().chain(LATER_PROVIDERS).collect();
    field.only(&known);
    if named.values().filter(|value| !value.is_null()).count() > 1 {
        field.refuse("names more than one provider, expected one");
    }
    if named.is_empty() {
        field.required("prometheus", "a query");
    }
    PROVIDERS
        .into_iter()
        .find_map(|(name, read)| Some((field.optional(name)?, read)))
        .and_then(|(found, read)| read(&found, args))
}

impl Provider {
    /// Whether one measurement goes on tick by tick until the provider has a verdict.
    pub fn ticks(&self) -> bool {
        matches!(self, Provider::Compare(_))
    }

    /// What `metricResults[].metadata` says of the metric.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        match self {
            Provider::Prometheus(query) => {
                [("ResolvedPrometheusQuery".to_string(), query.query.clone())].into()
            }
            Provider::NewRelic(query) => {
                [("ResolvedNewRelicQuery".to_string(), query.query.clone())].into()
            }
            // Argo Rollouts says nothing of these.
            Provider::Web(_)
            | Provider::Datadog(_)
            | Provider::Graphite(_)
            | Provider::Influxdb(_)
            | Provider::CloudWatch(_)
            | Provider::Job(_)
            | Provider::Compare(_) => Default::default(),
        }
    }
    /// What it wants of Secrets itself, beside what arguments bring.
    pub fn secrets(&self) -> BTreeSet<Wanted> {
        match self {
            Provider::Datadog(query) => query.secrets(),
            Provider::NewRelic(query) => query.secrets(),
            Provider::Influxdb(query) => query.secrets(),
            Provider::CloudWatch(query) => query.secrets(),
            Provider::Prometheus(_)
            | Provider::Web(_)
            | Provider::Graphite(_)
            | Provider::Job(_)
            | Provider::Compare(_) => BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests;

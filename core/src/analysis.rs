//! What a measurement, a metric and an analysis run mean (Argo Rollouts' semantics): templates,
//! what was measured and the time in, the run's status out. A run is a [`RunSpec`], fixed when it
//! begins, and a [`RunStatus`] that may be stored after any call and goes on from there; a
//! measurement that was under way is taken again.

pub mod argument;
pub mod blind;
pub mod condition;
pub mod draft;
pub mod metric;
pub mod reading;
pub mod resolve;
pub mod run;
pub mod status;
pub mod template;
pub mod ticking;
pub mod traps;
pub mod verdict;
pub mod wanted;

pub use argument::{ArgContext, ArgValue, SecretKey};
pub use draft::{Draft, LocalSecrets, Secrets};
pub use metric::{
    CloudWatchQuery, Compare, Counters, DatadogQuery, GraphiteQuery, InfluxdbQuery, JobTemplate,
    Metric, NewRelicQuery, PrometheusQuery, Provider, Selectors, WebQuery,
};
pub use reading::{Judged, Outcome, Reading};
pub use resolve::{ResolveError, RunSpec};
pub use run::{
    Ended, Measured, assess, begin, due, due_times, finish, next_due, no_use, record, refuse,
};
pub use status::{Measurement, MetricResult, RunStatus, RunSummary};
pub use template::Template;
pub use traps::{Trap, Warning};
pub use wanted::Wanted;

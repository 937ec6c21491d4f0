//! Raw samples: a selector and two points in time in, what its series were at the first and since out.

use serin_core::analysis::PrometheusQuery;
use serin_core::time::Timestamp;

use crate::provider::Asking;
use crate::provider::prometheus::{self, Labels, Series};

/// The series of a selector.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Raw {
    /// Their values at the beginning.
    pub(super) before: Vec<Series>,
    /// Their samples since, oldest first; one without is not there.
    pub(super) since: Vec<(Labels, Vec<prometheus::Sample>)>,
}

/// Twice as long as any sensible time between scrapes, and as a pause of Prometheus.
const LOOKBACK: &str = "15m";

/// Asks for the series of `selector` at `from` and up to `to`.
///
/// # Errors
/// What went wrong, and what to look at.
pub(super) async fn between(
    asking: &Asking,
    server: &PrometheusQuery,
    selector: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Raw, String> {
    let millis = to.0.saturating_sub(from.0);
    if millis <= 0 {
        return Ok(Raw::default());
    }
    let query = |query: String| PrometheusQuery {
        query,
        ..server.clone()
    };
    // A scrape that failed just then, or a gap, hides no series whose last sample is this young.
    let before = query(format!("last_over_time({selector}[{LOOKBACK}])"));
    let since = query(format!("{selector}[{millis}ms]"));
    let before = prometheus::series(&asking.http, &before, &asking.tokens, from).await?;
    let since = prometheus::samples(&asking.http, &since, &asking.tokens, to).await?;
    // Prometheus before version 3 includes a sample at the very beginning, which `before` has too.
    let from = seconds(from);
    let since = since.into_iter().map(|(labels, mut samples)| {
        samples.retain(|(time, _)| *time > from);
        (labels, samples)
    });
    Ok(Raw {
        before,
        since: since.filter(|(_, samples)| !samples.is_empty()).collect(),
    })
}

/// A point in time as Prometheus tells it.
#[expect(clippy::cast_precision_loss, reason = "so does Prometheus")]
pub(super) fn seconds(time: Timestamp) -> f64 {
    time.0 as f64 / 1000.0
}

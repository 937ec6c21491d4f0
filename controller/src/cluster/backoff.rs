//! How soon a watch that failed is begun again. The library's own waits grow to half a minute and
//! more, and after an outage two are needed, as the first watch is refused for its old version: that
//! would be minutes in which nothing is seen.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::ExponentialBackoff;

/// The first wait, the longest, and how long a watch must last for the next wait to be short again.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);
const LASTS: Duration = Duration::from_secs(30);

/// The waits of one watch, each with up to as much again by chance.
pub(super) fn backoff() -> ResetTimerBackoff<ExponentialBackoff> {
    let growing = ExponentialBuilder::new()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times();
    ResetTimerBackoff::new(growing.into(), LASTS)
}

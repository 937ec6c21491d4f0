//! The sequential judge's ticks: counters read from Prometheus, a measurement's outcome out. The
//! counting is here, the judging `core`'s.

use serin_core::analysis::ticking::{self, Before};
use serin_core::analysis::{Compare, Counters, Outcome, PrometheusQuery};
use serin_core::judge::{State, Tick, Verdict};
use serin_core::plan::BlindQueries;
use serin_core::time::Timestamp;
use std::time::Duration;

use super::Asking;
use sides::Sides;

mod burstiness;
mod growth;
mod raw;
mod sides;

/// What a run is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The Rollout; none: nobody's run.
    pub rollout: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// The template hash of the version on trial.
    pub revision: Option<String>,
    /// What a query comes to that sees nothing.
    pub blind_queries: BlindQueries,
}

/// After a long silence, such as of a controller that was away, it is counted in pieces, so many at a
/// time: the next tick goes on.
const LONGEST: Duration = Duration::from_secs(300);
const PIECES: usize = 12;

/// Takes a tick at `now`, from where the measurement was before.
///
/// # Errors
/// If it is not known what to count.
pub async fn tick(
    asking: &Asking,
    compare: &Compare,
    subject: &Subject,
    before: &Before,
    now: Timestamp,
) -> Result<Outcome, String> {
    let sides = match Sides::of(&compare.counters, subject) {
        Ok(sides) => sides,
        Err(why) => return Ok(ticking::impossible(why, now)),
    };
    let server = asking.server(&compare.prometheus);
    // A scrape is told with the time at which it began, and can be read some time after its end.
    let at = Timestamp(now.0.saturating_sub(millis(compare.lag)));
    let mut state = match before.state(compare, now) {
        Some(state) => state,
        None => begin(asking, compare, &server, &sides, at).await,
    };
    match count_up(asking, compare, &server, &sides, &mut state, at).await {
        Ok(verdict) => Ok(ticking::ticked(compare, &state, before, &verdict, now)),
        Err(why) => Ok(ticking::uncounted(compare, &state, before, &why, now)),
    }
}

/// Counts what came since the state's time up to `to`. What was counted before an error stays so.
async fn count_up(
    asking: &Asking,
    compare: &Compare,
    server: &PrometheusQuery,
    sides: &Sides,
    state: &mut State,
    to: Timestamp,
) -> Result<Verdict, String> {
    let parameters = &compare.parameters;
    let mut pieces = 0;
    loop {
        pieces += 1;
        let at = to.min(state.at.plus(LONGEST)).max(state.at);
        let with_latency = state.latency.is_some();
        let tick = count(asking, server, sides, with_latency, state.at, at).await?;
        let verdict = state.take(parameters, &tick);
        if state.at >= to || pieces == PIECES || matches!(verdict, Verdict::RollBack(_)) {
            return Ok(verdict);
        }
    }
}

/// What came in between two points in time.
///
/// # Errors
/// Why it cannot be counted.
async fn count(
    asking: &Asking,
    server: &PrometheusQuery,
    sides: &Sides,
    with_latency: bool,
    from: Timestamp,
    to: Timestamp,
) -> Result<Tick, String> {
    let mut read = Vec::new();
    for selector in sides.selectors(with_latency) {
        let raw = raw::between(asking, server, &selector.text, from, to).await?;
        read.push((selector, raw));
    }
    // A process is known if it counted anything before, not only what this selector is for: the first
    // error of all is one.
    let known = growth::known(read.iter().map(|(_, raw)| raw));
    let mut counted = sides.tick(to);
    for (selector, raw) in &read {
        for (labels, by) in growth::growth(raw, &known) {
            counted.add(selector, labels, by)?;
        }
    }
    Ok(counted.tick())
}

/// The state of a judge that begins at `at`: how bursty errors are is read off the last hour, if it can
/// be.
async fn begin(
    asking: &Asking,
    compare: &Compare,
    server: &PrometheusQuery,
    sides: &Sides,
    at: Timestamp,
) -> State {
    let measured = match compare.parameters.dispersion {
        Some(_) => None,
        None => burstiness::of_stable(asking, server, sides, compare.tick, at).await,
    };
    State::begin(&compare.parameters, at, measured, &[])
}

/// The counters of one side or both, for a recording: what [`tick`] counts for a judge.
///
/// # Errors
/// If it is not known what to count, or why it cannot be counted.
pub async fn between(
    asking: &Asking,
    counters: &Counters,
    server: &PrometheusQuery,
    subject: &Subject,
    from: Timestamp,
    to: Timestamp,
) -> Result<Tick, String> {
    let sides = Sides::of(counters, subject)?;
    let server = asking.server(server);
    count(asking, &server, &sides, true, from, to).await
}

/// The canary's requests that the filter counted in between two points in time.
///
/// # Errors
/// As those of [`between`].
pub(super) async fn requests(
    asking: &Asking,
    server: &PrometheusQuery,
    subject: &Subject,
    from: Timestamp,
    to: Timestamp,
) -> Result<u64, String> {
    let sides = Sides::of(&Counters::of_filter(), subject)?;
    let counted = count(asking, server, &sides, false, from, to).await?;
    Ok(counted.errors.canary.requests)
}

/// A time in milliseconds.
pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

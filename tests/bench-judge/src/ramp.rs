//! The release that is simulated: 5, 10, 25 and 50 %, five minutes each.

/// A tick in seconds: a scrape interval.
pub(crate) const TICK: u64 = 15;
/// How long each weight lasts, in seconds.
const STEP: u64 = 300;
const WEIGHTS: [f64; 4] = [0.05, 0.1, 0.25, 0.5];
/// How long all of it lasts, in seconds.
pub(crate) const RELEASE: u64 = STEP * WEIGHTS.len() as u64;
/// How long stable was watched before, in seconds: the hour that its dispersion is measured on.
const BEFORE: u64 = 3600;

/// The seconds at which ticks end, and the canary's weight in them.
pub(crate) fn ticks() -> impl Iterator<Item = (u64, f64)> {
    let steps = WEIGHTS
        .into_iter()
        .flat_map(|weight| [weight; (STEP / TICK) as usize]);
    (1..).map(|number| number * TICK).zip(steps)
}

/// The ticks of the hour before, in which one half of stable stands against the other.
pub(crate) fn before() -> impl Iterator<Item = (u64, f64)> {
    (1..=BEFORE / TICK).map(|number| (number * TICK, 0.5))
}

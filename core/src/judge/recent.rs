//! What was counted in the last minutes, for the guards that look at nothing else.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::count::Pair;
use crate::time::Timestamp;

/// How far back it goes.
pub const LONGEST: Duration = Duration::from_secs(300);
/// This many of the last ticks are kept as they are.
pub const TICKS: usize = 4;
/// Older ones are put together up to this length.
const SLOT: Duration = Duration::from_secs(15);

/// The last ticks, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recent(Vec<Slot>);

/// What was counted between two points in time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    from: Timestamp,
    to: Timestamp,
    counted: Pair,
}

impl Recent {
    /// Adds a tick, which began when the last one ended, or at `begun`.
    pub(super) fn take(&mut self, begun: Timestamp, to: Timestamp, counted: Pair) {
        let from = self.0.last().map_or(begun, |last| last.to);
        self.0.push(Slot { from, to, counted });
        self.0.retain(|slot| to.since(slot.to) < LONGEST);
        // The two that have just become old, if they are short enough together.
        let Some(old) = self.0.len().checked_sub(TICKS + 1).filter(|old| *old > 0) else {
            return;
        };
        if let (Some(first), Some(second)) = (self.0.get(old - 1), self.0.get(old))
            && second.to.since(first.from) <= SLOT
        {
            let joined = Slot {
                from: first.from,
                to: second.to,
                counted: first.counted + second.counted,
            };
            self.0.splice(old - 1..=old, [joined]);
        }
    }

    /// The last tick, the last two, and so on to [`TICKS`].
    pub(super) fn runs(&self) -> impl Iterator<Item = Pair> {
        let last = self.0.iter().rev().take(TICKS);
        last.scan(Pair::default(), |sum, slot| {
            *sum += slot.counted;
            Some(*sum)
        })
    }

    /// What was counted in slots that ended within this time before the last tick.
    pub fn within(&self, time: Duration) -> Pair {
        let Some(last) = self.0.last() else {
            return Pair::default();
        };
        let young = |slot: &&Slot| last.to.since(slot.to) < time;
        let mut sum = Pair::default();
        for slot in self.0.iter().rev().take_while(young) {
            sum += slot.counted;
        }
        sum
    }

    /// Requests to the canary in a second, over all that is kept; none before time has passed.
    pub(super) fn rate(&self) -> Option<f64> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        let seconds = last.to.since(first.from).as_secs_f64();
        let requests = super::count::number(self.within(LONGEST).canary.requests);
        (seconds > 0.0 && requests > 0.0).then(|| requests / seconds)
    }
}

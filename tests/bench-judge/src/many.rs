//! Many releases of one kind, on all processors, and what they come to.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use crate::release::End;

/// Runs so many and returns what they return, in order. Each has a seed of its own, made of the row's
/// and its own number, so that the result is the same on any machine.
pub(crate) fn run<T: Send>(
    releases: usize,
    seed: u64,
    one: impl Fn(&mut Pcg64Mcg) -> T + Sync,
) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = releases.div_ceil(threads);
    let one = &one;
    thread::scope(|scope| {
        let parts: Vec<_> = (0..releases)
            .step_by(share.max(1))
            .map(|from| {
                scope.spawn(move || {
                    let numbers = from..(from + share).min(releases);
                    numbers
                        .map(|number| one(&mut seeded(seed, number)))
                        .collect::<Vec<T>>()
                })
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

fn seeded(seed: u64, number: usize) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64((seed << 32) | number as u64)
}

/// What a rule came to over all releases of a row.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    /// Taken back, of 1,000.
    pub(crate) per_1000: f64,
    /// Half of those that were taken back were so by this second; none if none were.
    pub(crate) median: Option<u64>,
    /// Requests that the canary failed, on average.
    pub(crate) failed: f64,
}

impl Summary {
    pub(crate) fn of(ends: impl Iterator<Item = End> + Clone) -> Summary {
        let all = ends.clone().count().max(1) as f64;
        let mut seconds: Vec<u64> = ends.clone().filter_map(|end| end.taken_back).collect();
        seconds.sort_unstable();
        let failed: u64 = ends.map(|end| end.failed).sum();
        Summary {
            per_1000: seconds.len() as f64 * 1000.0 / all,
            median: seconds.get(seconds.len() / 2).copied(),
            failed: failed as f64 / all,
        }
    }
}

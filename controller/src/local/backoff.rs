//! How long to wait before a process that ended is started again.

use std::time::Duration;

/// Waits that double from one end to the next, as the kubelet's do; they begin anew after a long
/// enough life.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    ends: u32,
}

impl Backoff {
    /// The kubelet begins with ten seconds; on one machine somebody is looking.
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);
    /// After a life this long an end is not the next of a series.
    const LONG_LIFE: Duration = Duration::from_secs(60);

    /// The wait after a process has ended that lived for `life`.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        if life >= Self::LONG_LIFE {
            self.ends = 0;
        }
        let wait = Self::FIRST
            .saturating_mul(2_u32.saturating_pow(self.ends))
            .min(Self::LONGEST);
        self.ends = self.ends.saturating_add(1);
        wait
    }

    /// Whether it ended more than once in a row.
    pub(super) fn is_loop(self) -> bool {
        self.ends > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_long_life() {
        let mut backoff = Backoff::default();
        let short = Duration::from_millis(5);
        let waits: Vec<u64> = (0..8).map(|_| backoff.after(short).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(backoff.is_loop());
        assert_eq!(backoff.after(Duration::from_secs(61)).as_secs(), 1);
        assert!(!backoff.is_loop());
    }
}

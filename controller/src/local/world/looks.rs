//! When what Envoy shows may be believed: whether every filter's generation was seen comes in with
//! the time, and proof comes out.

use std::time::{Duration, Instant};

/// Looks in a row that showed every filter's generation.
#[derive(Debug, Default)]
pub(super) struct Looks {
    first: Option<Instant>,
    complete: bool,
}

impl Looks {
    /// A generation shows as soon as the first worker has it; the others follow within one turn of
    /// their loops, which takes a few milliseconds even on a busy machine.
    const APART: Duration = Duration::from_millis(50);

    /// Takes in one look.
    pub(super) fn take(&mut self, verified: bool, now: Instant) {
        if !verified {
            *self = Looks::default();
            return;
        }
        let first = *self.first.get_or_insert(now);
        self.complete = now.saturating_duration_since(first) >= Self::APART;
    }

    /// Whether every worker of every filter runs what it was given.
    pub(super) fn complete(&self) -> bool {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_close_together_are_one_look() {
        let begin = Instant::now();
        let mut looks = Looks::default();
        for (millis, verified, complete) in [
            (0, true, false),
            (5, true, false),
            (49, true, false),
            (50, true, true),
            (60, false, false),
            (70, true, false),
            (119, true, false),
            (120, true, true),
        ] {
            looks.take(verified, begin + Duration::from_millis(millis));
            assert_eq!(looks.complete(), complete, "{millis} ms");
        }
    }
}

//! What is remembered of Rollouts that nobody asks for: it is kept for a while, so that a Rollout
//! which comes back goes on where it was.

use std::collections::BTreeMap;
use std::time::Instant;

use super::source::GONE;

/// Since when each of them is not asked for.
#[derive(Debug, Default)]
pub(super) struct Gone {
    since: BTreeMap<String, Instant>,
}

impl Gone {
    /// Takes in who is not asked for now, and returns who has not been for long enough to be
    /// forgotten.
    pub(super) fn forget(&mut self, unasked: Vec<String>, now: Instant) -> Vec<String> {
        self.since.retain(|name, _| unasked.contains(name));
        for name in unasked {
            self.since.entry(name).or_insert(now);
        }
        let long = |since: &Instant| now.saturating_duration_since(*since) >= GONE;
        let old = self.since.iter().filter(|(_, since)| long(since));
        old.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_ends_only_after_a_long_absence() {
        let begin = Instant::now();
        let mut gone = Gone::default();
        let shop = || vec!["default/shop".to_string()];
        assert!(gone.forget(shop(), begin).is_empty());
        assert!(gone.forget(shop(), begin + GONE / 2).is_empty());
        assert!(gone.forget(Vec::new(), begin + GONE).is_empty());
        assert!(gone.forget(shop(), begin + GONE).is_empty());
        assert!(gone.forget(shop(), begin + GONE + GONE / 2).is_empty());
        assert_eq!(gone.forget(shop(), begin + GONE * 2), shop());
    }
}

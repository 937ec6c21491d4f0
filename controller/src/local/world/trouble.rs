//! What keeps the world from being stored or acted on, such as a full disk: it is told, and tried
//! again after longer and longer waits. Meanwhile everything goes on as it was.

use std::time::{Duration, Instant};

use crate::local::backoff::Backoff;

/// A pass that came to nothing, if the last one did.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    met: Option<Met>,
    backoff: Backoff,
}

#[derive(Debug)]
struct Met {
    why: String,
    again: Instant,
}

impl Trouble {
    /// Whether a pass may be tried now.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.met.as_ref().is_none_or(|met| met.again <= now)
    }

    /// What is in the way.
    pub(super) fn why(&self) -> Option<&str> {
        self.met.as_ref().map(|met| met.why.as_str())
    }

    /// A pass met it.
    pub(super) fn meet(&mut self, error: &anyhow::Error, now: Instant) {
        let why = format!("{error:#}");
        tracing::error!(why, "nothing goes on, tried again soon");
        let again = now + self.backoff.after(Duration::ZERO);
        self.met = Some(Met { why, again });
    }

    /// A pass went well.
    pub(super) fn end(&mut self) {
        if self.met.is_some() {
            tracing::info!("it goes on");
            *self = Trouble::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_tried_again_after_longer_waits_until_one_goes_well() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let full = anyhow::anyhow!("no space left").context("write state.json");
        let mut trouble = Trouble::default();
        assert!(trouble.may_try(begin));
        trouble.meet(&full, begin);
        assert_eq!(trouble.why(), Some("write state.json: no space left"));
        assert!(!trouble.may_try(begin));
        assert!(trouble.may_try(after(1)));
        trouble.meet(&full, after(1));
        assert!(!trouble.may_try(after(2)));
        assert!(trouble.may_try(after(3)));
        trouble.end();
        assert_eq!(trouble.why(), None);
        assert!(trouble.may_try(begin));
    }
}

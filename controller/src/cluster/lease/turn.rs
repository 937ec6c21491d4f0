//! Whose turn it is: a Lease's record and how long it is seen unchanged come in, whether it may be
//! taken goes out.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The Lease may be taken.
    Take,
    /// Somebody else has it.
    Wait,
}

/// Whether `identity` may take a Lease with this record, which is seen unchanged for so long.
pub(super) fn turn(record: &LeaseSpec, identity: &str, unchanged: Duration) -> Turn {
    let holder = record.holder_identity.as_deref().unwrap_or_default();
    let lasts = record.lease_duration_seconds.unwrap_or(0);
    let lasts = Duration::from_secs(u64::try_from(lasts).unwrap_or(0));
    if holder.is_empty() || holder == identity || unchanged >= lasts {
        Turn::Take
    } else {
        Turn::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: &str, seconds: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_string()),
            lease_duration_seconds: Some(seconds),
            ..Default::default()
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lease_of_another_is_waited_for_until_it_has_not_changed_for_as_long_as_it_lasts() {
        assert_eq!(turn(&record("b", 15), "a", Duration::ZERO), Turn::Wait);
        assert_eq!(turn(&record("b", 15), "a", SECOND * 14), Turn::Wait);
        assert_eq!(turn(&record("b", 15), "a", SECOND * 15), Turn::Take);
    }

    #[test]
    fn a_lease_that_was_released_is_taken_at_once() {
        assert_eq!(turn(&record("", 1), "a", Duration::ZERO), Turn::Take);
        let never = LeaseSpec::default();
        assert_eq!(turn(&never, "a", Duration::ZERO), Turn::Take);
    }

    #[test]
    fn an_own_lease_is_taken_up_again() {
        assert_eq!(turn(&record("a", 15), "a", Duration::ZERO), Turn::Take);
    }

    #[test]
    fn a_duration_that_makes_no_sense_lasts_no_time() {
        assert_eq!(turn(&record("b", -1), "a", Duration::ZERO), Turn::Take);
    }
}

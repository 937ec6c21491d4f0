//! The rows of the two tables about errors.

use crate::service::{Bursts, Service, Trouble};

/// A row.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) service: Service,
    pub(crate) goal: Goal,
}

/// What is asked of `compare` there.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// At most so many false alarms in 1,000 releases.
    FalseAlarms(f64),
    /// Every release is taken back.
    Found,
    /// And half of them in so many seconds.
    FoundIn(u64),
    /// Nothing: the row is there to be seen.
    Seen,
}

/// Of 1,000 healthy releases, with alpha 0.01 by which theory allows ten.
const FALSE_ALARMS: Goal = Goal::FalseAlarms(2.0);

/// Minutes that are worse than others.
const MILD: Trouble = Trouble::Bursts(Bursts {
    variation: 0.3,
    correlation: 0.7,
});
/// Ticks that are far worse than others.
const WILD: Trouble = Trouble::Bursts(Bursts {
    variation: 1.0,
    correlation: 0.0,
});

/// Both versions fail equally often.
pub(crate) fn healthy() -> Vec<Row> {
    let outage = Trouble::Shared {
        share: 0.05,
        seconds: 180,
    };
    let row = |rate, share, trouble, goal| Row {
        service: Service {
            rate,
            canary: share,
            stable: share,
            trouble,
        },
        goal,
    };
    vec![
        row(10.0, 0.0005, Trouble::None, FALSE_ALARMS),
        row(10.0, 0.005, Trouble::None, FALSE_ALARMS),
        row(10.0, 0.009, Trouble::None, FALSE_ALARMS),
        row(100.0, 0.0005, Trouble::None, FALSE_ALARMS),
        row(100.0, 0.005, Trouble::None, FALSE_ALARMS),
        row(100.0, 0.009, Trouble::None, FALSE_ALARMS),
        row(1000.0, 0.005, Trouble::None, FALSE_ALARMS),
        row(1000.0, 0.009, Trouble::None, FALSE_ALARMS),
        row(100.0, 0.005, outage, FALSE_ALARMS),
        row(100.0, 0.005, MILD, Goal::Seen),
        row(1000.0, 0.005, MILD, Goal::Seen),
        row(100.0, 0.005, WILD, Goal::Seen),
        row(1000.0, 0.005, WILD, Goal::Seen),
    ]
}

/// The canary fails more often.
pub(crate) fn bad() -> Vec<Row> {
    let row = |rate, canary, stable, trouble, goal| Row {
        service: Service {
            rate,
            canary,
            stable,
            trouble,
        },
        goal,
    };
    vec![
        row(100.0, 0.005, 0.0005, Trouble::None, Goal::Found),
        row(1000.0, 0.008, 0.002, Trouble::None, Goal::Found),
        row(100.0, 0.008, 0.002, Trouble::None, Goal::Found),
        row(100.0, 0.02, 0.005, Trouble::None, Goal::Found),
        row(100.0, 0.05, 0.005, Trouble::None, Goal::Found),
        row(100.0, 0.2, 0.005, Trouble::None, Goal::Found),
        // One tick: nobody can know of it before the first scrape.
        row(100.0, 1.0, 0.005, Trouble::None, Goal::FoundIn(15)),
        row(1000.0, 1.0, 0.005, Trouble::None, Goal::FoundIn(15)),
        row(10.0, 0.05, 0.005, Trouble::None, Goal::Found),
        row(10.0, 0.02, 0.005, Trouble::None, Goal::Found),
        row(100.0, 0.02, 0.005, MILD, Goal::Found),
        row(1000.0, 0.02, 0.005, MILD, Goal::Found),
        row(100.0, 0.05, 0.005, WILD, Goal::Found),
        row(1000.0, 0.05, 0.005, WILD, Goal::Found),
    ]
}

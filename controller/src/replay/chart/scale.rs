//! From values to places, and the values that are labelled.

use super::{LEFT, RIGHT, Replay};

/// Seconds from the beginning to places from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    seconds: f64,
    unit: Unit,
}

/// What the labels count.
#[derive(Clone, Copy, Debug)]
struct Unit {
    title: &'static str,
    seconds: f64,
}

const UNITS: [Unit; 4] = [
    Unit {
        title: "seconds since the recording began",
        seconds: 1.0,
    },
    Unit {
        title: "minutes since the recording began",
        seconds: 60.0,
    },
    Unit {
        title: "hours since the recording began",
        seconds: 3600.0,
    },
    Unit {
        title: "days since the recording began",
        seconds: 86_400.0,
    },
];

impl Time {
    pub(super) fn of(replay: &Replay) -> Time {
        const ENOUGH: f64 = 3.0;
        let seconds = replay.seconds(replay.until()).max(1.0);
        let [first, others @ ..] = UNITS;
        let many = |unit: &Unit| seconds >= ENOUGH * unit.seconds;
        let unit = others.into_iter().rfind(many).unwrap_or(first);
        Time { seconds, unit }
    }

    pub(super) fn x(&self, seconds: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (seconds / self.seconds).clamp(0.0, 1.0)
    }

    pub(super) fn title(&self) -> &'static str {
        self.unit.title
    }

    /// The labelled places.
    pub(super) fn labels(&self) -> Vec<(f64, String)> {
        let whole = self.seconds / self.unit.seconds;
        let step = step(whole, 10.0);
        let places = std::iter::successors(Some(0.0), |place| Some(place + step));
        let places = places.take_while(|place| *place <= whole * 1.000_001);
        let label = |place: f64| (self.x(place * self.unit.seconds), number(place));
        places.map(label).collect()
    }
}

/// A round step that goes at most so many times into the whole.
pub(super) fn step(whole: f64, most: f64) -> f64 {
    let least = (whole / most).max(f64::MIN_POSITIVE);
    let unit = 10f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].map(|times| times * unit);
    round
        .into_iter()
        .find(|step| *step >= least * 0.999_999)
        .unwrap_or(10.0 * unit)
}

/// A number without digits that it does not need.
pub(super) fn number(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Logarithms of evidence to places from bottom to top; what lies outside is at the edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decades {
    pub(super) low: i32,
    pub(super) high: i32,
}

impl Decades {
    /// Which hold all limits, and of the evidence what is not far beyond them.
    pub(super) fn of(limits: &[f64], evidence: impl Iterator<Item = f64>) -> Decades {
        const BELOW: f64 = -3.0;
        const BEYOND: f64 = 3.0;
        let decades = |ln: f64| ln / std::f64::consts::LN_10;
        let limit = limits.iter().copied().map(decades).fold(0.0, f64::max);
        let (mut low, mut high) = (-1.0_f64, limit + 0.5);
        for ln in evidence.filter(|ln| ln.is_finite()) {
            low = low.min(decades(ln));
            high = high.max(decades(ln));
        }
        Decades {
            low: whole(low.max(BELOW).floor()),
            high: whole(high.min(limit + BEYOND).ceil()),
        }
    }

    /// How far above the bottom it is, 0 to 1.
    pub(super) fn share(&self, ln: f64) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let share = (ln / std::f64::consts::LN_10 - low) / (high - low);
        // A clamp leaves what is no number as it is.
        if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        }
    }

    /// The labelled ones, few enough to be read.
    pub(super) fn labels(&self) -> Vec<(f64, String)> {
        const MOST: i32 = 9;
        let every = (self.high - self.low) / MOST + 1;
        let labelled = (self.low..=self.high).filter(|decade| decade % every == 0);
        let label = |decade: i32| match decade {
            -3..0 => format!("{:.*}", decade.unsigned_abs() as usize, 10f64.powi(decade)),
            0..=6 => serin_core::judge::verdict::grouped(10u64.pow(decade.unsigned_abs())),
            decade => format!("1e{decade}"),
        };
        let ln = |decade: i32| f64::from(decade) * std::f64::consts::LN_10;
        labelled.map(|decade| (ln(decade), label(decade))).collect()
    }
}

/// Limits are far below a thousand decades.
fn whole(decades: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is clamped to what fits"
    )]
    let whole = decades.clamp(-1000.0, 1000.0) as i32;
    whole
}

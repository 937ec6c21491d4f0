//! `failureLimit` is how many bad measurements are tolerated; the next one fails the run.

use std::fmt;

use super::{Found, Trap, Written};

pub(super) fn find(written: &Written<'_>) -> Vec<Found> {
    let limit = written.metric.failure_limit.filter(|limit| *limit > 0);
    let trap = |limit| Trap::FailureLimit {
        limit,
        never_by: written
            .metric
            .effective_count()
            .filter(|count| *count <= limit),
    };
    limit
        .map(|limit| ("failureLimit", trap(limit)))
        .into_iter()
        .collect()
}

pub(super) fn tell(f: &mut fmt::Formatter<'_>, limit: u32, never_by: Option<u32>) -> fmt::Result {
    let nth = ordinal(u64::from(limit) + 1);
    write!(
        f,
        "is {limit}: the run fails with the {nth} failed measurement, cumulative, not consecutive"
    )?;
    match never_by {
        Some(count) => write!(f, ", which a count of {count} never lets happen"),
        None => Ok(()),
    }
}

fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn ordinals_are_spoken_as_people_do() {
        let all = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        let spoken = [
            "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
        ];
        assert_eq!(all, spoken);
    }
}

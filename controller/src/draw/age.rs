//! Ages as `kubectl` writes them.

use std::time::Duration;

/// An age, exact where it is young: `42s`, `5m3s`, `17m`, `3h20m`, `30h`, `2d5h`, `12d`, `3y40d`.
pub fn age(age: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    let seconds = age.as_secs();
    let one = |unit: u64, name: &str| format!("{}{name}", seconds / unit);
    let two = |unit: u64, name: &str, below: u64, below_name: &str| match seconds % unit / below {
        0 => one(unit, name),
        rest => format!("{}{name}{rest}{below_name}", seconds / unit),
    };
    match seconds {
        s if s < 2 * MINUTE => one(1, "s"),
        s if s < 10 * MINUTE => two(MINUTE, "m", 1, "s"),
        s if s < 3 * HOUR => one(MINUTE, "m"),
        s if s < 8 * HOUR => two(HOUR, "h", MINUTE, "m"),
        s if s < 2 * DAY => one(HOUR, "h"),
        s if s < 8 * DAY => two(DAY, "d", HOUR, "h"),
        s if s < 2 * YEAR => one(DAY, "d"),
        s if s < 8 * YEAR => two(YEAR, "y", DAY, "d"),
        _ => one(YEAR, "y"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (303, "5m3s"),
            (1_030, "17m"),
            (12_000, "3h20m"),
            (108_000, "30h"),
            (190_800, "2d5h"),
            (1_036_800, "12d"),
            (98_064_000, "3y40d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}

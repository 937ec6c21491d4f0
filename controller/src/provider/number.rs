//! Numbers in a measurement's value as Argo Rollouts shows them: a number in, Go's text of it out.

/// The shortest text that is read as this number, with an exponent where Go has one.
pub(super) fn shown(number: f64) -> String {
    if !number.is_finite() {
        return not_finite(number).to_string();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if PLAIN.contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The exponents that Go writes out.
const PLAIN: std::ops::Range<i32> = -4..21;

/// With six digits behind the point.
pub(super) fn fixed(number: f64) -> String {
    if number.is_finite() {
        format!("{number:.6}")
    } else {
        not_finite(number).to_string()
    }
}

fn not_finite(number: f64) -> &'static str {
    match number {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_go_shows_them() {
        let texts = [
            (0.0, "0"),
            (1.0, "1"),
            (6.6, "6.6"),
            (-0.0001, "-0.0001"),
            (0.00001, "1e-05"),
            (1.5e20, "150000000000000000000"),
            (1.5e21, "1.5e+21"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (number, text) in texts {
            assert_eq!(shown(number), text);
        }
        assert_eq!(fixed(90.0), "90.000000");
        assert_eq!(fixed(f64::NEG_INFINITY), "-Inf");
    }
}

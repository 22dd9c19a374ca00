//! Times on the command line.

use std::time::Duration;

/// Longer times are a mistake.
const MOST: f64 = 7.0 * 24.0 * 3600.0;

/// A time greater than zero: `0.2`, `10`, `200ms`, `10s`, `5m` or `1h`. A bare number is seconds, as with `ping`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let (number, unit) = text.split_at(digits.len());
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a time is written as 0.2, 10s, 200ms, 5m or 1h".to_owned()),
    };
    let seconds: f64 = number.parse().map_err(|_| "a time is a number, such as 0.2 or 200ms".to_owned())?;
    let seconds = seconds * factor;
    if !(1e-3..=MOST).contains(&seconds) {
        return Err("a time is between 1ms and a week".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (text, millis) in
            [("0.2", 200), ("10", 10_000), ("200ms", 200), ("1.5s", 1500), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_an_error() {
        for text in ["", "s", "0", "-1", "1d", "nan", "inf", "1e9", "ten", "1 s", "0.1ms"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

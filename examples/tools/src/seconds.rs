//! Times on the command line, for both tools.

use std::time::Duration;

/// Microseconds in a week: longer times are a mistake.
const MOST: f64 = 7.0 * 24.0 * 3600.0 * 1e6;

/// A time greater than zero: see [`parse_or_zero`].
pub fn parse(text: &str) -> Result<Duration, String> {
    let time = parse_or_zero(text)?;
    if time.is_zero() { Err("zero is too short; 1us is possible".to_owned()) } else { Ok(time) }
}

/// `0.2`, `10`, `50us`, `200ms`, `10s`, `5m` or `1h`. A bare number is seconds, as with `ping`.
pub fn parse_or_zero(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a time is written as 0.2, 50us, 200ms, 10s, 5m or 1h";
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        "" | "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return Err(FORM.to_owned()),
    };
    let micros = number.parse::<f64>().map_err(|_| FORM)? * factor;
    if !(0.0..=MOST).contains(&micros) {
        return Err("a time is from 0 to a week".to_owned());
    }
    Ok(Duration::from_micros(micros.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (text, micros) in [
            ("0.2", 200_000),
            ("10", 10_000_000),
            ("1us", 1),
            ("50us", 50),
            ("200ms", 200_000),
            ("0.1ms", 100),
            ("1.5s", 1_500_000),
            ("5m", 300_000_000),
            ("1h", 3_600_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_an_error() {
        for text in ["", "s", "-1", "1d", "nan", "inf", "1e9", "1e300", "ten", "1 s", "\u{b5}s", "1\u{b5}s"] {
            assert!(parse_or_zero(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_is_a_time_only_where_it_is_of_use() {
        for text in ["0", "0s", "0.1us"] {
            assert_eq!(parse_or_zero(text), Ok(Duration::ZERO));
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! Durations as people, and Go's programs, write them.

use std::time::Duration;

/// Reads `10`, `1.5` (seconds), `300ms`, `10s`, `5m`, `1h`, or several with units: `1m30s`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().or_else(|| sum_of_units(text));
    // "nan" and "inf" are numbers to Rust.
    let seconds = seconds.filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || c == '.'));
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            format!("`{text}` is not a duration; write 10, 1.5, 300ms, 10s, 1m30s or 1h")
        })
}

fn sum_of_units(mut text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    while !text.is_empty() {
        let (number, rest) = split_where(text, |c| !c.is_ascii_digit() && c != '.');
        let (unit, rest) = split_where(rest, |c| !c.is_ascii_alphabetic());
        let number: f64 = number.parse().ok()?;
        seconds += number * scale(unit)?;
        text = rest;
    }
    Some(seconds)
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn scale(unit: &str) -> Option<f64> {
    match unit {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

/// As people read it, in at most two units: `350ms`, `12s`, `3m20s`, `2h05m`, `4d03h`.
pub fn show(duration: Duration) -> String {
    let (millis, seconds) = (duration.as_millis(), duration.as_secs());
    match seconds {
        0 => format!("{millis}ms"),
        1..10 => format!("{}.{}s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let cases = [
            ("0", 0),
            ("10", 10_000),
            ("1.5", 1500),
            ("300ms", 300),
            ("2s", 2000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1h0.5s", 3_600_500),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn nonsense() {
        for text in [
            "", "s", "-1", "1d", "1 s", "nan", "inf", "1e300h", "1m30", ".",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_in_two_units() {
        let cases = [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (9_999, "9.9s"),
            (59_999, "59s"),
            (61_000, "1m01s"),
            (3_600_000, "1h00m"),
            (90_061_000, "1d01h"),
        ];
        for (millis, text) in cases {
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
    }
}

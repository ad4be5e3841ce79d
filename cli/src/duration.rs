//! Durations as people write them.

use std::time::Duration;

/// Reads `10`, `1.5` (seconds), `300ms`, `10s`, `5m` or `1h`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| explain(text))?;
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(explain(text)),
    };
    Duration::try_from_secs_f64(number * unit).map_err(|_| explain(text))
}

fn explain(text: &str) -> String {
    format!("`{text}` is not a duration; write 10, 1.5, 300ms, 10s, 5m or 1h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let cases = [
            ("10", 10_000),
            ("1.5", 1500),
            ("300ms", 300),
            ("2s", 2000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn nonsense() {
        for text in ["", "s", "-1", "1d", "1 s", "nan", "inf", "1e300h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

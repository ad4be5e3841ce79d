//! The time that a client gives a call, as gRPC writes it: digits and a unit.

use std::time::Duration;

use http::HeaderMap;

/// The header that says it, over gRPC and over the JSON gateway.
pub const HEADER: &str = "grpc-timeout";

/// The deadline of a gRPC call; one that makes no sense is none.
#[must_use]
pub fn of_call(headers: &HeaderMap) -> Option<Duration> {
    let (digits, unit) = parted(headers.get(HEADER)?.to_str().ok()?)?;
    let amount: u32 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(unit.saturating_mul(amount))
}

/// The number and the unit of what the header says, if the unit is one.
#[must_use]
pub fn parted(text: &str) -> Option<(&str, Duration)> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some((digits, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn deadlines_in_every_unit() {
        let deadline = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_static(text));
            of_call(&headers)
        };
        assert_eq!(deadline("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(deadline("2M"), Some(Duration::from_secs(120)));
        assert_eq!(deadline("3S"), Some(Duration::from_secs(3)));
        assert_eq!(deadline("4m"), Some(Duration::from_millis(4)));
        assert_eq!(deadline("5u"), Some(Duration::from_micros(5)));
        assert_eq!(
            deadline("99999999n"),
            Some(Duration::from_nanos(99_999_999))
        );
        for bad in ["", "S", "1", "1x", "-1S", "999999999S"] {
            assert_eq!(deadline(bad), None, "{bad}");
        }
    }
}

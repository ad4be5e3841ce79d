//! Values as Go's `flag` and `strconv` read them, and refuse them.

use std::path::PathBuf;
use std::time::Duration;

/// The default of `--data-dir`.
pub const DEFAULT_DIRECTORY: &str = "latchd.data";

const PARSE_ERROR: &str = "parse error";
const OUT_OF_RANGE: &str = "value out of range";

/// Go's `strconv.ParseBool`.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(PARSE_ERROR.into()),
    }
}

/// A directory; none given is the default one, as in etcd.
pub fn directory(text: &str) -> Result<PathBuf, String> {
    Ok(if text.is_empty() {
        DEFAULT_DIRECTORY
    } else {
        text
    }
    .into())
}

/// An unsigned number; also hexadecimal (`0x`), octal (`0o` or `0`) and binary (`0b`), and with an
/// underscore between digits.
pub fn unsigned(text: &str) -> Result<u64, String> {
    let (digits, radix) = radix_of(text);
    // One may also stand behind the prefix.
    let groups = match radix {
        10 => digits,
        _ => digits.strip_prefix('_').unwrap_or(digits),
    };
    let is_number = |group: &str| {
        let all = group.chars().all(|digit| digit.is_digit(radix));
        !group.is_empty() && all
    };
    if !groups.split('_').all(is_number) {
        return Err(PARSE_ERROR.into());
    }
    u64::from_str_radix(&groups.replace('_', ""), radix).map_err(|_| OUT_OF_RANGE.into())
}

/// A signed number, otherwise like [`unsigned`].
pub fn signed(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let amount = i128::from(unsigned(digits)?);
    let value = if negative { -amount } else { amount };
    i64::try_from(value).map_err(|_| OUT_OF_RANGE.into())
}

/// A number of 32 bits, which etcd refuses in the words of `strconv`.
pub fn unsigned_32(text: &str) -> Result<u32, String> {
    let said = |reason| format!("strconv.ParseUint: parsing {text:?}: {reason}");
    let value = unsigned(text).map_err(|reason| {
        said(if reason == OUT_OF_RANGE {
            OUT_OF_RANGE
        } else {
            "invalid syntax"
        })
    })?;
    u32::try_from(value).map_err(|_| said(OUT_OF_RANGE))
}

fn radix_of(text: &str) -> (&str, u32) {
    let lower = text.get(..2).map(str::to_ascii_lowercase);
    match lower.as_deref() {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        Some("0b") => (&text[2..], 2),
        Some(zero) if zero.starts_with('0') => (&text[1..], 8),
        _ => (text, 10),
    }
}

/// A Go duration, in nanoseconds; it may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nanos(pub i64);

impl Nanos {
    /// The duration, if it is longer than nothing.
    pub fn positive(self) -> Option<Duration> {
        let nanos = u64::try_from(self.0).ok().filter(|nanos| *nanos > 0);
        nanos.map(Duration::from_nanos)
    }

    /// Go's `time.ParseDuration`, with its reasons.
    pub fn parse(text: &str) -> Result<Nanos, String> {
        let invalid = || format!("time: invalid duration {text:?}");
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Nanos(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let (number, after) = split_at(rest, |c| c != '.' && !c.is_ascii_digit());
            let (unit, after) = split_at(after, |c| c == '.' || c.is_ascii_digit());
            let amount = decimal(number).ok_or_else(invalid)?;
            if unit.is_empty() {
                return Err(format!("time: missing unit in duration {text:?}"));
            }
            let unit = unit_nanos(unit)
                .ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
            total += scaled(amount, unit).ok_or_else(invalid)?;
            rest = after;
        }
        let total = i64::try_from(total * sign).map_err(|_| invalid())?;
        Ok(Nanos(total))
    }

    /// A duration as a flag's value, where the reason is always the same.
    pub fn flag(text: &str) -> Result<Nanos, String> {
        Nanos::parse(text).map_err(|_| PARSE_ERROR.into())
    }
}

fn split_at(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// A number and how many of its digits are behind the point.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let is_number = !digits.is_empty() && digits.len() <= 25;
    let number = digits.parse().ok().filter(|_| is_number)?;
    Some((number, u32::try_from(fraction.len()).ok()?))
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled((number, behind_point): (i128, u32), unit: i128) -> Option<i128> {
    Some(number.checked_mul(unit)? / 10_i128.checked_pow(behind_point)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_reads_them() {
        assert_eq!(unsigned("128"), Ok(128));
        assert_eq!(unsigned("0x10"), Ok(16));
        assert_eq!(unsigned("010"), Ok(8));
        assert_eq!(unsigned("0"), Ok(0));
        assert_eq!(unsigned("-5"), Err("parse error".into()));
        assert_eq!(unsigned("1.5"), Err("parse error".into()));
        assert_eq!(unsigned("1_000"), Ok(1000));
        assert_eq!(unsigned("0x_10"), Ok(16));
        for bad in ["0x", "", "_1", "1_", "1__0"] {
            assert_eq!(unsigned(bad), Err("parse error".into()), "{bad}");
        }
        let long = "99999999999999999999999";
        assert_eq!(unsigned(long), Err("value out of range".into()));
        assert_eq!(signed("-1"), Ok(-1));
        assert_eq!(signed("--1"), Err("parse error".into()));
        let syntax = r#"strconv.ParseUint: parsing "-1": invalid syntax"#;
        assert_eq!(unsigned_32("-1"), Err(syntax.into()));
        let range = r#"strconv.ParseUint: parsing "4294967296": value out of range"#;
        assert_eq!(unsigned_32("4294967296"), Err(range.into()));
    }

    #[test]
    fn durations_as_go_reads_them() {
        let nanos = |text: &str| Nanos::parse(text).map(|nanos| nanos.0);
        assert_eq!(nanos("300ms"), Ok(300_000_000));
        assert_eq!(nanos("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(nanos("1.5s"), Ok(1_500_000_000));
        assert_eq!(nanos(".5s"), Ok(500_000_000));
        assert_eq!(nanos("-5m"), Ok(-300_000_000_000));
        assert_eq!(nanos("0"), Ok(0));
        let error = |text: &str| nanos(text).unwrap_err();
        assert_eq!(error("abc"), r#"time: invalid duration "abc""#);
        assert_eq!(error("-1"), r#"time: missing unit in duration "-1""#);
        assert_eq!(error("5x"), r#"time: unknown unit "x" in duration "5x""#);
        for bad in ["", "-", ".s", "1..5s", "9999999999h"] {
            assert!(Nanos::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Nanos::flag("5"), Err("parse error".into()));
        assert_eq!(Nanos(-1).positive(), None);
    }
}

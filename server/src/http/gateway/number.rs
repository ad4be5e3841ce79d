//! Integers as Go's protojson reads them: any JSON number whose value is whole, exact to the last
//! digit, so `1.0`, `1e3` and `"63"` as well as `9223372036854775807`.

/// No integer of 64 bits has more digits.
const MOST_DIGITS: i64 = 20;

/// The whole number that a JSON number says, if it is whole and fits.
#[must_use]
pub fn whole<T: TryFrom<i128>>(text: &str) -> Option<T> {
    let number = Parts::of(text)?.whole()?;
    T::try_from(number).ok()
}

/// The whole number that a string says. What follows the number after a delimiter is passed over,
/// as protojson does.
#[must_use]
pub fn whole_in_string<T: TryFrom<i128>>(text: &str) -> Option<T> {
    if text.trim().len() != text.len() {
        return None;
    }
    let continues = |c: char| c.is_ascii_alphanumeric() || "-+._".contains(c);
    let end = text.find(|c| !continues(c)).unwrap_or(text.len());
    whole(&text[..end])
}

/// A JSON number, taken apart.
struct Parts<'a> {
    negative: bool,
    /// Without a leading zero.
    integer: &'a str,
    /// Without zeros at its end.
    fraction: &'a str,
    exponent: &'a str,
}

impl Parts<'_> {
    /// Takes `text` apart, if it is a JSON number from end to end.
    fn of(text: &str) -> Option<Parts<'_>> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (integer, rest) = digits(text);
        if integer.is_empty() || (integer.starts_with('0') && integer.len() > 1) {
            return None;
        }
        let (fraction, rest) = match rest.strip_prefix('.').map(digits) {
            Some(("", _)) => return None,
            Some(parted) => parted,
            None => ("", rest),
        };
        Some(Parts {
            negative,
            integer: integer.trim_start_matches('0'),
            fraction: fraction.trim_end_matches('0'),
            exponent: exponent(rest)?,
        })
    }

    /// The value, if it is whole and has no more digits than an integer of 64 bits.
    fn whole(&self) -> Option<i128> {
        if self.integer.is_empty() && self.fraction.is_empty() {
            return Some(0);
        }
        let exponent: i64 = match self.exponent {
            "" => 0,
            text => i64::from(text.parse::<i32>().ok()?),
        };
        let magnitude = if exponent < 0 {
            self.shrunk(exponent)?
        } else {
            self.grown(exponent)?
        };
        let magnitude: i128 = magnitude.parse().ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The digits with the point moved to the right.
    fn grown(&self, exponent: i64) -> Option<String> {
        let zeros = exponent - length(self.fraction);
        if zeros < 0 || length(self.integer) + exponent > MOST_DIGITS {
            return None;
        }
        let zeros = "0".repeat(usize::try_from(zeros).ok()?);
        Some(format!("{}{}{zeros}", self.integer, self.fraction))
    }

    /// The digits with the point moved to the left, past zeros only.
    fn shrunk(&self, exponent: i64) -> Option<String> {
        let left = usize::try_from(length(self.integer) + exponent).ok()?;
        let (kept, dropped) = self.integer.split_at_checked(left)?;
        let is_whole = self.fraction.is_empty() && dropped.bytes().all(|digit| digit == b'0');
        is_whole.then(|| kept.to_owned())
    }
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX / 2)
}

/// The digits that `text` begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The exponent with its sign; empty for none.
fn exponent(text: &str) -> Option<&str> {
    let Some(exponent) = text.strip_prefix(['e', 'E']) else {
        return text.is_empty().then_some("");
    };
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (digits, rest) = digits(unsigned);
    (!digits.is_empty() && rest.is_empty()).then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_in_every_form() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e7", 0),
            ("0e99999999999", 0),
            ("7", 7),
            ("1.0", 1),
            ("1e3", 1000),
            ("1E+3", 1000),
            ("1.5e1", 15),
            ("1.50e1", 15),
            ("100e-2", 1),
            ("0.0000001e7", 1),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775807.000", i64::MAX),
            ("9.223372036854775807e18", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(whole::<i64>(text), Some(value), "{text}");
        }
        assert_eq!(whole("18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn what_is_not_whole_or_does_not_fit() {
        for text in [
            "",
            "-",
            "x",
            "01",
            "+1",
            ".5",
            "1.",
            "1e",
            "1e+",
            "1.5",
            "1e-1",
            "15e-1",
            "1 ",
            "0x10",
            "NaN",
            "1e400",
            "1e-400",
            "1e99999999999",
            "0.5e-1",
            "9223372036854775808",
            "99999999999999999999999999999999999999999999",
        ] {
            assert_eq!(whole::<i64>(text), None, "{text}");
        }
        assert_eq!(whole::<u64>("-1"), None);
        assert_eq!(whole::<u64>("18446744073709551616"), None);
        assert_eq!(whole::<i32>("2147483648"), None);
        assert_eq!(whole::<u32>("4294967296"), None);
    }

    #[test]
    fn strings_may_go_on_after_the_number() {
        for (text, value) in [("5", Some(5)), ("5 apples", Some(5)), ("5,6", Some(5))] {
            assert_eq!(whole_in_string::<i64>(text), value, "{text}");
        }
        for text in ["", " 5", "5 ", "5apples", "\"5\"", "[5", "five", "\u{a0}5"] {
            assert_eq!(whole_in_string::<i64>(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_integer_is_exact(number: i64) {
            prop_assert_eq!(whole::<i64>(&number.to_string()), Some(number));
            prop_assert_eq!(whole_in_string::<i64>(&format!("{number}.0")), Some(number));
        }

        #[test]
        fn any_text_is_survived(text in "[-+0-9.eE ]{0,40}") {
            let _ = (whole::<i64>(&text), whole_in_string::<u64>(&text));
        }
    }
}

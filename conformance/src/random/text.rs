//! Keys and values as readable text: what is not printable ASCII is escaped, as in `b\xff`.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes that are written and printed as text.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(pub Bytes);

impl Text {
    /// The bytes of a literal.
    #[must_use]
    pub fn of(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }

    fn parse(escaped: &str) -> Result<Self> {
        let mut bytes = Vec::with_capacity(escaped.len());
        let mut rest = escaped.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'\\' => unescaped(&mut rest).with_context(|| format!("in `{escaped}`"))?,
                plain => plain,
            });
        }
        Ok(Self(bytes.into()))
    }
}

/// The byte that an escape stands for; the backslash has been read.
fn unescaped(rest: &mut impl Iterator<Item = u8>) -> Result<u8> {
    Ok(match rest.next().context("it ends in a backslash")? {
        b'x' => {
            let digits: Vec<u8> = rest.take(2).collect();
            ensure!(digits.len() == 2, "\\x wants two digits");
            u8::from_str_radix(std::str::from_utf8(&digits)?, 16)?
        }
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        same @ (b'\\' | b'\'' | b'"') => same,
        other => bail!("no escape \\{}", char::from(other)),
    })
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let escaped = String::deserialize(deserializer)?;
        Self::parse(&escaped).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = Text(all.into());
        assert_eq!(Text::parse(&text.to_string()).unwrap(), text);
        assert_eq!(Text::of(b"a/\0\xff").to_string(), r"a/\x00\xff");
    }

    #[test]
    fn an_escape_that_is_none() {
        for wrong in [r"\", r"\q", r"\x1", r"\xzz"] {
            assert!(Text::parse(wrong).is_err(), "{wrong}");
        }
    }
}

//! Revisions of a program, which keep their meaning when operations before them are taken away.

use std::fmt;

use anyhow::{Context, Result};
use latchd_proto::mvccpb::KeyValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::model::Model;

/// A revision. Written as ``, `-1`, `now-3`, `created`, `modified+1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rev {
    /// This number, whatever the server's revision; zero is left out.
    At(i64),
    /// The present one, and so many more.
    Now(i64),
    /// The create revision of the key that the operation names, and so many more; zero if there is
    /// no such key.
    Created(i64),
    /// The same with its mod revision.
    Modified(i64),
}

impl Rev {
    /// Reads one as it is written.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let word = text.trim_end_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
        let number = &text[word.len()..];
        let number = match number {
            "" => 0,
            number => number
                .parse()
                .with_context(|| format!("`{text}` is no revision"))?,
        };
        match word {
            "" => Ok(Self::At(number)),
            "now" => Ok(Self::Now(number)),
            "created" => Ok(Self::Created(number)),
            "modified" => Ok(Self::Modified(number)),
            _ => anyhow::bail!("`{text}` is no revision"),
        }
    }

    /// Others of its kind that are nearer to where it counts from, the nearest first.
    #[must_use]
    pub fn nearer(self) -> Vec<Self> {
        let (kind, more): (fn(i64) -> Self, i64) = match self {
            Self::At(_) => return Vec::new(),
            Self::Now(more) => (Self::Now, more),
            Self::Created(more) => (Self::Created, more),
            Self::Modified(more) => (Self::Modified, more),
        };
        let mut nearer = vec![0, more / 2, more - more.signum()];
        nearer.retain(|less| *less != more);
        nearer.dedup();
        nearer.into_iter().map(kind).collect()
    }
}

impl Default for Rev {
    fn default() -> Self {
        Self::At(0)
    }
}

/// Where a server stands beside the model, which starts each program at the same revision.
#[derive(Clone, Copy, Debug)]
pub struct Scale<'a> {
    /// The model as it is before the operation.
    pub model: &'a Model,
    /// How much larger the server's revisions are.
    pub offset: i64,
}

impl Scale<'_> {
    /// What `rev` is on that server; `key` is the one that the operation names.
    #[must_use]
    pub fn resolve(self, rev: Rev, key: &[u8]) -> i64 {
        let of_key = |field: fn(&KeyValue) -> i64, more: i64| {
            let found = self.model.get(key);
            found.map_or(0, |kv| field(kv) + more + self.offset)
        };
        match rev {
            Rev::At(revision) => revision,
            Rev::Now(more) => self.model.revision() + more + self.offset,
            Rev::Created(more) => of_key(|kv| kv.create_revision, more),
            Rev::Modified(more) => of_key(|kv| kv.mod_revision, more),
        }
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, more) = match self {
            Self::At(0) => return Ok(()),
            Self::At(revision) => return write!(f, "{revision}"),
            Self::Now(more) => ("now", *more),
            Self::Created(more) => ("created", *more),
            Self::Modified(more) => ("modified", *more),
        };
        match more {
            0 => f.write_str(from),
            more => write!(f, "{from}{more:+}"),
        }
    }
}

impl Serialize for Rev {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rev {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn written_and_read() {
        for text in [
            "",
            "-1",
            "7",
            "now",
            "now-3",
            "now+2",
            "created",
            "created-1",
            "modified+1",
        ] {
            assert_eq!(Rev::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["then", "now-", "now-x"] {
            assert!(Rev::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_the_same_on_every_server() {
        let model = Model::emptied_at(100);
        let scale = Scale {
            model: &model,
            offset: 20,
        };
        assert_eq!(scale.resolve(Rev::At(7), b"a"), 7);
        assert_eq!(scale.resolve(Rev::Now(-3), b"a"), 117);
        assert_eq!(scale.resolve(Rev::Created(1), b"a"), 0);
    }
}

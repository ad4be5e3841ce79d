//! The value of a lock's key: JSON for people and tools. It decides nothing about who holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use latchd_proto::latchd::v1::Label;
use serde::{Deserialize, Serialize};

/// What this service calls itself in a note.
pub const DOOR: &str = "latchd.v1";

/// The longest value that is read as a note, in bytes; ours are shorter, even if JSON spells each
/// character of theirs with six.
const LONGEST: usize = 32 << 10;

/// Who put a key, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// As given in Acquire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Through what.
    #[serde(default)]
    pub door: String,
    /// In milliseconds of Unix time.
    #[serde(default)]
    pub at_ms: i64,
    /// As given in Acquire.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Note {
    /// Whether a value may be read as a note.
    #[must_use]
    pub fn may_be(value: &[u8]) -> bool {
        value.len() <= LONGEST
    }

    /// The note as a value.
    #[must_use]
    pub fn to_value(&self) -> Bytes {
        // Strings and numbers are always JSON.
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a value; anything that is no note is an empty one.
    #[must_use]
    pub fn read(value: &[u8]) -> Note {
        if !Note::may_be(value) {
            return Note::default();
        }
        serde_json::from_slice(value).unwrap_or_default()
    }

    /// The owner alone, for who needs no more: no memory is taken for the rest, and whether the rest
    /// makes sense is not looked at.
    #[must_use]
    pub fn owner_in(value: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Owned {
            #[serde(default)]
            owner: Option<String>,
        }
        if !Note::may_be(value) {
            return None;
        }
        serde_json::from_slice::<Owned>(value).ok()?.owner
    }

    /// The labels as a message has them.
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        let label = |(key, value): (&String, &String)| Label {
            key: key.clone(),
            value: value.clone(),
        };
        self.labels.iter().map(label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = Note {
            owner: Some("worker 7".into()),
            door: DOOR.into(),
            at_ms: 1_700_000_000_000,
            labels: [("host".to_owned(), "h1".to_owned())].into(),
        };
        let value = note.to_value();
        let text = r#"{"owner":"worker 7","door":"latchd.v1","at_ms":1700000000000,"labels":{"host":"h1"}}"#;
        assert_eq!(value, text);
        assert_eq!(Note::read(&value), note);
        assert_eq!(Note::owner_in(&value), note.owner);
    }

    #[test]
    fn what_is_no_note_says_nothing() {
        for value in ["", "leader-1", "[]", "{\"owner\":7}", "\u{0}"] {
            assert_eq!(Note::read(value.as_bytes()), Note::default(), "{value}");
            assert_eq!(Note::owner_in(value.as_bytes()), None, "{value}");
        }
        let long = format!("{{\"owner\":\"{}\"}}", "x".repeat(LONGEST));
        assert_eq!(Note::read(long.as_bytes()), Note::default());
        assert_eq!(Note::owner_in(long.as_bytes()), None);
    }
}

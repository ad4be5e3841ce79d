//! What is asked of a lock: which names, how, for whom; checked whole before anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use latchd_proto::latchd::v1;
use serde::{Deserialize, Serialize};

use crate::clock::{self, Moment};
use crate::error::{Error, Result};
use crate::keys::MOST_PERMITS;
use crate::types::Mode;

/// How many names can be locked at once.
const MOST_NAMES: usize = 64;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 1024;
/// The longest owner, in bytes.
const LONGEST_OWNER: usize = 256;
/// How much the labels may weigh, in bytes.
const MOST_LABELS: usize = 4096;
/// What wrote the key, where this crate did.
pub(crate) const DOOR: &str = "latchd-client";

/// Whom a lock is for: nothing is decided by it, but people and tools see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) owner: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Tag {
    pub(crate) fn labels(&self) -> Vec<v1::Label> {
        let label = |(key, value): (&String, &String)| v1::Label {
            key: key.clone(),
            value: value.clone(),
        };
        self.labels.iter().map(label).collect()
    }
}

/// The value of a lock's key, as `latchd.v1` writes it too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(default)]
    pub(crate) door: String,
    #[serde(default)]
    pub(crate) at_ms: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
}

impl Note {
    /// Reads a value; none if it is no note.
    pub(crate) fn read(value: &[u8]) -> Option<Note> {
        serde_json::from_slice(value).ok()
    }
}

/// Locks to be taken together.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) names: Vec<String>,
    pub(crate) mode: Mode,
    pub(crate) tag: Tag,
}

impl Ask {
    /// Of several names, the first stands for all in messages.
    pub(crate) fn name(&self) -> String {
        self.names.first().cloned().unwrap_or_default()
    }

    /// The value of its keys.
    pub(crate) fn note(&self) -> Vec<u8> {
        let note = Note {
            owner: self.tag.owner.clone(),
            door: DOOR.to_owned(),
            at_ms: clock::unix_ms(),
            labels: self.tag.labels.clone(),
        };
        // Strings and numbers are always JSON.
        serde_json::to_vec(&note).unwrap_or_default()
    }

    /// The same rules on any server.
    pub(crate) fn check(&self) -> Result<()> {
        check_names(&self.names)?;
        if let Mode::Permit { of } = self.mode
            && !(1..=MOST_PERMITS).contains(&of)
        {
            return invalid(format!("{of} permits; give 1 to {MOST_PERMITS}"));
        }
        self.check_tag()
    }

    fn check_tag(&self) -> Result<()> {
        let owner = self.tag.owner.as_ref().map_or(0, String::len);
        if owner > LONGEST_OWNER {
            return invalid(format!(
                "an owner of {owner} bytes; give at most {LONGEST_OWNER}"
            ));
        }
        let labels = self.tag.labels.iter();
        let weight: usize = labels.map(|(key, value)| key.len() + value.len()).sum();
        if weight > MOST_LABELS {
            return invalid(format!(
                "labels of {weight} bytes together; give at most {MOST_LABELS}"
            ));
        }
        Ok(())
    }
}

fn check_names(names: &[String]) -> Result<()> {
    if names.is_empty() {
        return invalid("there is no name; give one at least");
    }
    if names.len() > MOST_NAMES {
        return invalid(format!(
            "{} names at once are too many; give at most {MOST_NAMES}",
            names.len()
        ));
    }
    let mut known = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return invalid("the name of a lock is empty; give one of 1 byte at least");
        }
        if name.len() > LONGEST_NAME {
            return invalid(format!(
                "a name of {} bytes; give at most {LONGEST_NAME}",
                name.len()
            ));
        }
        if !known.insert(name.as_str()) {
            return invalid(format!("{name:?} is there twice; give each name once"));
        }
    }
    for name in names {
        let directories = name.match_indices('/').map(|(at, _)| &name[..at]);
        if let Some(directory) = directories.into_iter().find(|dir| known.contains(dir)) {
            return invalid(format!(
                "{name:?} lies below {directory:?}; lock one of them, or each by itself"
            ));
        }
    }
    Ok(())
}

fn invalid<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Invalid { what: what.into() })
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// Until then, which is the limit from when it was asked.
    Until(Moment, Duration),
    /// As long as the session lives.
    Ever,
}

impl Wait {
    pub(crate) fn at_most(limit: Duration) -> Wait {
        Wait::Until(clock::now() + limit, limit)
    }

    /// What it is when the wait is over.
    pub(crate) fn over(self, ask: &Ask) -> Error {
        let name = ask.name();
        match self {
            Wait::Until(_, limit) => Error::Timeout { name, limit },
            Wait::No | Wait::Ever => Error::Busy { name },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(names: &[&str], mode: Mode) -> Ask {
        Ask {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            mode,
            tag: Tag::default(),
        }
    }

    #[test]
    fn what_makes_sense() {
        let long = "x".repeat(LONGEST_NAME);
        let fine: [&[&str]; 5] = [
            &["a"],
            &["a", "b"],
            &["a/b", "a/c"],
            &["a", "ab/c"],
            &[&long],
        ];
        for names in fine {
            assert!(ask(names, Mode::Shared).check().is_ok(), "{names:?}");
        }
        assert!(ask(&["a"], Mode::Permit { of: 1 }).check().is_ok());
    }

    #[test]
    fn what_makes_none() {
        let long = "x".repeat(LONGEST_NAME + 1);
        let many = vec!["x"; MOST_NAMES + 1];
        let bad: [&[&str]; 7] = [
            &[],
            &[""],
            &["a", ""],
            &["a", "a"],
            &["a", "a/b"],
            &[&long],
            &many,
        ];
        for names in bad {
            let refused = ask(names, Mode::Exclusive).check();
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{names:?}");
        }
        for of in [0, MOST_PERMITS + 1] {
            assert!(ask(&["a"], Mode::Permit { of }).check().is_err());
        }
    }

    #[test]
    fn owners_and_labels_have_a_size() {
        let mut ask = ask(&["a"], Mode::Exclusive);
        ask.tag.owner = Some("x".repeat(LONGEST_OWNER));
        ask.tag
            .labels
            .insert("k".into(), "x".repeat(MOST_LABELS - 1));
        assert!(ask.check().is_ok());
        let mut heavy = ask.clone();
        heavy.tag.labels.insert("l".into(), String::new());
        assert!(heavy.check().is_err());
        ask.tag.owner = Some("x".repeat(LONGEST_OWNER + 1));
        assert!(ask.check().is_err());
    }

    #[test]
    fn a_note_is_that_of_latchd() {
        let text = r#"{"owner":"w","door":"latchd.v1","at_ms":1,"labels":{"host":"h"}}"#;
        let note = Note::read(text.as_bytes()).expect("a note");
        assert_eq!(serde_json::to_string(&note).expect("JSON"), text);
        assert_eq!(Note::read(b"leader-1"), None);
        let own = Note::read(&ask(&["a"], Mode::Exclusive).note()).expect("a note");
        assert_eq!(own.door, DOOR);
    }
}

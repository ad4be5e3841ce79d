//! What an Acquire asks for, checked whole before anything is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use latchd_proto::latchd::v1;

use super::keys::{self, MOST_PERMITS, Mode, key_of};
use super::note::{DOOR, Note};
use super::refusal::{Refusal, Result, shown};
use crate::clock;
use crate::service::turn::prefix_of;
use crate::types::{LeaseId, hex};

/// How many names one Acquire can have.
const MOST_NAMES: usize = 64;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 1024;
/// The longest owner, in bytes.
const LONGEST_OWNER: usize = 256;
/// How much the labels may weigh, in bytes.
const MOST_LABELS: usize = 4096;

/// Who a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The session, or another lease.
    pub lease: LeaseId,
    /// The session's epoch; 0 for a lease that is no session.
    pub epoch: i64,
}

impl Holder {
    /// Reads the two numbers of a request.
    pub fn read(session: i64, epoch: i64) -> Result<Holder> {
        if session == 0 {
            return invalid("there is no session in the request; open one, or grant a lease");
        }
        Ok(Holder {
            lease: LeaseId(session),
            epoch,
        })
    }
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// So long.
    For(Duration),
    /// As long as the call lives.
    Ever,
}

impl Wait {
    fn read(millis: i64) -> Result<Wait> {
        match millis {
            -1 => Ok(Wait::Ever),
            0 => Ok(Wait::No),
            1.. => Ok(Wait::For(Duration::from_millis(millis.unsigned_abs()))),
            _ => invalid("wait_ms is negative; 0 is not to wait, -1 to wait for ever"),
        }
    }
}

/// One name of an Acquire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As it was given.
    pub name: Bytes,
    /// The name with its `/`.
    pub dir: Bytes,
    /// The key that stands for the wait, and then for the hold.
    pub key: Bytes,
}

/// An Acquire that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// At least one.
    pub wanted: Vec<Wanted>,
    /// The same for all.
    pub mode: Mode,
    /// How long to wait.
    pub wait: Wait,
    /// Who asks.
    pub holder: Holder,
    /// The request's ID.
    pub attempt: String,
    /// What the keys say.
    pub value: Bytes,
}

impl Ask {
    /// Checks a request.
    pub fn read(request: v1::AcquireRequest) -> Result<Ask> {
        names(&request.names)?;
        let mode = mode(request.mode, request.permits)?;
        let holder = Holder::read(request.session, request.epoch)?;
        let attempt = attempt(request.request_id)?;
        let note = Note {
            owner: owner(request.owner)?,
            door: DOOR.to_owned(),
            at_ms: clock::unix_ms(),
            labels: labels(request.labels)?,
        };
        Ok(Ask {
            wanted: wanted(request.names, mode, holder, &attempt),
            wait: Wait::read(request.wait_ms)?,
            value: note.to_value(),
            mode,
            holder,
            attempt,
        })
    }

    /// What a session of this server asks for itself: exclusive holds.
    pub fn exclusive(given: Vec<Bytes>, holder: Holder, wait: Wait, note: &Note) -> Result<Ask> {
        names(&given)?;
        let (mode, attempt) = (Mode::Exclusive, made_up());
        Ok(Ask {
            wanted: wanted(given, mode, holder, &attempt),
            value: note.to_value(),
            mode,
            wait,
            holder,
            attempt,
        })
    }
}

fn wanted(names: Vec<Bytes>, mode: Mode, holder: Holder, attempt: &str) -> Vec<Wanted> {
    let wanted = names.into_iter().map(|name| {
        let dir = prefix_of(&name);
        let key = key_of(&dir, mode, holder.lease, attempt);
        Wanted { name, dir, key }
    });
    wanted.collect()
}

fn invalid<T>(what: impl Into<String>) -> Result<T> {
    Err(Refusal::Invalid(what.into()))
}

fn names(names: &[Bytes]) -> Result<()> {
    if names.is_empty() {
        return invalid("there is no name; give one at least");
    }
    if names.len() > MOST_NAMES {
        return invalid(format!(
            "{} names in one Acquire are too many; give at most {MOST_NAMES}",
            names.len()
        ));
    }
    for each in names {
        name(each)?;
    }
    apart(names)
}

/// Checks one name.
pub fn name(name: &[u8]) -> Result<()> {
    if name.is_empty() {
        return invalid("a name is empty; give it one byte at least");
    }
    if name.len() > LONGEST_NAME {
        return invalid(format!(
            "a name of {} bytes is too long; give at most {LONGEST_NAME}",
            name.len()
        ));
    }
    Ok(())
}

/// No name twice, and none that is a directory of another: etcd's clients would see the deeper one
/// as a holder of both.
fn apart(names: &[Bytes]) -> Result<()> {
    let mut seen: BTreeSet<&Bytes> = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return invalid(format!("{:?} is there twice; name it once", shown(name)));
        }
    }
    for name in names {
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (at, _) in slashes {
            if seen.contains(&name.slice(..at)) {
                return invalid(format!(
                    "{:?} lies in {:?}; acquire them one after the other",
                    shown(name),
                    shown(&name[..at])
                ));
            }
        }
    }
    Ok(())
}

fn mode(mode: i32, permits: u32) -> Result<Mode> {
    match (v1::Mode::try_from(mode), permits) {
        (Ok(v1::Mode::Exclusive), 0) => Ok(Mode::Exclusive),
        (Ok(v1::Mode::Shared), 0) => Ok(Mode::Shared),
        (Ok(v1::Mode::Semaphore), 1..=MOST_PERMITS) => Ok(Mode::Permit(permits)),
        (Ok(v1::Mode::Semaphore), _) => invalid(format!(
            "a semaphore of {permits} permits; give permits from 1 to {MOST_PERMITS}"
        )),
        (Ok(_), _) => invalid("permits are for the mode SEMAPHORE; leave them 0"),
        (Err(_), _) => invalid(format!(
            "mode {mode} does not exist; give EXCLUSIVE, SHARED or SEMAPHORE"
        )),
    }
}

/// The ID of a request that came without one.
fn made_up() -> String {
    hex(rand::random())
}

fn attempt(id: String) -> Result<String> {
    if id.is_empty() {
        return Ok(made_up());
    }
    if !keys::is_attempt(&id) {
        return invalid(format!(
            "request_id {id:?}; give at most 64 characters of A-Z a-z 0-9 - _"
        ));
    }
    Ok(id)
}

fn owner(owner: String) -> Result<Option<String>> {
    if owner.len() > LONGEST_OWNER {
        return invalid(format!(
            "an owner of {} bytes is too long; give at most {LONGEST_OWNER}",
            owner.len()
        ));
    }
    Ok((!owner.is_empty()).then_some(owner))
}

fn labels(labels: Vec<v1::Label>) -> Result<BTreeMap<String, String>> {
    let weight: usize = labels
        .iter()
        .map(|label| label.key.len() + label.value.len())
        .sum();
    if weight > MOST_LABELS {
        return invalid(format!(
            "labels of {weight} bytes are too long; give at most {MOST_LABELS}"
        ));
    }
    let mut all = BTreeMap::new();
    for label in labels {
        if let Some(before) = all.insert(label.key, label.value) {
            return invalid(format!(
                "a label is there twice, once as {before:?}; give it once"
            ));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(names: &[&str]) -> v1::AcquireRequest {
        v1::AcquireRequest {
            names: names
                .iter()
                .map(|name| Bytes::copy_from_slice(name.as_bytes()))
                .collect(),
            session: 31,
            request_id: "a1".into(),
            ..Default::default()
        }
    }

    fn refused(change: impl FnOnce(&mut v1::AcquireRequest)) -> String {
        let mut request = request(&["job"]);
        change(&mut request);
        match Ask::read(request) {
            Err(Refusal::Invalid(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_asked() {
        let ask = Ask::read(request(&["job", "a/b"])).unwrap();
        let keys: Vec<&[u8]> = ask.wanted.iter().map(|w| w.key.as_ref()).collect();
        assert_eq!(keys, [&b"job/~x.1f.a1"[..], b"a/b/~x.1f.a1"]);
        assert_eq!((ask.mode, ask.wait), (Mode::Exclusive, Wait::No));
    }

    /// Every refusal says what to do.
    #[test]
    fn bad_requests() {
        let long = "x".repeat(LONGEST_NAME + 1);
        let label = |size| v1::Label {
            key: "k".into(),
            value: "v".repeat(size),
        };
        type Change = Box<dyn FnOnce(&mut v1::AcquireRequest)>;
        let table: Vec<(Change, &str)> = vec![
            (Box::new(|r| r.names.clear()), "give one at least"),
            (Box::new(|r| r.names[0] = Bytes::new()), "one byte at least"),
            (Box::new(move |r| r.names[0] = long.into()), "at most 1024"),
            (
                Box::new(|r| r.names = (0..65).map(|n| format!("n{n}").into()).collect()),
                "at most 64",
            ),
            (
                Box::new(|r| r.names = vec!["a".into(), "b".into(), "a".into()]),
                "name it once",
            ),
            (
                Box::new(|r| r.names = vec!["a/b/c".into(), "a/b".into()]),
                "one after the other",
            ),
            (
                Box::new(|r| r.mode = v1::Mode::Semaphore as i32),
                "permits from 1",
            ),
            (Box::new(|r| r.permits = 1), "leave them 0"),
            (Box::new(|r| r.mode = 9), "give EXCLUSIVE"),
            (Box::new(|r| r.wait_ms = -2), "-1 to wait for ever"),
            (Box::new(|r| r.session = 0), "open one"),
            (Box::new(|r| r.request_id = "a.b".into()), "A-Z a-z 0-9"),
            (Box::new(|r| r.owner = "o".repeat(257)), "at most 256"),
            (
                Box::new(move |r| r.labels = vec![label(4096)]),
                "at most 4096",
            ),
            (
                Box::new(move |r| r.labels = vec![label(1), label(2)]),
                "give it once",
            ),
        ];
        for (change, advice) in table {
            let text = refused(change);
            assert!(text.contains(advice), "{text}");
        }
    }

    #[test]
    fn names_that_only_look_alike_are_apart() {
        Ask::read(request(&["a", "ab", "b/a", "a-b/c"])).unwrap();
    }

    #[test]
    fn without_an_id_one_is_made_up() {
        let mut asked = request(&["job"]);
        asked.request_id = String::new();
        let ask = Ask::read(asked).unwrap();
        assert!(keys::is_attempt(&ask.attempt), "{}", ask.attempt);
    }
}

//! What the answers to a contender's transactions mean: R0 over the keys that they tell. No I/O here.

use etcd_client::{GetResponse, KeyValue, ResponseHeader, TxnOpResponse, TxnResponse};

use super::requests::{Contender, Depth, Place};
use crate::error::{Error, Result};
use crate::keys::{mode_of, segment_in};
use crate::rule::Older;
use crate::types::{Mode, Revision};

/// What a contender found when it joined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// The create revision of the own keys; `None` if there are none.
    pub(crate) token: Option<Revision>,
    /// Whether it is granted already, for all that this answer tells.
    pub(crate) is_granted: bool,
    /// The revision at which all this held.
    pub(crate) at: Revision,
}

/// What a look at the own keys and at those before them found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// An own key is gone, or another one is in its place.
    Gone,
    /// R0 holds for each name.
    Granted { at: Revision },
    /// Somebody is in the way: `target` is what to wait for, and `own` the key that waits.
    Behind {
        target: Target,
        own: String,
        at: Revision,
    },
    /// A key that lies deeper hides who is in the way; look at all of them.
    Hidden,
}

/// Whose end may let a contender in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// This key's.
    Key(Vec<u8>),
    /// That of any key below this directory.
    Any(String),
}

/// What a try found that did not put its keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// The keys are there, from now or from an attempt whose answer got lost.
    Ours {
        token: Revision,
        is_granted: bool,
        at: Revision,
    },
    /// They are not, but they would be granted as of this revision.
    Open { at: Revision },
    /// Somebody is ahead.
    Busy,
}

/// Reads the answer to [`join`](super::requests::join).
pub(crate) fn read_joined(answer: &TxnResponse, contender: &Contender) -> Result<Joined> {
    let at = revision(answer.header())?;
    let mut answers = answer.op_responses().into_iter();
    if !answer.succeeded() {
        return Ok(Joined {
            token: common_revision(answers)?,
            is_granted: false,
            at,
        });
    }
    let puts = contender.places.len();
    let mut is_granted = true;
    for (place, found) in contender.places.iter().zip(answers.by_ref().skip(puts)) {
        let line = line(&place.directory, &found)?;
        check_permits(&line, place, contender.mode)?;
        let own = line.iter().any(|entry| entry.created == at);
        is_granted &= own && is_granted_in(&line, at, contender.mode);
    }
    Ok(Joined {
        token: Some(at),
        is_granted,
        at,
    })
}

/// Reads the answer to [`take_if_alone`](super::requests::take_if_alone), or to
/// [`take_if_unchanged`](super::requests::take_if_unchanged).
pub(crate) fn read_tried(answer: &TxnResponse, contender: &Contender) -> Result<Tried> {
    let at = revision(answer.header())?;
    if answer.succeeded() {
        return Ok(Tried::Ours {
            token: at,
            is_granted: true,
            at,
        });
    }
    let mut own = None;
    let mut is_open = true;
    for (place, found) in contender.places.iter().zip(answer.op_responses()) {
        let line = line(&place.directory, &found)?;
        check_permits(&line, place, contender.mode)?;
        let ours = line.iter().find(|entry| entry.key == place.key.as_bytes());
        let before = ours.map_or(at.next(), |ours| ours.created);
        own = own.or(ours.map(|ours| ours.created));
        is_open &= is_granted_in(&line, before, contender.mode);
    }
    Ok(match own {
        Some(token) => Tried::Ours {
            token,
            is_granted: is_open,
            at,
        },
        None if is_open => Tried::Open { at },
        None => Tried::Busy,
    })
}

/// Reads the answer to [`look`](super::requests::look).
pub(crate) fn read_look(answer: &TxnResponse, contender: &Contender, depth: Depth) -> Result<Look> {
    if !answer.succeeded() {
        return Ok(Look::Gone);
    }
    let at = revision(answer.header())?;
    for (place, found) in contender.places.iter().zip(answer.op_responses()) {
        let line = line(&place.directory, &found)?;
        check_permits(&line, place, contender.mode)?;
        let hides = depth == Depth::Usual && contender.mode == Mode::Exclusive;
        if line.is_empty() && hides && !is_empty(&found)? {
            return Ok(Look::Hidden);
        }
        if let Some(target) = in_the_way(&line, &place.directory, contender.mode) {
            let own = place.key.clone();
            return Ok(Look::Behind { target, own, at });
        }
    }
    Ok(Look::Granted { at })
}

/// The create revision that all answers' keys have; none if one is missing.
fn common_revision(answers: impl IntoIterator<Item = TxnOpResponse>) -> Result<Option<Revision>> {
    let mut common = None;
    for answer in answers {
        let own = created_in(&answer)?;
        if own.is_none() || common.is_some_and(|known| known != own) {
            return Ok(None);
        }
        common = Some(own);
    }
    Ok(common.flatten())
}

/// The create revision of any key of the answers.
pub(crate) fn any_revision(
    answers: impl IntoIterator<Item = TxnOpResponse>,
) -> Result<Option<Revision>> {
    for answer in answers {
        if let Some(created) = created_in(&answer)? {
            return Ok(Some(created));
        }
    }
    Ok(None)
}

fn created_in(answer: &TxnOpResponse) -> Result<Option<Revision>> {
    Ok(gotten(answer)?.kvs().first().map(created))
}

/// The revision that the answer belongs to.
pub(crate) fn revision(header: Option<&ResponseHeader>) -> Result<Revision> {
    let header = header.ok_or(Error::Malformed { missing: "header" })?;
    Ok(Revision(header.revision()))
}

/// A key that contends.
struct Entry {
    key: Vec<u8>,
    created: Revision,
    mode: Mode,
}

/// Those of an answer that lie directly in the directory.
fn line(directory: &str, answer: &TxnOpResponse) -> Result<Vec<Entry>> {
    let entry = |kv: &KeyValue| {
        let segment = segment_in(directory.as_bytes(), kv.key())?;
        Some(Entry {
            key: kv.key().to_vec(),
            created: created(kv),
            mode: mode_of(segment),
        })
    };
    Ok(gotten(answer)?.kvs().iter().filter_map(entry).collect())
}

fn is_empty(answer: &TxnOpResponse) -> Result<bool> {
    Ok(gotten(answer)?.kvs().is_empty())
}

fn gotten(answer: &TxnOpResponse) -> Result<&GetResponse> {
    match answer {
        TxnOpResponse::Get(found) => Ok(found),
        _ => Err(Error::Malformed {
            missing: "range of the lock's keys",
        }),
    }
}

fn created(kv: &KeyValue) -> Revision {
    Revision(kv.create_revision())
}

/// R0 for a key of that mode, created at `own`.
fn is_granted_in(line: &[Entry], own: Revision, mode: Mode) -> bool {
    let older = line.iter().filter(|entry| entry.created < own);
    older.map(|entry| entry.mode).collect::<Older>().admit(mode)
}

/// Whom a key of this mode waits for behind `older`, the last of them first; none if it is granted.
fn in_the_way(older: &[Entry], directory: &str, mode: Mode) -> Option<Target> {
    let key = |entry: &Entry| Target::Key(entry.key.clone());
    match mode {
        Mode::Exclusive => older.first().map(key),
        Mode::Shared => older
            .iter()
            .find(|entry| entry.mode != Mode::Shared)
            .map(key),
        Mode::Permit { .. } => {
            let sum: Older = older.iter().map(|entry| entry.mode).collect();
            (!sum.admit(mode)).then(|| Target::Any(directory.to_owned()))
        }
    }
}

/// A semaphore has one size for all who use it.
fn check_permits(line: &[Entry], place: &Place, mode: Mode) -> Result<()> {
    let Mode::Permit { of } = mode else {
        return Ok(());
    };
    let other = line.iter().find_map(|entry| match entry.mode {
        Mode::Permit { of: present } if present != of => Some(present),
        _ => None,
    });
    let Some(present) = other else {
        return Ok(());
    };
    let name = place.directory.strip_suffix('/');
    Err(Error::OtherPermits {
        name: name.unwrap_or_default().to_owned(),
        reason: format!("{present}, not {of}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: Mode = Mode::Exclusive;
    const R: Mode = Mode::Shared;
    const S: Mode = Mode::Permit { of: 2 };

    /// A line of keys `a`, `b`, `c`, …, the last of them first, as a look finds those before.
    fn older(modes: &[Mode]) -> Vec<Entry> {
        let entry = |(at, mode): (u8, &Mode)| Entry {
            key: vec![b'a' + at],
            created: Revision(i64::from(at) + 1),
            mode: *mode,
        };
        let mut line: Vec<Entry> = (0..).zip(modes).map(entry).collect();
        line.reverse();
        line
    }

    fn target(modes: &[Mode], own: Mode) -> Option<Target> {
        in_the_way(&older(modes), "job/", own)
    }

    /// Rule: "Who wakes: exclusive waits on its last older key, shared on the last older key that is
    /// not shared, a permit on any older key of the name."
    #[test]
    fn who_wakes() {
        let key = |name: &str| Some(Target::Key(name.into()));
        assert_eq!(target(&[X, R, X, R], X), key("d"));
        assert_eq!(target(&[X, R, X, R], R), key("c"));
        assert_eq!(target(&[R, R], R), None);
        assert_eq!(target(&[S], S), None);
        assert_eq!(target(&[S, S], S), Some(Target::Any("job/".into())));
        assert_eq!(target(&[], X), None);
    }

    #[test]
    fn only_older_keys_count() {
        let line = older(&[S, S, X]);
        assert!(is_granted_in(&line, Revision(2), S));
        assert!(!is_granted_in(&line, Revision(3), X));
        assert!(is_granted_in(&line, Revision(1), X));
    }

    #[test]
    fn a_semaphore_has_one_size() {
        let place = Place {
            directory: "job/".into(),
            key: "job/k".into(),
        };
        let line = older(&[S, X]);
        assert!(check_permits(&line, &place, S).is_ok());
        assert!(check_permits(&line, &place, X).is_ok());
        let refused = check_permits(&line, &place, Mode::Permit { of: 3 });
        assert!(matches!(refused, Err(Error::OtherPermits { name, .. }) if name == "job"));
    }
}

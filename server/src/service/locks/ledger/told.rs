//! The table as messages tell it.

use std::time::Duration;

use latchd_proto::latchd::v1;

use super::history::Past;
use super::table::{Entry, Line};
use crate::clock::Instant;
use crate::service::locks::acquire::name_of;
use crate::service::locks::keys::OwnKey;
use crate::service::locks::note::Note;

/// What wrote a key that is not this service's.
const ETCD: &str = "etcd";

/// A holder or waiter.
#[must_use]
pub fn contender(entry: &Entry, position: usize, now: Instant) -> v1::Contender {
    let (mode, permits) = entry.mode.to_proto();
    let own = OwnKey::parse(entry.segment());
    let since = entry.granted.unwrap_or(entry.put_at);
    let note = entry.note();
    v1::Contender {
        key: entry.key.clone(),
        token: entry.created.0,
        session: entry.lease.0,
        mode: mode as i32,
        permits,
        position: u32::try_from(position).unwrap_or(u32::MAX),
        owner: entry.owner.to_string(),
        labels: note.as_ref().map_or_else(Vec::new, Note::labels),
        request_id: own.map_or_else(String::new, |own| own.attempt.to_owned()),
        door: match note.as_ref().map_or("", |note| &note.door) {
            "" => ETCD.to_owned(),
            door => door.to_owned(),
        },
        at_ms: note.as_ref().map_or(0, |note| note.at_ms),
        for_ms: since.map_or(-1, |since| millis(now.saturating_duration_since(since))),
    }
}

/// A lock with its holders and its queue; none if nothing in the line is shown as a lock.
#[must_use]
pub fn lock(line: &Line, now: Instant) -> Option<v1::Lock> {
    let mut shown = line.entries().filter(|entry| entry.is_lock).peekable();
    let mut lock = v1::Lock {
        name: name_of(&shown.peek()?.dir),
        ..Default::default()
    };
    for entry in shown {
        if entry.granted.is_some() {
            lock.holders.push(contender(entry, 0, now));
        } else {
            let position = lock.waiting.len() + 1;
            lock.waiting.push(contender(entry, position, now));
        }
    }
    Some(lock)
}

/// Milliseconds as messages have them.
#[must_use]
pub fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A hold that has ended.
#[must_use]
pub fn past(past: &Past) -> v1::PastHold {
    let Past { entry, ended, .. } = past;
    let since = entry.granted.flatten();
    let between = |from: Instant, to: Instant| millis(to.saturating_duration_since(from));
    v1::PastHold {
        name: name_of(&entry.dir),
        contender: Some(contender(entry, 0, *ended)),
        how: past.how as i32,
        ended_ms: past.ended_ms,
        waited_ms: entry
            .put_at
            .zip(since)
            .map_or(-1, |(put, granted)| between(put, granted)),
        held_ms: since.map_or(-1, |granted| between(granted, *ended)),
    }
}

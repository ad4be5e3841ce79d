//! Holds that have ended and deadlocks that were found: bounded rings in memory.

use std::collections::VecDeque;

use latchd_proto::latchd::v1::lock_event::Kind;
use latchd_proto::latchd::v1::{Deadlock, PastHold};

use super::table::Entry;
use super::told;
use crate::clock::Instant;
use crate::service::locks::acquire::name_of;

/// How many holds are kept.
const KEPT: usize = 10_000;
/// How many deadlocks are kept.
const DEADLOCKS: usize = 1000;

/// A hold that has ended.
#[derive(Debug)]
pub struct Past {
    /// What it was at its end.
    pub entry: Box<Entry>,
    /// How it ended.
    pub how: Kind,
    /// When.
    pub ended: Instant,
    /// When, in milliseconds of Unix time.
    pub ended_ms: i64,
}

/// The rings.
#[derive(Debug, Default)]
pub struct History {
    holds: VecDeque<Past>,
    deadlocks: VecDeque<Deadlock>,
}

impl History {
    /// A hold has ended.
    pub fn add(&mut self, hold: Past) {
        push(&mut self.holds, hold, KEPT);
    }

    /// A deadlock was found.
    pub fn add_deadlock(&mut self, deadlock: Deadlock) {
        push(&mut self.deadlocks, deadlock, DEADLOCKS);
    }

    /// At most `limit` holds of names that begin with `prefix`, the last one first.
    #[must_use]
    pub fn last(&self, prefix: &[u8], limit: usize) -> Vec<PastHold> {
        let newest = self.holds.iter().rev();
        let named = newest.filter(|hold| name_of(&hold.entry.dir).starts_with(prefix));
        named.take(limit).map(told::past).collect()
    }

    /// At most `limit` deadlocks with a name that begins with `prefix`, the last one first.
    #[must_use]
    pub fn last_deadlocks(&self, prefix: &[u8], limit: usize) -> Vec<Deadlock> {
        let newest = self.deadlocks.iter().rev();
        let named = newest.filter(|deadlock| concerns(deadlock, prefix));
        named.take(limit).cloned().collect()
    }
}

/// Whether a name of the deadlock begins with `prefix`.
#[must_use]
pub fn concerns(deadlock: &Deadlock, prefix: &[u8]) -> bool {
    let mut waits = deadlock.waits.iter();
    waits.any(|wait| wait.name.starts_with(prefix))
}

fn push<T>(ring: &mut VecDeque<T>, what: T, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(what);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut history = History::default();
        for n in 0..KEPT + 5 {
            history.add(Past {
                entry: Entry::example(format!("n{}/1f", n % 2)),
                how: Kind::Released,
                ended: clock::now(),
                ended_ms: i64::try_from(n).unwrap(),
            });
        }
        let all = history.last(b"", usize::MAX);
        assert_eq!((all.len(), all[0].ended_ms), (KEPT, 10_004));
        assert_eq!(all[KEPT - 1].ended_ms, 5);
        let some = history.last(b"n1", 2);
        let ends: Vec<i64> = some.iter().map(|hold| hold.ended_ms).collect();
        assert_eq!(ends, [10_003, 10_001]);
    }
}

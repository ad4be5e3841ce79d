//! What is seen.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::types::{LeaseId, Mode, Revision};

/// A lock that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Its name.
    pub name: Vec<u8>,
    /// Who holds it, the oldest first.
    pub holders: Vec<Contender>,
    /// Who waits, in the order of their turns.
    pub waiting: Vec<Contender>,
}

/// Someone who holds or awaits a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contender {
    /// The key that stands for it.
    pub key: Vec<u8>,
    /// The key's create revision; the fencing token once it holds.
    pub token: Revision,
    /// Its session, or lease.
    pub session: LeaseId,
    /// How it holds, or wants to.
    pub mode: Mode,
    /// What it calls itself; a latchd tells the lease in hexadecimal where it was not told.
    pub owner: Option<String>,
    /// What it says of itself.
    pub labels: BTreeMap<String, String>,
    /// Its request ID, where the key is one of `latchd.v1` or of this crate.
    pub request_id: Option<String>,
    /// What wrote the key: `latchd.v1`, `latchd-client`, `etcd`.
    pub door: Option<String>,
    /// When the key was put, by the clock of whoever put it.
    pub since: Option<SystemTime>,
    /// How long it has held, or else waited.
    pub lasting: Option<Duration>,
}

/// What a watch of locks tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchItem {
    /// Every lock as it is now: first, and again whenever something was missed.
    Snapshot(Vec<Lock>),
    /// A change.
    Event(Event),
    /// Waits that wait for one another; on a latchd.
    Deadlock(Deadlock),
}

/// A change of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The lock's name.
    pub name: Vec<u8>,
    /// To whom.
    pub contender: Contender,
    /// The revision that did it.
    pub revision: Revision,
}

/// What happened to a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It waits.
    Queued,
    /// It holds. Who need not wait is not queued before.
    Acquired,
    /// It held, and let go.
    Released,
    /// It held, and its session or lease ended.
    Expired,
    /// It held, and somebody else took it away.
    Forced,
    /// It held, and holds no more; an etcd does not tell why.
    Ended,
    /// It waited, and waits no more.
    Left,
}

/// What a server remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Holds that have ended, the last one first.
    pub holds: Vec<PastHold>,
    /// Deadlocks that were found, the last one first.
    pub deadlocks: Vec<Deadlock>,
    /// Since when the server has taken notes.
    pub since: SystemTime,
}

/// A hold that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastHold {
    /// The lock's name.
    pub name: Vec<u8>,
    /// Who held it.
    pub contender: Contender,
    /// How it ended.
    pub how: EventKind,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it had waited; `None` if that began before the server knew.
    pub waited: Option<Duration>,
    /// How long it held; `None` if that began before the server knew.
    pub held: Option<Duration>,
}

/// A session of `latchd.v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its lease.
    pub session: LeaseId,
    /// Rises with every resume.
    pub epoch: i64,
    /// Its TTL.
    pub ttl: Duration,
    /// How long it lives without another heartbeat.
    pub valid_for: Duration,
    /// Whether it ends with its connection.
    pub bound: bool,
    /// Whether its stream is open now.
    pub connected: bool,
    /// How many locks it holds.
    pub holding: u32,
    /// How many locks it waits for.
    pub waiting: u32,
}

/// Waits that wait for one another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlock {
    /// Each waits for the next, and the last for the first.
    pub waits: Vec<DeadlockWait>,
    /// The key of the wait that was ended for it, if one was.
    pub victim: Option<Vec<u8>>,
    /// When it was found.
    pub found: SystemTime,
}

/// One wait of a deadlock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadlockWait {
    /// The lock that is waited for.
    pub name: Vec<u8>,
    /// Who waits.
    pub owner: String,
    /// With which key.
    pub key: Vec<u8>,
    /// Its session, or lease.
    pub session: LeaseId,
}

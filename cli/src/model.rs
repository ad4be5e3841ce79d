//! What the commands show: locks, those who contend for them, and what becomes of them, whatever
//! kind of server told it. `source` makes them, `output` writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// A lock that somebody holds or awaits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    pub name: Vec<u8>,
    pub holders: Vec<Contender>,
    /// In the order of their turns.
    pub waiting: Vec<Contender>,
}

/// Someone who holds or awaits a lock. What the server does not know is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contender {
    pub key: Vec<u8>,
    /// The key's create revision: the fencing token, once it holds.
    pub token: i64,
    pub session: SessionId,
    pub mode: Mode,
    pub owner: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub request_id: Option<String>,
    /// What wrote the key: `latchd.v1`, `etcd`, another protocol.
    pub door: Option<String>,
    /// When the key was put.
    pub since: Option<Timestamp>,
    /// How long it has held, or else waited.
    pub lasting: Option<Duration>,
}

/// A session or lease; shown as etcd's tools do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionId(pub i64);

/// Beside whom a lock may be held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Exclusive,
    Shared,
    /// One of so many permits.
    Semaphore(u32),
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Everything there is.
    Snapshot(Vec<Lock>),
    Event(Event),
    Deadlock(Deadlock),
}

/// Something became of a contender.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub what: What,
    pub name: Vec<u8>,
    pub contender: Contender,
    pub revision: i64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It waits.
    Queued,
    /// It holds.
    Acquired,
    /// It held, and let go.
    Released,
    /// It held, and its session or lease ended.
    Expired,
    /// It held, and somebody took it away.
    Forced,
    /// It waited, and waits no more.
    Left,
    /// It held, and holds no more; nobody knows why.
    Ended,
}

/// A hold that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PastHold {
    pub name: Vec<u8>,
    pub contender: Contender,
    pub how: What,
    pub ended: Timestamp,
    pub waited: Option<Duration>,
    pub held: Option<Duration>,
}

/// The last holds.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The last one first.
    pub holds: Vec<PastHold>,
    /// Deadlocks that were found, resolved or not, the last one first.
    pub deadlocks: Vec<Deadlock>,
    /// Since when the server has taken notes.
    pub since: Timestamp,
}

/// A session of latchd's own.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionInfo {
    pub id: SessionId,
    pub epoch: i64,
    pub ttl: Duration,
    /// How long it lives without another heartbeat.
    pub valid_for: Duration,
    /// Whether it ends with its connection.
    pub bound: bool,
    pub connected: bool,
    pub holding: u32,
    pub waiting: u32,
}

/// Waits that wait for one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadlock {
    pub waits: Vec<Wait>,
    pub found: Timestamp,
}

/// A wait in a deadlock.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    pub name: Vec<u8>,
    pub owner: String,
    pub session: SessionId,
    pub key: Vec<u8>,
    /// Whether it was ended for the sake of the others.
    pub aborted: bool,
}

impl Lock {
    /// How it is held, or will be by the first in the queue.
    pub fn mode(&self) -> Mode {
        let first = self.holders.first().or(self.waiting.first());
        first.map(|contender| contender.mode).unwrap_or_default()
    }

    /// How long the one who has waited longest has waited.
    pub fn longest_wait(&self) -> Option<Duration> {
        let waits = self.waiting.iter().filter_map(|waiter| waiter.lasting);
        waits.max()
    }

    /// How long it has been held by the one who has held it longest.
    pub fn held_for(&self) -> Option<Duration> {
        let holds = self.holders.iter().filter_map(|holder| holder.lasting);
        holds.max()
    }
}

impl Contender {
    /// The owner, or else the session.
    pub fn who(&self) -> String {
        let owner = self
            .owner
            .as_deref()
            .map(|owner| crate::bytes::show(owner.as_bytes()));
        owner.unwrap_or_else(|| self.session.to_string())
    }
}

impl Deadlock {
    /// Whether it is no more, because one of the waits was ended.
    pub fn is_resolved(&self) -> bool {
        self.waits.iter().any(|wait| wait.aborted)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Exclusive => f.write_str("exclusive"),
            Mode::Shared => f.write_str("shared"),
            Mode::Semaphore(permits) => write!(f, "1 of {permits}"),
        }
    }
}

impl What {
    /// A word that programs can match.
    pub fn word(self) -> &'static str {
        match self {
            What::Queued => "queued",
            What::Acquired => "acquired",
            What::Released => "released",
            What::Expired => "expired",
            What::Forced => "forced",
            What::Left => "left",
            What::Ended => "ended",
        }
    }
}

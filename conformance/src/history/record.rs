//! A recorded history: who asked and was told what, and when.

use serde::{Deserialize, Serialize};

use super::request::{Event, Kv, LeaseId, Request, Response, Revision, Span};

/// Nanoseconds since the recording began, on one monotonic clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

/// All that was recorded of a run. Nobody else wrote meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The keyspace when the recording began.
    pub start: Snapshot,
    /// Requests, in no particular order.
    pub ops: Vec<Op>,
    /// Watches; the streams of one watcher in the order in which it opened them.
    pub watchers: Vec<Watcher>,
    /// Locks that were held.
    pub holds: Vec<Hold>,
    /// When the server was killed and started, in order.
    pub restarts: Vec<Restart>,
    /// The last revision. Every watcher of [`Watcher::to_the_end`] was told all
    /// up to it.
    pub end: Revision,
}

/// The keyspace at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The revision.
    pub revision: Revision,
    /// All keys.
    pub kvs: Vec<Kv>,
}

impl Default for Snapshot {
    /// A new store's.
    fn default() -> Self {
        Self {
            revision: 1,
            kvs: Vec::new(),
        }
    }
}

/// One request of a client, whose requests follow one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// Which client.
    pub client: u32,
    /// When it was about to be sent.
    pub invoked: Moment,
    /// What it asked.
    pub request: Request,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered.
    Answered {
        /// When.
        at: Moment,
        /// The header's revision.
        revision: Revision,
        /// The rest.
        response: Response,
    },
    /// It was refused, and has changed nothing.
    Refused {
        /// When.
        at: Moment,
        /// The gRPC code, by name.
        code: String,
        /// The server's text.
        message: String,
    },
    /// The connection broke: nobody knows whether it took effect.
    Unknown {
        /// The error.
        error: String,
    },
}

/// A watch of some keys, over all streams that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watcher {
    /// What violations call it.
    pub name: String,
    /// Which keys.
    pub span: Span,
    /// Whether it asked what the keys were before.
    pub prev: bool,
    /// Whether it went on until it had been told of [`History::end`].
    pub to_the_end: bool,
    /// Its streams, one after another.
    pub streams: Vec<Stream>,
}

/// One watch stream with one watch on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// When the watch was about to be asked for.
    pub opened: Moment,
    /// From which revision; 0 for what comes from now on.
    pub from: Revision,
    /// What was told, as it came.
    pub told: Vec<Told>,
}

/// One response of a watch stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When it came.
    pub at: Moment,
    /// The header's revision.
    pub revision: Revision,
    /// Whether it says that the watch is there.
    #[serde(default)]
    pub created: bool,
    /// Why the watch is over, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canceled: Option<String>,
    /// What happened.
    #[serde(default)]
    pub events: Vec<Event>,
}

/// A lock that a client was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which client.
    pub client: u32,
    /// The lock.
    pub name: String,
    /// The client's key below it.
    pub key: String,
    /// The lease of the key.
    pub lease: LeaseId,
    /// The fencing token: the key's create revision as the client saw it.
    pub token: Revision,
    /// When the client knew that it has the lock.
    pub granted: Moment,
    /// The revision in the answer from which it knew.
    pub revision: Revision,
    /// When it was about to give the lock back; none if it never did.
    pub released: Option<Moment>,
}

/// A kill -9 of the server, and its next start on the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Just before the kill.
    pub killed: Moment,
    /// Just before the start.
    pub started: Moment,
}

impl Op {
    /// The moment and the revision of its answer, if it was answered.
    #[must_use]
    pub fn answer(&self) -> Option<(Moment, Revision, &Response)> {
        match &self.outcome {
            Outcome::Answered {
                at,
                revision,
                response,
            } => Some((*at, *revision, response)),
            _ => None,
        }
    }

    /// When its outcome was known.
    #[must_use]
    pub fn returned(&self) -> Option<Moment> {
        match &self.outcome {
            Outcome::Answered { at, .. } | Outcome::Refused { at, .. } => Some(*at),
            Outcome::Unknown { .. } => None,
        }
    }

    /// Whether its effect happened at the revision of its answer, or it saw the
    /// keyspace of that revision. Of leases and locks the header says less.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        use Request::{Delete, Put, Range, Txn};
        let kv = matches!(
            self.request,
            Range(_) | Put { .. } | Delete { .. } | Txn { .. }
        );
        kv && self.answer().is_some()
    }
}

impl Moment {
    /// Later by so many seconds.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000_000)))
    }
}

impl Told {
    /// The highest revision that it gives the watcher to know of: that of its
    /// last event or, without events, the header's.
    #[must_use]
    pub fn up_to(&self) -> Revision {
        let last = self.events.iter().map(|event| event.kv.modified).max();
        last.unwrap_or(self.revision)
    }
}

//! The numbers that must not be mixed up, as types of their own.

use std::fmt;
use std::time::Duration;

/// The store's logical clock: one more for each writing transaction.
///
/// An empty store is at revision 1, as in etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision of a store that nobody has written to (etcd 3.x).
    pub const INITIAL: Revision = Revision(1);
    /// What `compacted` says before the first compaction (etcd's `compactMainRev`).
    pub const NEVER_COMPACTED: Revision = Revision(-1);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease, as its owner names it; 0 on the wire means "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// No lease: a key that lives until somebody deletes it.
    pub const NONE: LeaseId = LeaseId(0);

    /// True for [`LeaseId::NONE`].
    #[must_use]
    pub fn is_none(self) -> bool {
        self == LeaseId::NONE
    }

    /// An ID that the server picks: positive, and unguessable enough never to clash.
    #[must_use]
    pub fn random() -> LeaseId {
        LeaseId(rand::random_range(1..=i64::MAX))
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One watch on a stream; the client knows it by this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub i64);

impl WatchId {
    /// Stands for "the whole stream", or "no such watch" (etcd's `InvalidWatchID`).
    pub const INVALID: WatchId = WatchId(-1);
}

/// How long a lease lives without a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl {
    /// Milliseconds; the wire carries whole seconds.
    pub millis: i64,
}

impl Ttl {
    /// A TTL of whole seconds.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Ttl {
        Ttl {
            millis: seconds.saturating_mul(1000),
        }
    }

    /// Whole seconds, rounded down, as etcd reports them.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.millis / 1000
    }

    /// The same as a [`Duration`]; zero for anything negative.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.millis.max(0).unsigned_abs())
    }
}
